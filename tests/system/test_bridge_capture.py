# SPDX-License-Identifier: BSD-3-Clause
"""vop bridge capture: what is in the files is what the bridge has carried, and the bridge does not wait for them."""
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

from lib import pcapng
from lib.bridge import BIN, SLOW, eventually
from lib.traffic import Flood, ping, tcp_transfer

VOP = BIN / "vop"
MIB = 1 << 20


class Captures:
    """Side "a" of a pair that is up, and what its captures have written."""

    def __init__(self, pair, directory, control):
        self.pair, self.directory, self.control = pair, directory, control

    def start_bridges(self, *words):
        both = ["--control", self.control, *words]
        self.pair.start(both=both, a=["--capture-dir", self.directory])

    @property
    def bridge(self):
        return self.pair.bridge["a"]

    def run(self, *words):
        """(status, stdout, stderr) of vop bridge capture."""
        done = subprocess.run([VOP, "bridge", "capture", str(self.bridge.pid), "--control", self.control,
                               *map(str, words)], text=True, capture_output=True, timeout=30 * SLOW)
        return done.returncode, done.stdout, done.stderr

    def start(self, *words):
        status, out, err = self.run(*words)
        assert (status, err) == (0, ""), err
        path = pathlib.Path(out.strip())
        assert path.parent == self.directory and path.exists()
        assert re.fullmatch(r"vop0-\d{8}-\d{6}(-\d+)?\.pcapng", path.name) and path.stat().st_mode & 0o7777 == 0o600
        return path

    def ask(self, what="show"):
        status, out, err = self.run(what, "--json")
        assert status == 0, err
        return json.loads(out)[0]

    def stop(self):
        answer = self.ask("stop")
        assert answer["state"] == "ended"
        return answer

    def wait_end(self):
        eventually(lambda: self.ask()["state"] == "ended", lambda: str(self.ask()), 10)
        return self.ask()

    def datagrams(self, count, size=100, port=9):
        """From a to b, where all of them have arrived."""
        sender, receiver = (self.pair.namespace[side].socket(socket.AF_INET, socket.SOCK_DGRAM) for side in "ab")
        with sender, receiver:
            receiver.bind(("10.99.0.2", port))
            receiver.settimeout(5 * SLOW)
            for first in range(0, count, 50):
                for i in range(first, min(first + 50, count)):
                    sender.sendto(i.to_bytes(4, "big").ljust(size, b"."), ("10.99.0.2", port))
                for _ in range(first, min(first + 50, count)):
                    receiver.recv(size)


@pytest.fixture
def captures(pair, tmp_path):
    """At the end nothing is open any more, and the control socket is gone."""
    control = tmp_path / "control"
    captures = Captures(pair, tmp_path / "captures", control)
    yield captures
    for bridge in pair.bridge.values():
        if bridge.process.poll() is None:
            assert bridge.stop() == 0
    assert not control.exists()


def tcpdump(path, *words):
    """What tcpdump makes of a file, a line a frame. It complains of a file that ends within a block."""
    done = subprocess.run(["tcpdump", "-n", "-r", path, *words], text=True, capture_output=True, timeout=60 * SLOW)
    assert done.returncode == 0 and "truncated" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def check_sums(answer, file):
    """One queue's numbers and all others' are those that the capture tells."""
    assert len(file.frames) == answer["frames"] == answer["accepted"] - answer["dropped"]
    for mine, theirs in (("received", "received"), ("accepted", "accepted"), ("dropped", "dropped"),
                         ("written", "frames")):
        assert sum(queue[mine] for queue in file.statistics) == answer[theirs]


