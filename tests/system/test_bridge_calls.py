# SPDX-License-Identifier: BSD-3-Clause
"""The list of system calls, beside those that a bridge makes: it makes no other, and none is listed in vain.

strace sees them from outside, through all that happens to a pair of bridges. It sees what seccomp refuses as well (see
sandbox_list_refusals()): a call that fails, by a thread that goes on.
"""
import collections
import re
import shutil
import signal
import socket
import subprocess

import pytest

from lib.bridge import SANITIZED, SLOW, eventually, program, render, settings_of
from lib.traffic import Flood, tcp_transfer, udp_echo

MIB = 1 << 20

# Listed, and by chance not made by either of the two.
SELDOM = {
    "sched_yield": "a worker that spins and finds nothing",
    "sched_setattr": "a worker that begins to spin, or ends it",
    "brk": "the heap has no room",
    "clock_gettime": "a kick that takes long",
    "readv": "a frame that has no room in one piece, or is copied on its way",
}


class Trace:
    """What strace has written of one bridge."""

    def __init__(self, path, bridge):
        self.path, self.broker = path, bridge.opener()
        assert self.broker != bridge.pid

    def calls(self):
        """(name, what follows it) of the worker's calls behind its last stage. A call that another thread interrupts
        has its result in a line of its own."""
        is_closed, begun = False, {}
        for line in self.path.read_text(errors="replace").splitlines():
            thread, _, rest = line.partition(" ")
            rest = rest.strip()
            if int(thread) == self.broker:
                continue
            if rest.endswith("<unfinished ...>"):
                begun[thread] = rest.removesuffix("<unfinished ...>")
                continue
            if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
                rest = begun.pop(thread) + resumed.group(1)
            if re.match(r"seccomp\(SECCOMP_SET_MODE_FILTER, .*len=\d+.* = 0", rest):
                is_closed = True
            elif is_closed and (found := re.match(r"(\w+)\((.*)", rest)):
                yield found.groups()
        for rest in begun.values() if is_closed else ():  # it has ended in these
            if found := re.match(r"(\w+)\((.*)", rest):  # strace writes ??? if it did not see which
                yield found.groups()


class Traced:
    """A pair of bridges under strace. Side a has a configuration file, metrics, and captures."""

    def __init__(self, pair):
        self.pair, self.directory, self.traces = pair, pair.directory, {"a": [], "b": []}
        self.control = self.directory / "control"
        self.path = self.directory / "a.conf"
        self.write()

    def write(self, **changes):
        """Underscores stand for dashes."""
        self.path.write_text(render({"capture-dir": str(self.directory), "log-level": "debug", **settings_of(changes)}))

    def start(self, side):
        path = self.directory / f"{side}{len(self.traces[side])}.trace"
        words = ["--queues", 2, "--user", "nobody", "--on-tap-loss", "recreate", "--control", self.control,
                 "--log-level", "debug"]
        if side == "a":
            words += ["--config", self.path, "--metrics", f"unix:{self.directory}/metrics.sock"]
        before = self.pair.bridge[side].text().count("stage seccomp") if side in self.pair.bridge else 0
        bridge = self.pair.start_side(side, *words, prefix=["strace", "-D", "-f", "-qq", "-o", path])
        bridge.wait_line("stage seccomp is entered\n", before + 2, 20.0)  # the broker's and its own
        self.traces[side].append(Trace(path, bridge))

    def vop(self, *words):
        done = subprocess.run([program("vop"), "bridge", *map(str, words), "--control", self.control], text=True,
                              capture_output=True, timeout=60 * SLOW)
        assert done.returncode == 0, (words, done.stderr)

    def listed(self, side):
        """What the bridge says that it may call."""
        return set(re.findall(r"sandbox: \d+ system calls: (.*)", self.pair.bridge[side].text())[-1].split())

    def calls(self, side):
        return [call for trace in self.traces[side] for call in trace.calls()]


