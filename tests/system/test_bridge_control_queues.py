# SPDX-License-Identifier: BSD-3-Clause
"""A bridge with several queues at the control socket: how many are in use, what each counts, how it is steered."""
import json
import subprocess
import threading

import pytest

from lib.bridge import BIN, SLOW, eventually
from lib.traffic import ping, tcp_transfer

VOP = BIN / "vop"
MIB = 1 << 20


class Side:
    """vop bridge for one of a pair."""

    def __init__(self, pair, side, control):
        self.namespace = pair.namespace[side]
        self.bridge = pair.bridge[side]
        self.name = f"vop0.{self.bridge.pid}"
        self.control = control

    def vop(self, *words):
        done = subprocess.run([VOP, "bridge", *map(str, words), "--control", self.control], text=True,
                              capture_output=True, timeout=60 * SLOW)
        return done.returncode, done.stdout, done.stderr

    def ask(self, *words):
        status, out, err = self.vop(*words, self.name, "--json")
        assert status == 0, err
        return json.loads(out)[0]

    def use(self, count):
        assert self.vop("queues", self.name, count) == (0, f"{self.name}: queues {count} of 2\n", "")
        status = self.ask("status")
        assert (status["queues"], status["queues_max"]) == (count, 2)
        assert self.kernel() == (count, 2 - count)

    def kernel(self):
        """In use, and open besides, as the kernel has it."""
        data = self.namespace.link("vop0")["linkinfo"]["info_data"]
        return data["numqueues"], data["numdisabled"]

    def steer(self, *words):
        assert self.vop("steer", *words, self.name) == (0, "", "")

    def steered(self):
        """Frames that went to each queue so far."""
        return self.ask("steer", "show")["frames"]


@pytest.fixture
def start(pair, tmp_path):
    def start_two(*words, queues=(2, 2)):
        control = tmp_path / "control"
        pair.start(a=("--queues", queues[0]), b=("--queues", queues[1]), both=["--control", control, *words])
        return [Side(pair, side, control) for side in "ab"]

    yield start_two
    for bridge in pair.bridge.values():
        if bridge.process.poll() is None:
            assert bridge.stop() == 0


class Traffic(threading.Thread):
    """TCP connections one way, one after the other, until it is told to end. Each has its bytes compared."""

    def __init__(self, sender, receiver, address):
        super().__init__(daemon=True)
        self.ends, self.address = (sender.namespace, receiver.namespace), address
        self.is_over, self.count, self.failure = False, 0, None
        self.start()

    def run(self):
        try:
            while not self.is_over:
                tcp_transfer(*self.ends, self.address, MIB)
                self.count += 1
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def wait_next(self):
        """Until one has passed that began after this call."""
        wanted = self.count + 2
        eventually(lambda: self.failure or self.count >= wanted, "a transfer", 60)
        assert not self.failure, self.failure

    def end(self):
        self.is_over = True
        self.join()


@pytest.mark.parametrize("steer", ["kernel", "rss"])
def test_under_traffic(start, steer):
    """One queue and back, on either side, while both send: no connection breaks."""
    a, b = start("--steer", steer)
    ways = [Traffic(a, b, "10.99.0.2"), Traffic(b, a, "10.99.0.1")]
    try:
        for count in (1, 2):
            for side in (a, b):
                side.use(count)
                for way in ways:
                    way.wait_next()
                assert ping(a.namespace, "10.99.0.2", count=1) == 0
    finally:
        for way in ways:
            way.end()
    for side in (a, b):
        link = side.ask("status")["link"]
        assert (link["state"], link["sessions"]) == ("up", 1)


def test_stats_sum_over_the_queues(start):
    """Each queue has its own, and the sums are those that a signal logs."""
    a, b = start()
    for _ in range(4):
        tcp_transfer(a.namespace, b.namespace, "10.99.0.2", MIB)
    for side in (a, b):
        stats = side.ask("stats")
        later = side.bridge.counters()  # the kernels may send more meanwhile
        assert len(stats["queues"]) == 2
        for counter, total in stats["total"].items():
            assert total == sum(queue[counter] for queue in stats["queues"]) <= later[counter]
        assert stats["total"]["tx_frames"] > 0 and stats["total"]["rx_frames"] > 0