@pytest.mark.parametrize("queues", [1, 2])
def test_all_that_was_carried(captures, queues):
    """Both directions, TCP with frames of up to 64 KiB: as many frames and bytes as the bridge has counted."""
    captures.start_bridges("--queues", queues)
    a, b = (captures.pair.namespace[side] for side in "ab")
    begin = time.time_ns()
    path = captures.start()
    before = captures.bridge.counters()
    assert captures.ask()["state"] == "running" and captures.ask()["direction"] == "inout"
    tcp_transfer(a, b, "10.99.0.2", 2 * MIB)
    captures.datagrams(500)
    assert ping(b, "fd99::1") == 0
    after = captures.bridge.counters()
    answer = captures.stop()
    end = time.time_ns()
    file = pcapng.read(path)
    check_sums(answer, file)
    assert answer["file"] == str(path) and answer["files"] == 1 and not answer["failed"] and answer["why"] is None
    assert answer["bytes"] == path.stat().st_size
    assert answer["dropped"] == sum(frame.dropped for frame in file.frames) == 0
    assert [queue["description"] for queue in file.queues] == [f"queue {i}" for i in range(queues)]
    assert {queue["name"] for queue in file.queues} == {"vop0"} and file.section[4].startswith(b"vop-bridge ")
    assert {frame.queue for frame in file.frames} <= set(range(queues))
    for direction, name in (("out", "tx"), ("in", "rx")):
        frames = [frame for frame in file.frames if frame.direction == direction]
        # the kernels may send more, before the first question and after the last one
        assert 0 <= len(frames) - (after[f"{name}_frames"] - before[f"{name}_frames"]) < 20
        assert sum(frame.length for frame in frames) >= after[f"{name}_bytes"] - before[f"{name}_bytes"]
    assert max(frame.length for frame in file.frames) > 20000
    assert all(len(frame.data) == frame.length for frame in file.frames)
    assert all(begin <= frame.time_ns <= end for frame in file.frames)
    assert all(queue["start_ns"] <= queue["end_ns"] <= end for queue in file.statistics)
    numbers = [int.from_bytes(frame.data[42:46], "big") for frame in file.frames
               if frame.direction == "out" and frame.length == 142 and frame.data[36:38] == b"\0\x09"]
    assert sorted(numbers) == list(range(500))  # the flow may have moved from one queue to another
    lines = tcpdump(path, "-e")
    assert len(lines) == len(file.frames) and sum("10.99.0.2.9: UDP, length 100" in line for line in lines) == 500


def test_choices(captures):
    """Direction, snap length and filter; the latter is run on the whole frame, whatever is kept of it."""
    captures.start_bridges()
    b = captures.pair.namespace["b"]
    path = captures.start("--direction=in", "--snaplen=50", "icmp[0] == 8", "or icmp6[0]", "==", 128)
    assert captures.ask()["filter"] == "icmp[0] == 8 or icmp6[0] == 128"
    assert ping(b, "10.99.0.1", count=7, size=3000) == 0  # fragments, the first of which has a type
    assert ping(b, "fd99::1", count=5) == 0
    captures.datagrams(20)
    answer = captures.stop()
    file = pcapng.read(path)
    check_sums(answer, file)
    assert {frame.direction for frame in file.frames} == {"in"} and answer["received"] > answer["accepted"] == 12
    assert all(len(frame.data) == 50 < frame.length for frame in file.frames)
    assert all((queue["snaplen"], queue["filter"]) == (50, answer["filter"]) for queue in file.queues)
    path = captures.start("--direction=out", "--snaplen=42", f"udp[{8 + 99}] = {ord('.')} and greater 142")
    captures.datagrams(20)
    captures.datagrams(20, size=99)
    assert captures.stop()["frames"] == 20
    assert len(tcpdump(path)) == 20


def test_limits_and_answers(captures):
    captures.start_bridges()
    assert captures.run("show")[1] == f"vop0.{captures.bridge.pid}: capture none\n"
    path = captures.start("start", "--frames", 30, "udp port 9")
    captures.datagrams(100)
    answer = captures.wait_end()
    assert answer["why"] == "it has all of its frames" and not answer["failed"] and answer["frames"] == 30
    assert len(pcapng.read(path).frames) == 30
    captures.start("--seconds", 1)
    answer = captures.wait_end()
    assert answer["why"] == "its time is over" and answer["duration_ms"] >= 1000
    assert captures.stop()["why"] == "its time is over"  # nothing to stop is no mistake
    path = captures.start("--rotate-size=70000", "udp")
    status, out, err = captures.run("stop")
    assert (status, err) == (0, "")
    assert re.fullmatch(rf"vop0\.\d+: capture ended, \d+\.\d s\n  file      {path}\n  frames    0 written, \d+ bytes\n"
                        r"  dropped   0 of 0 that the filter accepted, of \d+ seen\n"
                        r"  captured  inout, the first 262144 bytes of a frame, filter udp\n"
                        r"  limits    70000 bytes a file\n", out), out
    # somebody removes it
    captures.start().unlink()
    answer = captures.wait_end()
    assert answer["failed"] and "somebody has removed it" in answer["why"]
    captures.bridge.wait_line(r"capture: .*somebody has removed it; it has ended")
    assert ping(captures.pair.namespace["a"], "10.99.0.2") == 0
    assert not [name for name in captures.bridge.files() if "pcapng" in name]


