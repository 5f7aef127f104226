# SPDX-License-Identifier: BSD-3-Clause
"""Sessions: the carrier follows the peer, and a peer that vanishes is found again, whatever it was doing."""
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib.bridge import KILLS, SANITIZED, SLOW, Bridge, eventually, pause, process_cpu, program
from lib.traffic import EchoService, Flood, ping, tcp_transfer

MIB = 1 << 20


def index(pair, side):
    return pair.namespace[side].link("vop0")["ifindex"]


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_either_may_start_first(pair, order):
    for side in order:
        pair.start_side(side)
        eventually(lambda: pair.namespace[side].link("vop0"), pair.logs)
        time.sleep(0.3)
    pair.wait_up(1.0)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_carrier_follows_graceful_end(pair):
    a, b = pair.start()
    for side, survivor, other in (("b", "a", "b"), ("a", "b", "a")):
        before = index(pair, survivor)
        count = pair.bridge[survivor].text().count("link down")
        assert pair.bridge[side].stop() == 0
        pair.bridge[survivor].wait_line(r"link down: .*closed", count + 1)
        eventually(lambda: not pair.namespace[survivor].has_carrier("vop0"), "carrier off", 1.0)
        pair.start_side(side)
        pair.wait_up(1.0)
        assert index(pair, survivor) == before
        assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_carrier_off_within_a_moment_of_death(pair):
    pair.start()
    for side, survivor in (("a", "b"), ("b", "a")):
        pair.bridge[side].kill()
        waited = eventually(lambda: not pair.namespace[survivor].has_carrier("vop0"), "carrier off", 1.0)
        assert waited < 1.0 * SLOW
        pair.bridge[survivor].wait_line("link down: .*died")
        pair.start_side(side)
        pair.wait_up(1.0)


@pytest.mark.parametrize("side", ["a", "b"])
def test_kill_at_random_moments(pair, side):
    """kill -9 under load, again and again: the survivor serves the next one within a second, and leaks nothing."""
    pair.start()
    survivor = "b" if side == "a" else "a"
    kept = pair.bridge[survivor]
    before = index(pair, survivor)
    flood = Flood(pair.namespace["a"], pair.namespace["b"], "10.99.0.1", "10.99.0.2")
    echo = EchoService(pair.namespace["a"], pair.namespace["b"], "10.99.0.1")
    slowest = 0.0
    held = []
    try:
        for _ in range(KILLS):
            time.sleep(random.random() * 0.1)
            pair.bridge[side].kill()
            time.sleep(random.choice([0, 0, random.random() * 0.1]))
            begin = time.monotonic()
            pair.start_side(side)
            eventually(echo.answers, lambda: f"service again: {pair.logs()}", 5.0)
            slowest = max(slowest, time.monotonic() - begin)
            assert kept.process.poll() is None, kept.text()
            held.append((len(kept.files()), kept.mappings()))
        assert slowest < 1.0 * SLOW, f"service resumed after {slowest:.3f} s"
        assert index(pair, survivor) == before
        assert held[-1] == held[0], f"files and mappings of the survivor: {held}"
        print(f"{KILLS} kills of side {side}: service resumed within {slowest * 1000:.0f} ms at most")
    finally:
        flood.close()
        echo.close()