@pytest.fixture
def traced(pair):
    if SANITIZED:
        pytest.skip("a sanitizer makes calls of its own")
    if not shutil.which("strace"):
        pytest.skip("needs strace, which sees system calls from outside")
    traced = Traced(pair)
    for side in "ab":
        traced.start(side)
    pair.wait_up(20.0)
    return traced


def exchange(pair):
    for sender, receiver, address in (("a", "b", "10.99.0.2"), ("b", "a", "10.99.0.1")):
        udp_echo(pair.namespace[sender], pair.namespace[receiver], address, [0, 1, 1200])
        tcp_transfer(pair.namespace[sender], pair.namespace[receiver], address, 2 * MIB)


def stand_still(pair):
    """The other one finds the link full."""
    flood = Flood(pair.namespace["a"], pair.namespace["b"], "10.99.0.1", "10.99.0.2")
    try:
        pair.bridge["b"].signal(signal.SIGSTOP)
        eventually(lambda: pair.bridge["a"].counters()["tx_full"] > 0, "the link is full", 20.0)
    finally:
        pair.bridge["b"].signal(signal.SIGCONT)
        flood.close()


def ask(traced):
    """What a client can."""
    pid = traced.pair.bridge["a"].pid
    traced.vop("capture", pid, "--rotate-size", 65536, "--snaplen", 96, "ip or ip6")
    for words in (["status"], ["stats"], ["queues"], ["steer", "show"], ["steer", "rss", "--equal", 1],
                  ["steer", "reset"], ["queues", pid, 1], ["queues", pid, 2]):
        traced.vop(*words)
    exchange(traced.pair)
    traced.vop("capture", pid, "show")
    traced.vop("capture", pid, "stop")
    with socket.socket(socket.AF_UNIX) as scraper:
        scraper.connect(str(traced.directory / "metrics.sock"))
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert scraper.recv(12) == b"HTTP/1.1 200"


def reload(traced):
    """By signal, and by a client."""
    a = traced.pair.bridge["a"]
    traced.write(mtu=1400, altname=["other"], affinity="0", spin_us=5, on_peer_loss="hold")
    a.signal(signal.SIGHUP)
    a.wait_line("reload: changed: .*mtu")
    traced.write(mtu=1300, persist=True)
    traced.vop("reload", a.pid)
    traced.write()
    traced.vop("reload", a.pid)


def change_interface(pair):
    """By somebody else."""
    pair.namespace["a"].ip("link", "set", "vop0", "mtu", 1280)
    eventually(lambda: pair.namespace["b"].link("vop0")["mtu"] == 1280, pair.logs)
    for side in "ab":
        pair.namespace[side].ip("link", "set", "vop0", "down")
        pair.namespace[side].ip("link", "set", "vop0", "up")
        pair.namespace[side].ip("link", "del", "vop0")
        pair.bridge[side].wait_line("it was made again", seconds=10.0)
    pair.wait_up(10.0)


def lose_peers(traced):
    for side in "baba":
        traced.pair.bridge[side].kill()
        traced.start(side)
        traced.pair.wait_up(20.0)


def test_list_is_what_is_called(traced):
    pair = traced.pair
    exchange(pair)
    ask(traced)
    reload(traced)
    stand_still(pair)
    change_interface(pair)
    lose_peers(traced)
    exchange(pair)
    for side in "ab":
        assert pair.bridge[side].stop(20) == 0, pair.logs()
    unseen = traced.listed("a") | traced.listed("b")
    for side in "ab":
        listed, calls = traced.listed(side), traced.calls(side)
        others = [call for call in calls if call[0] not in listed]
        assert not [call for call in others if " = -1 E" not in call[1]]
        seen = collections.Counter(name for name, _ in calls if name in listed)
        print(f"side {side}: listed {len(listed)}, seen {len(seen)}: {dict(seen)}")
        print("  refused:", dict(collections.Counter(name for name, _ in others)))
        unseen -= set(seen)
    requests = [rest.split(", ")[1] for side in "ab" for name, rest in traced.calls(side) if name == "ioctl"]
    print("requests of ioctl:", dict(collections.Counter(requests)))
    print("seen on neither side:", sorted(unseen))
    assert unseen <= set(SELDOM)