def test_rotation(captures):
    """Many small files, of which the newest are left: no frame between two of them is missing."""
    captures.start_bridges()
    first = captures.start("--rotate-size", 65536, "--rotate-files", 3, "--direction", "out", "udp port 9")
    captures.datagrams(1000, size=1000)
    answer = captures.stop()
    files = sorted(captures.directory.iterdir(), key=lambda path: int(path.stem.split("-")[3]))
    assert len(files) == 3 and answer["files"] > 10 and not first.exists() and str(files[-1]) == answer["file"]
    assert all(path.stat().st_size <= 65536 for path in files)
    numbers = []
    for path in files:
        file = pcapng.read(path)
        assert file.statistics and tcpdump(path)
        numbers += [int.from_bytes(frame.data[42:46], "big") for frame in file.frames]
    assert numbers == list(range(1000 - len(numbers), 1000)) and answer["frames"] == 1000
    # a file that is not the capture's own stays, and is not written to
    for number in range(3):
        captures.start("--rotate-size", 65536, "--rotate-files", 1)
        captures.stop()
    assert len(list(captures.directory.iterdir())) == 6


@pytest.fixture
def small_disk(captures):
    """A tmpfs of 256 KiB in a namespace of mounts, which the bridge is in."""
    captures.directory.mkdir()
    yield ["unshare", "--mount", "--propagation", "private", "sh", "-c",
           f"mount -t tmpfs -o size=256k none {captures.directory} && exec \"$@\"", "sh"]


def test_a_full_disk(captures, small_disk):
    """The capture ends with a line, its file with a whole frame; frames are carried on."""
    pair = captures.pair
    pair.start_side("a", "--control", captures.control, "--capture-dir", captures.directory, prefix=small_disk)
    pair.start_side("b", "--control", captures.control)
    pair.wait_up()
    inside = pathlib.Path(f"/proc/{captures.bridge.pid}/root{captures.directory}")
    status, out, err = captures.run()
    assert status == 0, err
    path = inside / pathlib.Path(out.strip()).name
    tcp_transfer(pair.namespace["a"], pair.namespace["b"], "10.99.0.2", MIB)
    answer = captures.wait_end()
    assert answer["failed"] and "No space left on device" in answer["why"]
    captures.bridge.wait_line(r"capture: /.*pcapng: No space left on device; it has ended, after \d+ frames")
    file = pcapng.read(path)
    assert len(file.frames) == answer["frames"] > 3 and path.stat().st_size > 100000
    captures.run()
    tcp_transfer(pair.namespace["b"], pair.namespace["a"], "10.99.0.1", MIB)
    assert captures.wait_end()["failed"]
    path.unlink()  # now there is room
    assert captures.run("icmp")[0] == 0 and captures.stop()["why"] is None


def threads(bridge):
    for task in pathlib.Path(f"/proc/{bridge.pid}/task").iterdir():
        yield int(task.name), (task / "comm").read_text().strip()


