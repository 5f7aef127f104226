# SPDX-License-Identifier: BSD-3-Clause
"""Two programs on one file of memory, as a host and a virtual machine have it: echo, bridges, kills and pauses.

VOP_KILLS is the number of kills in each test, VOP_SEED repeats a run.
"""
import os
import pathlib
import random
import re
import signal
import subprocess
import tempfile
import time

import pytest

from lib.bridge import SLOW, Bridge, Pair, eventually, pause, process_cpu
from lib.bridge import run as run_bridge
from lib.echo import echoes, finish, holdings, kill, one_line, program, run
from lib.traffic import ping, tcp_transfer, udp_echo
from test_lackey import count_accesses, need_valgrind

KILLS = int(os.environ.get("VOP_KILLS") or (100 if os.environ.get("VOP_LONG") else 10))
SEED = int(os.environ.get("VOP_SEED") or random.randrange(1 << 32))
MIB = 1 << 20


@pytest.fixture
def dice(request):
    print(f"VOP_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture
def memory():
    """A file of 16 MiB in shared memory."""
    fd, name = tempfile.mkstemp(prefix="vop-ivshmem.", dir="/dev/shm")
    os.ftruncate(fd, 16 * MIB)
    os.close(fd)
    try:
        yield pathlib.Path(name)
    finally:
        os.unlink(name)


@pytest.fixture
def links(memory):
    """The name of each side's end."""
    return f"ivshmem:{memory}", f"ivshmem:{memory}?side=1"


@pytest.fixture
def cable(namespaces, tmp_path, links):
    """Two namespaces and the means to join them by two bridges over the memory."""
    class Cable(Pair):
        def start_side(self, side, *more):
            number = "ab".index(side)
            self.arguments[side] = list(more) or self.arguments[side]
            self.bridge[side] = Bridge(
                "--link", links[number], *(["--listen"] if side == "a" else []), "--tap", "vop0",
                "--address", f"10.99.0.{number + 1}/24", *self.arguments[side],
                namespace=self.namespace[side], log=self.directory / f"{side}.log")
            return self.bridge[side]

    both = Cable(*namespaces("a", "b"), tmp_path)
    try:
        yield both
    finally:
        both.stop()


# ---- Echo ----

@pytest.mark.parametrize("server, client", [(0, 1), (1, 0)])
def test_echo_in_either_order(place, links, server, client):
    first = place.start("echo_client", links[client], "one", "two")
    place.start("echo_server", links[server])
    assert finish(first, 20) == (0, "one\ntwo\n", "")
    assert run("echo_client", links[client], "three") == (0, "three\n", "")


def test_second_claimant(place, memory, links):
    place.start("echo_server", links[0])
    assert run("echo_client", links[1], "hello") == (0, "hello\n", "")
    status, output, errors = run("echo_client", links[0], "hello")
    assert (status, output) == (1, "")
    assert f"{memory}: side 0 is in use" in one_line(errors) and "?side=1" in errors
    status, _, errors = run_bridge("--link", links[0], "--listen", "--tap", "vopx")
    assert status == 1, errors


def test_no_such_memory(place):
    status, output, errors = run("echo_client", "ivshmem:/dev/shm/vop-no-such-memory", "hello")
    assert (status, output) == (1, "")
    assert "truncate" in one_line(errors)


@pytest.mark.parametrize("victim", ["client", "server"])
def test_echo_after_kill(place, links, dice, victim):
    """Whoever is killed comes again, and finds the other or its successor; the server that stays leaks nothing."""
    server = place.start("echo_server", links[0])
    held = []
    for _ in range(KILLS):
        client = place.start("echo_client", links[1], stdin=subprocess.PIPE)
        for number in range(dice.randrange(1, 20)):
            echoes(client, f"line {number}")
        if victim == "client":
            kill(client)
            assert run("echo_client", links[1], "again") == (0, "again\n", "")
            eventually(lambda: len(os.listdir(f"/proc/{server.pid}/task")) == 1, "server is done with its clients", 5)
            time.sleep(0.1)  # until it waits for the next one, with a channel that is ready
            held.append(holdings(server.pid))
        else:
            kill(server)
            client.stdin.write("a line to nobody\n")
            client.stdin.flush()
            status, _, errors = finish(client, 10)
            assert status == 1 and "gone" in one_line(errors)
            server = place.start("echo_server", links[0])
    assert len({files for files, _, _ in held[1:]}) <= 1, held
    mappings = [count for _, _, count in held[1:]] or [0]  # two that touch may be one now and then
    assert max(mappings) - min(mappings) <= 1 < KILLS, held


@pytest.mark.parametrize("paused", ["client", "server"])
def test_echo_after_pause(place, links, paused):
    """Who was stopped for longer than the other waits has lost its session, says so, and can come again."""
    server = place.start("echo_server", links[0])
    for _ in range(2):
        client = place.start("echo_client", links[1], stdin=subprocess.PIPE)
        echoes(client, "before")
        if paused == "client":
            pause(client.pid)
            eventually(lambda: len(os.listdir(f"/proc/{server.pid}/task")) == 1, "server gives the client up", 10)
            client.send_signal(signal.SIGCONT)
            client.stdin.write("after\n")
            client.stdin.flush()
        else:
            pause(server.pid)
            client.stdin.write("after\n")
            client.stdin.flush()
        status, output, errors = finish(client, 10)
        server.send_signal(signal.SIGCONT)
        assert (status, output) == (1, "") and "gone" in one_line(errors)
        assert run("echo_client", links[1], "again") == (0, "again\n", "")


# ---- The data path ----

def mappings(pid, memory):
    """Where a process has each half of the memory, with the mirrored pool of it, and each half's announce block."""
    places, blocks = {0: [], 1: []}, {}
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        found = re.match(rf"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) .*{re.escape(str(memory))}$", line)
        if found:
            begin, end, offset = (int(value, 16) for value in found.groups())
            while begin < end:  # the kernel shows neighbours as one
                half, within = divmod(offset, 8 * MIB)
                stop = min(end, begin + 8 * MIB - within)
                places[half].append((begin, stop))
                if within == 0:
                    blocks[half] = (begin, begin + 0x100)
                begin, offset = stop, offset + stop - begin
    return places, blocks


@pytest.mark.parametrize("side", [0, 1])
def test_no_load_crosses(place, memory, links, side):
    need_valgrind("lackey-peer")
    trace = place.path / "trace"
    echo = place.start("lackey-peer", "listen", "echo", links[1 - side])
    command = ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={trace}"]
    command += [program("lackey-peer"), "connect", "traced", links[side]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    place.processes.append(process)
    marks = process.stdout.readline()
    pause(process.pid)  # for less than a second
    halves, blocks = mappings(process.pid, memory)
    process.send_signal(signal.SIGCONT)
    start = time.monotonic()
    status, output, errors = finish(process, 100)
    assert status == 0, errors
    half_seconds = 1 + int((time.monotonic() - start) / 0.5)
    assert finish(echo, 20)[0] == 0

    places = {"local": halves[side], "remote": halves[1 - side], "own block": [blocks[1 - side]]}
    assert len(places["remote"]) == 3 and len(places["local"]) == 3  # a window and a mirrored pool, of each half
    messages = int(re.fullmatch(r"messages (\d+)\n", output).group(1))
    counts = count_accesses(trace, places, tuple(int(value, 16) for value in marks.split()[1:]))
    print(f"{messages} messages each way: {counts}")
    # Who was not scheduled for half a second has to look whether its side is still its own (PROTOCOL.md).
    assert counts["own block", "L"] <= 4 * half_seconds
    assert counts["remote", "L"] == counts["own block", "L"], "the data path loads from the half that it writes"
    assert counts["local", "S"] == 0
    assert counts["remote", "S"] > 3 * messages
    assert counts["local", "L"] > 3 * messages


# ---- Bridges ----

@pytest.mark.parametrize("order", ["ab", "ba"])
def test_bridges(cable, order):
    for side in order:
        cable.start_side(side)
        eventually(lambda: cable.namespace[side].link("vop0"), cable.logs)
        time.sleep(0.3)
    cable.wait_up(5.0)
    a, b = cable.namespace["a"], cable.namespace["b"]
    assert ping(a, "10.99.0.2", count=20) == 0
    assert ping(b, "10.99.0.1", size=30000) == 0
    tcp_transfer(a, b, "10.99.0.2", 32 * MIB)
    tcp_transfer(b, a, "10.99.0.1", 32 * MIB)
    udp_echo(a, b, "10.99.0.2", [0, 1, 1400, 20000, 65000])
    for side in "ab":
        assert cable.bridge[side].stop() == 0


@pytest.mark.parametrize("side", ["a", "b"])
def test_bridge_after_kill(cable, dice, side):
    survivor = "b" if side == "a" else "a"
    cable.start()
    for _ in range(KILLS // 2):
        time.sleep(dice.random() * 0.1)
        cable.bridge[side].kill()
        if dice.random() < 0.5:
            eventually(lambda: not cable.namespace[survivor].has_carrier("vop0"), "carrier off", 3.0)
        cable.start_side(side)
        cable.wait_up(5.0)
        eventually(lambda: ping(cable.namespace["a"], "10.99.0.2", count=1) == 0, "ping", 10.0)
    assert cable.bridge[survivor].process.poll() is None


def test_bridge_after_pause(cable):
    cable.start()
    for side, survivor in (("a", "b"), ("b", "a")):
        pause(cable.bridge[side].pid)
        eventually(lambda: not cable.namespace[survivor].has_carrier("vop0"), "carrier off", 3.0)
        cable.bridge[side].signal(signal.SIGCONT)
        cable.bridge[side].wait_line("link down")
        cable.wait_up(5.0)
        eventually(lambda: ping(cable.namespace["a"], "10.99.0.2", count=1) == 0, "ping", 10.0)


def test_bridges_at_rest(cable):
    """Both look at the memory now and then; that costs little, and the link stays up."""
    cable.start()
    before = {side: process_cpu(cable.bridge[side].pid) for side in "ab"}
    time.sleep(3)
    share = {side: (process_cpu(cable.bridge[side].pid) - before[side]) / 3 for side in "ab"}
    print(f"processor at rest: {share['a']:.1%} and {share['b']:.1%}")
    assert cable.is_up() and "link down" not in str(cable.logs())
    assert max(share.values()) < 0.3 * SLOW  # a bridge that never sleeps uses 1.0