def test_it_stays_for_the_next_session(start, pair):
    a, b = start()
    a.use(1)
    assert b.bridge.stop() == 0
    a.bridge.wait_line("link down")
    pair.start_side("b")
    pair.wait_up()
    eventually(lambda: a.ask("status")["link"]["sessions"] == 2, "the second session")
    assert a.ask("queues") == {"bridge": a.name, "queues": 1, "queues_max": 2} and a.kernel() == (1, 1)
    a.use(2)
    assert ping(a.namespace, "10.99.0.2") == 0


def test_no_more_than_the_peer_has(start, pair):
    """Without the peer, as many as are open."""
    a, b = start(queues=(3, 2))
    assert a.ask("queues") == {"bridge": a.name, "queues": 2, "queues_max": 2}
    status, out, err = a.vop("queues", a.name, 3)
    assert (status, out) == (1, "") and "count: not a whole number from 1 to 2, the most queues that the peer" in err
    assert b.bridge.stop() == 0
    a.bridge.wait_line("link down")
    assert a.vop("queues", a.name, 3) == (0, f"{a.name}: queues 3 of 3\n", "")
    assert a.kernel() == (3, 0)


@pytest.mark.parametrize("count", [0, 3, 4294967297])
def test_counts_that_do_not_do(start, count):
    a, _ = start()
    status, out, err = a.vop("queues", a.name, count)
    if count > 10 ** 9:
        assert status == 2 and "is too large" in err
    else:
        assert (status, out) == (1, "") and "from 1 to 2, the most queues that --queues has opened" in err
    assert a.ask("queues") == {"bridge": a.name, "queues": 2, "queues_max": 2}


def test_for_people(start):
    a, b = start()
    status, out, _ = a.vop("queues")
    assert status == 0 and sorted(out.splitlines()) == sorted(f"{side.name}: queues 2 of 2" for side in (a, b))
    assert a.vop("queues", 1)[0] == 0 and a.kernel() == b.kernel() == (1, 1)  # all that run
    status, out, _ = a.vop("queues", a.bridge.pid, 2)
    assert (status, out) == (0, f"{a.name}: queues 2 of 2\n") and b.kernel() == (1, 1)
    status, out, _ = a.vop("status", b.name)
    assert status == 0 and ", queues 1 of 2, " in out
    status, out, _ = a.vop("stats", a.name)
    assert status == 0 and "queue 1" in out.splitlines()[0]


def flow(namespace, count):
    """So many frames of one flow, which nobody answers."""
    namespace.run("python3", "-c", "import socket\n"
                  "sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                  "sender.bind(('10.99.0.1', 4000))\n"
                  f"for _ in range({count}):\n    sender.sendto(b'x', ('10.99.0.2', 9))")


def test_steering(start):
    """Where the flow is pinned to, or the table sends it, its frames are counted: by the program, and by the queue."""
    a, _ = start("--steer", "rss")
    if "built without" in (a.ask("steer", "show")["fallback"] or ""):
        pytest.skip("built without the steering program")
    assert ping(a.namespace, "10.99.0.2", count=1) == 0

    def sent(count=40):
        """By which queue the flow goes."""
        before, carried = a.steered(), a.ask("stats")["queues"]
        flow(a.namespace, count)
        gained = [now - then for now, then in zip(a.steered(), before)]
        queue = gained.index(max(gained))
        assert gained[queue] >= count
        eventually(lambda: a.ask("stats")["queues"][queue]["tx_frames"] - carried[queue]["tx_frames"] >= count,
                   lambda: (carried, a.ask("stats")["queues"]))
        return queue

    for queue in (0, 1):
        a.steer("pin", "udp", "10.99.0.1:4000", "10.99.0.2:9", queue)
        assert sent() == queue
    a.use(1)  # its queue is not there: the flow goes on by the other
    flow(a.namespace, 5)
    assert a.steered()[0] >= 5 and len(a.steered()) == 1
    status, _, err = a.vop("steer", "pin", "udp", "10.99.0.1:4000", "10.99.0.2:9", 1, a.name)
    assert status == 1 and "there are 1 queues" in err
    a.use(2)
    assert sent() == 1  # and comes back with it
    a.steer("pin", "udp", "10.99.0.1:4000", "10.99.0.2:9", "none")
    for weights, queue in (("1,0", 0), ("0,1", 1)):
        a.steer("rss", "--weight", weights)
        assert sent() == queue