def test_drops_are_counted(captures):
    """Frames come faster than they can be written: by a thread that is left next to no processor time."""
    captures.start_bridges("--queues", 1)
    thread, = (number for number, name in threads(captures.bridge) if name == "vop-capture")
    path = captures.start()
    os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    os.sched_setaffinity(thread, {0})
    hogs = [subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "taskset", "1", "sh", "-c", "while :; do :; done"])
            for _ in range(2)]
    try:
        before = captures.bridge.counters()
        tcp_transfer(captures.pair.namespace["a"], captures.pair.namespace["b"], "10.99.0.2", 64 * MIB)
        after = captures.bridge.counters()
        assert after["tx_bytes"] - before["tx_bytes"] > 64 * MIB
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    answer = captures.stop()
    file = pcapng.read(path)
    check_sums(answer, file)
    assert answer["dropped"] > 0
    lost_after_the_last = answer["dropped"] - sum(frame.dropped for frame in file.frames)
    assert lost_after_the_last >= 0 and any(frame.dropped for frame in file.frames) or lost_after_the_last > 0


def test_sessions_come_and_go(captures):
    """A capture is of the bridge, not of a session."""
    captures.start_bridges()
    path = captures.start("icmp")
    assert ping(captures.pair.namespace["a"], "10.99.0.2", count=3) == 0
    captures.pair.bridge["b"].kill()
    captures.pair.start_side("b")
    captures.pair.wait_up()
    assert ping(captures.pair.namespace["a"], "10.99.0.2", count=3) == 0
    captures.stop()
    assert len(pcapng.read(path).frames) >= 12


def test_the_bridge_ends(captures):
    """What has come is in the file then, whose end is a right one."""
    captures.start_bridges()
    path = captures.start("udp port 9")
    captures.datagrams(100)
    assert captures.bridge.stop() == 0
    file = pcapng.read(path)
    assert len(file.frames) == 100 and file.statistics


def test_under_load_start_and_stop(captures):
    captures.start_bridges()
    flood = Flood(captures.pair.namespace["a"], captures.pair.namespace["b"], "10.99.0.1", "10.99.0.2")
    try:
        files = [(captures.start(), captures.stop()) for _ in range(5)]
    finally:
        flood.close()
    for path, answer in files:
        check_sums(answer, pcapng.read(path))


def test_a_filter_is_shown_in_terminals(captures):
    """So its text has nothing that one obeys, whichever client sent it."""
    captures.start_bridges()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10 * SLOW)
        client.connect(str(captures.control / f"vop0.{captures.bridge.pid}.sock"))
        for text, answer in (("\x1b[2J", "error"), ("ip\n", "error"), ("ip", "result")):
            request = {"jsonrpc": "2.0", "id": 1, "method": "capture.start",
                       "params": {"filter": text, "program": [[6, 0, 0, 1]]}}
            client.sendall(json.dumps(request).encode() + b"\n")
            said = json.loads(client.makefile().readline())
            assert answer in said, said


def test_refusals(captures):
    captures.start_bridges()
    path = captures.start("--snaplen", 100)
    assert captures.run()[::2] == (1, f"vop: bridge vop0.{captures.bridge.pid}: a capture is running, or is not "
                                      "written yet; stop it first\n")
    for words, status, pattern in (
            (["udp prot 9"], 2, "filter udp prot 9: .*syntax error"),
            (["--snaplen", 13], 1, "snaplen: not a whole number from 14 to 262144"),
            (["--snaplen", "x"], 2, "--snaplen x: not a number"),
            (["--direction", "up"], 1, "direction: neither in"),
            (["--rotate-files", 3], 1, "rotate_files: without rotate_size"),
            (["--rotate-size", 100], 1, "rotate_size: not a whole number from 65536"),
            (["stop", "now"], 2, "capture stop: now: it takes the name of a bridge, and no more"),
            (["show", "--frames", 3], 2, "--frames is for capture start only"),
            (["--equal", 3], 2, "--equal is for steer rss only")):
        found = captures.run(*words)
        assert found[0] == status and re.search(pattern, found[2]), found
    assert captures.ask()["state"] == "running" and captures.stop()["file"] == str(path)
    path.unlink()
    captures.directory.rmdir()
    captures.directory.symlink_to("/nowhere")
    status, _, err = captures.run()
    assert status == 1 and f"{captures.directory}: " in err and "--capture-dir" in err
    captures.directory.unlink()


def test_none(captures):
    captures.pair.start_side("a", "--control", captures.control, "--capture-dir", "none")
    eventually(lambda: "started without captures" in captures.run()[2], "that answer", 5)
    assert "vop-capture" not in dict(threads(captures.bridge)).values()