def test_both_killed(pair):
    pair.start()
    for _ in range(max(2, KILLS // 5)):
        for side in random.choice(["ab", "ba"]):
            pair.bridge[side].kill()
        for side in random.choice(["ab", "ba"]):
            pair.start_side(side)
        pair.wait_up(2.0)
        assert ping(pair.namespace["a"], "10.99.0.2", count=1) == 0


class Transfer(threading.Thread):
    """One TCP connection after the other from a to b, each with its bytes compared, in the background."""

    def __init__(self, pair):
        super().__init__()
        self.pair, self.failure, self.is_last = pair, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.is_last.is_set():
                tcp_transfer(self.pair.namespace["a"], self.pair.namespace["b"], "10.99.0.2", 128 * MIB)
        except Exception as failure:  # noqa: BLE001 - told by finish()
            self.failure = failure

    def finish(self):
        self.is_last.set()
        self.join(120)
        assert not self.is_alive() and not self.failure, self.failure


def test_tcp_survives_a_pause(pair):
    """A bridge that is stopped for a while is merely slow: the session stays, and TCP goes on with its bytes right."""
    pair.start()
    transfer = Transfer(pair)
    for _ in range(3):
        time.sleep(0.2)
        pause(pair.bridge["a"].pid)
        time.sleep(0.1)
        pair.bridge["a"].signal(signal.SIGCONT)
    transfer.finish()
    assert pair.bridge["b"].text().count("link up") == 1


@pytest.mark.parametrize("side", ["a", "b"])
def test_tcp_survives_a_kill(pair, side):
    """kill -9 under a connection: it goes on over the next session. The interface persists, and with it the address."""
    pair.start(both=("--persist",))
    transfer = Transfer(pair)
    for _ in range(3):
        time.sleep(0.3)
        pair.bridge[side].kill()
        pair.start_side(side)
        pair.wait_up(2.0)
    transfer.finish()


def test_no_leak_over_reconnects(pair):
    """20 sessions, by SIGTERM and by SIGKILL: files and mappings of the survivors stay what they are."""
    pair.start()
    for side, survivor in (("b", "a"), ("a", "b")):
        kept = pair.bridge[survivor]
        held = None
        for count in range(20):
            if count % 2:
                pair.bridge[side].kill()
            else:
                pair.bridge[side].stop()
            pair.start_side(side)
            pair.wait_up(2.0)
            eventually(lambda: kept.text().count("link up") >= count + 2, kept.text)
            eventually(kept.has_closed_all, kept.text)
            now = (kept.files(), kept.mappings(), kept.memory())
            held = held or now
            assert len(now[0]) == len(held[0]) and now[1] == held[1], f"session {count}: {held} became {now}"
            assert SANITIZED or now[2] < held[2] + 1024, f"session {count}: {held[2]} KiB became {now[2]}"


def test_third_one_waits(pair, namespaces, tmp_path):
    """While two are joined, another is kept waiting and disturbs nobody; when one dies, it is taken at once."""
    a, b = pair.start()
    third_namespace = namespaces("c")
    third = Bridge("--link", f"shm:{pair.socket}", "--tap", "vop0", "--address", "10.99.0.2/24",
                   namespace=third_namespace, log=tmp_path / "c.log")
    try:
        third.wait_line("waiting for the peer", seconds=5)
        assert ping(pair.namespace["a"], "10.99.0.2") == 0
        assert a.text().count("link up") == 1 and "link up" not in third.text()
        b.kill()
        eventually(lambda: third_namespace.has_carrier("vop0"), third.text, 1.5)
        assert ping(third_namespace, "10.99.0.1") == 0
    finally:
        third.kill()


def test_nothing_is_lost_at_the_beginning(pair):
    """What is sent once the carrier is on waits for the peer's address, however slow the bridge is with the rest."""
    if not shutil.which("strace"):
        pytest.skip("needs strace to slow a bridge down")
    pair.start_side("b")
    slow = ["strace", "-f", "-o", os.devnull, "-e", "trace=ioctl", "-e", "inject=ioctl:delay_exit=100000"]
    pair.start_side("a", prefix=slow)
    pair.wait_up(10.0)
    assert ping(pair.namespace["a"], "10.99.0.2", count=20) == 0


def test_threads_that_begin_late(pair):
    """Whom a worker keeps waiting asks the link to let go of it. At the beginning there is no link yet."""
    if not shutil.which("strace"):
        pytest.skip("needs strace to slow a bridge down")
    pair.start_side("b")
    pair.start_side("a", prefix=["strace", "-D", "-f", "-o", os.devnull, "-e", "trace=sched_getattr", "-e",
                                 "inject=sched_getattr:delay_enter=300000"])
    pair.wait_up(10.0)
    assert pair.bridge["a"].stop() == 0 or SANITIZED  # nobody can look for leaks beside strace


def test_peer_of_another_user(pair, namespaces, tmp_path):
    """Refused and told of, however often it comes; the right one gets in."""
    a = pair.start_side("a", "--peer-uid", "nobody", "--socket-mode", "0666")
    eventually(pair.socket.exists, a.text)
    b = pair.start_side("b")
    assert b.process.wait(5) == 1
    assert re.search(r"the server refused: a process of user 0; this side takes those of user \d+ only", b.text())
    a.wait_line("refused a peer: a process of user 0; this side takes those of user")
    for _ in range(500):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.connect(str(pair.socket))
            other.recv(200)
    assert len(a.text().splitlines()) < 200
    assert "link up" not in a.text() and not pair.namespace["a"].has_carrier("vop0")
    assert a.stop() == 0
    pair.start_side("a", "--peer-uid", "root")
    pair.start_side("b", "--peer-uid", "0")
    pair.wait_up()
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    assert "refused" not in pair.bridge["a"].text().split("link up")[-1]


def test_stale_frames_do_not_burst(pair):
    """What was sent while nobody was there is not delivered to whoever comes."""
    pair.start()
    sender = pair.namespace["a"].socket(socket.AF_INET, socket.SOCK_DGRAM)
    pause(pair.bridge["a"].pid)  # so that the frames wait in the TAP, not in the link
    for number in range(200):
        sender.sendto(number.to_bytes(4, "little"), ("10.99.0.2", 4444))
    pair.bridge["b"].kill()
    pair.bridge["a"].signal(signal.SIGCONT)
    pair.bridge["a"].wait_line("link down")
    receiver = pair.namespace["b"].socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.bind(("", 4444))
        receiver.settimeout(0.3)
        pair.start_side("b")
        pair.wait_up(1.0)
        with pytest.raises(TimeoutError):
            receiver.recv(64)
        sender.sendto(b"fresh", ("10.99.0.2", 4444))
        receiver.settimeout(3)
        assert receiver.recv(64) == b"fresh"


def test_stopped_peer_ends_nothing(pair):
    """A peer that stands still makes the link full and the kernel drop; when it goes on, so does the traffic."""
    a, b = pair.start()
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    flood = Flood(pair.namespace["a"], pair.namespace["b"], "10.99.0.1", "10.99.0.2")
    try:
        pause(b.pid)
        eventually(lambda: a.counters()["tx_full"] > 0, "the link is full", 5.0)
        cpu = process_cpu(a.pid)
        time.sleep(0.5)
        assert process_cpu(a.pid) - cpu < 0.2 * SLOW  # of 0.5: it waits, it does not spin
        b.signal(signal.SIGCONT)
    finally:
        b.signal(signal.SIGCONT)
        flood.close()
    eventually(lambda: ping(pair.namespace["a"], "10.99.0.2", count=10) == 0, "what the flood left is gone", 10.0)
    assert a.text().count("link up") == 1


@pytest.mark.parametrize("is_up", [True, False], ids=["up", "waiting"])
def test_removed_socket_is_made_anew(pair, is_up):
    """As a cleaner of /tmp does it: the link that is up goes on, and whoever comes later finds the bridge."""
    a = pair.start_side("a")
    eventually(pair.socket.exists, a.text)
    if is_up:
        pair.start_side("b")
        pair.wait_up()
    for count in range(1, 4):
        pair.socket.unlink()
        a.wait_line(r"its socket was removed, .*; listening anew\n", count)
        eventually(pair.socket.exists, a.text)
        if is_up:
            assert ping(pair.namespace["a"], "10.99.0.2") == 0
            assert "link down" not in a.text() and a.text().count("link up") == 1
    if is_up:
        assert pair.bridge["b"].stop() == 0
        a.wait_line("link down")
    pair.start_side("b")
    pair.wait_up()
    assert a.stop() == 0
    assert not pair.socket.exists()


def test_removed_directory_of_the_socket(pair):
    """It is told of once, and listening goes on as soon as the directory is there again."""
    directory = pair.directory / "run"
    directory.mkdir()
    pair.socket = directory / "link.sock"
    a, b = pair.start()
    shutil.rmtree(directory)
    a.wait_line("its directory does not exist")
    time.sleep(0.6)
    assert len(a.text().splitlines()) == 3, a.text()  # up, removed, and this
    directory.mkdir()
    a.wait_line("listening again")
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    assert b.stop() == 0
    pair.start_side("b")
    pair.wait_up()


def test_replaced_socket(pair):
    """Somebody else who listens there now keeps the name, and the link stays."""
    a, b = pair.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(str(pair.directory / "other"))
        other.listen(8)
        os.rename(pair.directory / "other", pair.socket)
        a.wait_line("something else is there now")
        a.wait_line("another server has that socket")
        assert ping(pair.namespace["a"], "10.99.0.2") == 0
        assert a.stop() == 0
        assert pair.socket.exists()


def test_idle_costs_nothing(pair):
    a, b = pair.start()
    ping(pair.namespace["a"], "10.99.0.2")
    time.sleep(0.2)
    before = process_cpu(a.pid) + process_cpu(b.pid)
    time.sleep(1.0)
    assert process_cpu(a.pid) + process_cpu(b.pid) - before < 0.035  # it is counted in hundredths


def test_broken_stderr(pair):
    """A closed stderr raises SIGPIPE in others."""
    read_end, write_end = os.pipe()
    pair.start_side("a")
    pair.start_side("b")
    pair.wait_up()
    third = subprocess.Popen([program(), "--link", f"shm:{pair.directory}/other.sock", "--listen", "--tap", "vop5",
                              "--netns", pair.namespace["a"].name], stderr=write_end)
    os.close(write_end)
    os.close(read_end)
    try:
        eventually((pair.directory / "other.sock").exists, "the socket")
        third.send_signal(signal.SIGUSR1)  # prints into the broken pipe
        time.sleep(0.1)
        assert third.poll() is None
    finally:
        third.terminate()
        assert third.wait(5) == 0


def test_unread_stderr(pair):
    """Nobody reads the log and its pipe is full: frames, new peers and signals do not wait for that."""
    fifo = pair.directory / "stderr"
    os.mkfifo(fifo)
    kept = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(kept, b"." * 4096)
        a = pair.start_side("a", "--verbose", prefix=["sh", "-c", f'exec "$0" "$@" 2>{fifo}'])
        for _ in range(2):
            pair.start_side("b")
            pair.wait_up()
            a.signal(signal.SIGUSR1)
            assert ping(pair.namespace["b"], "10.99.0.1") == 0
            assert pair.bridge["b"].stop() == 0
        assert a.stop() == 0
    finally:
        os.close(kept)
