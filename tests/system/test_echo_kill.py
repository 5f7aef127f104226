# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 at random moments: the survivor goes on, nothing leaks, nothing accepted is lost without being counted.

VOP_KILLS is the number of kills in each test (20; 500 with VOP_LONG=1), VOP_SEED repeats a run.
"""
import os
import random
import re
import subprocess
import time

import pytest

from lib.bridge import SLOW, eventually
from lib.echo import KILLS, count_in, echoes, finish, holdings, holds_again, kill, one_line, run

SEED = int(os.environ.get("VOP_SEED") or random.randrange(1 << 32))
WITHIN = 1.0  # seconds for the survivor to notice, and for the service to resume (times SLOW)
SPINS = [0, 0xFFFFFFFF]  # adaptive, VOP_SPIN_NEVER


@pytest.fixture
def dice(request):
    print(f"VOP_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def start_victim(place, dice, rows):
    """A client that sends as fast as it can: one reads its echoes, the other does not."""
    if dice.random() < 0.5:
        batch = f"batch={dice.choice([1, 16])}"
        return place.start("crash-peer", "send", "connect", place.link, place.path / "count", batch)
    with open(rows, encoding="ascii") as lines:
        return place.start("echo_client", place.link, stdin=lines, stdout=subprocess.DEVNULL)


def test_server_outlives_its_clients(place, dice):
    server = place.server()
    crowd = [place.client() for _ in range(8)]
    for client in crowd:  # the server keeps the stacks of its threads, and a heap for some of them
        echoes(client, "first")
    steady = crowd.pop()
    place.kill(*crowd)
    eventually(lambda: threads(server.pid) == 2, "the threads of the crowd end")
    before = holdings(server.pid)
    rows = place.path / "rows"
    rows.write_text("".join(f"row {i}\n" for i in range(200000)))
    for turn in range(KILLS):
        victims = [start_victim(place, dice, rows) for _ in range(dice.randint(1, 4))]
        time.sleep(dice.uniform(0, 0.03))  # during start-up, handshake or traffic
        place.kill(*victims)
        echoes(steady, f"after kill {turn}")
    holds_again(server, before, WITHIN)
    assert holdings(server.pid)[2] <= before[2] + 12  # the heap may have grown, and closers have had stacks
    assert server.poll() is None


def test_clients_outlive_their_server(place, dice):
    resumed = []
    for turn in range(KILLS):
        server = place.server()
        idle = place.client()
        echoes(idle, "hello")
        waiting = [
            place.start("crash-peer", role, "connect", place.link, place.path / role, f"spin_us={dice.choice(SPINS)}")
            for role in ("send", "receive")
        ]
        for process in waiting:
            assert process.stdout.readline() == "up\n"
        time.sleep(dice.uniform(0, 0.03))
        kill(server)
        died = time.monotonic()
        place.server()  # the same name: the stale socket is replaced
        assert run("echo_client", place.link, f"{turn}") == (0, f"{turn}\n", "")
        resumed.append(time.monotonic() - died)
        for process in waiting:  # one waits for room, one for a message
            status, output, errors = finish(process, WITHIN)
            assert status == 0 and output.startswith("end=-104 ") and not errors, (status, output, errors)
        idle.stdin.write("anybody there?\n")
        status, output, errors = finish(idle, WITHIN)
        assert (status, output) == (1, "") and one_line(errors), (status, output, errors)
        place.kill(*place.processes)
    print(f"service resumed after {max(resumed):.3f} s at the latest")
    assert max(resumed) < WITHIN * SLOW


class Stream:
    """A sender and a receiver of numbered messages."""

    def __init__(self, place, dice, turn):
        self.counts = {role: place.path / f"{role}.{turn}" for role in ("send", "receive")}
        link = f"shm:{place.path}/{turn}.sock"
        how = ["listen", "connect"]
        dice.shuffle(how)
        self.batch = dice.choice([1, 1, 16])
        self.copying = int(self.batch == 1 and dice.random() < 0.5)
        common = [f"copying={self.copying}", f"queue_size={dice.choice([8, 64, 256])}", "longest=16384"]
        own = {"send": f"batch={self.batch}", "receive": f"pace_us={dice.choice([0, 0, 300])}"}
        self.send, self.receive = (
            place.start("crash-peer", role, how.pop(), link, count, *common, own[role], f"spin_us={dice.choice(SPINS)}")
            for role, count in self.counts.items()
        )
        self.text = f"turn {turn}: {self.send.args} {self.receive.args}"
        for process in (self.send, self.receive):
            assert process.stdout.readline() == "up\n", (self.text, process.communicate())
        eventually(lambda: count_in(self.counts["receive"]) > 0, f"{self.text} begins", 5)

    def survivor(self, process):
        """The figures a survivor prints; it has WITHIN seconds."""
        status, output, errors = finish(process, WITHIN)
        assert (status, errors) == (0, ""), (self.text, status, output, errors)
        return {key: int(value) for key, value in re.findall(r"(\w+)=(-?\d+)", one_line(output))}


@pytest.mark.parametrize("victim", ["receive", "send"])
def test_accepted_is_delivered_or_in_doubt(place, dice, victim):
    doubts = total = 0
    for turn in range(KILLS):
        stream = Stream(place, dice, turn)
        time.sleep(dice.uniform(0, 0.03))
        kill(getattr(stream, victim))
        if victim == "receive":
            end = stream.survivor(stream.send)
            handled = count_in(stream.counts["receive"])
            assert end["end"] == -104, (stream.text, end)
            # recv() releases a message before the program counts it, so with it one more may be gone.
            assert end["accepted"] - end["in_doubt"] <= handled + stream.copying, (stream.text, end, handled)
            assert handled <= end["committed"], (stream.text, end, handled)
            doubts += end["in_doubt"]
        else:
            end = stream.survivor(stream.receive)
            accepted = count_in(stream.counts["send"])
            assert end["end"] == -104, (stream.text, end)
            # The receiver checked number and content of each. All that was accepted came, and at most what was being
            # sent when the sender died.
            assert accepted <= end["handled"] <= accepted + stream.batch, (stream.text, end, accepted)
        total += end.get("accepted", end.get("handled", 0))
        place.kill(*place.processes)
        for path in place.path.iterdir():
            path.unlink()
    print(f"{KILLS} kills, {total} messages, {doubts} in doubt")
