# SPDX-License-Identifier: BSD-3-Clause
"""How vop-bridge lives with a peer that comes and goes, and how it ends: the carrier, frames for nobody, draining."""
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib.bridge import SLOW, eventually, pause
from lib.traffic import Flood, Numbers, ping

COUNT = 200


@pytest.fixture
def single(pair):
    """With one queue on each side, which needs no steering and so starts quicker."""
    pair.link = {"a": ["--link", f"shm:{pair.socket}", "--listen", "--queues", 1],
                 "b": ["--link", f"shm:{pair.socket}", "--queues", 1]}
    return pair


@pytest.fixture
def numbers(single):
    made = []

    def make(sender, receiver):
        made.append(Numbers(single, sender, receiver))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ---- The carrier, and frames for nobody ----

def test_carrier_is_on(single):
    """From the beginning, whatever the peer does."""
    single.start_side("a", "--carrier", "on")
    eventually(lambda: single.namespace["a"].has_carrier("vop0") and single.socket.exists(), single.logs)
    assert single.bridge["a"].status()["interface"]["carrier"] is True
    changes = subprocess.Popen(["ip", "-n", single.namespace["a"].name, "monitor", "link", "dev", "vop0"], text=True,
                               stdout=subprocess.PIPE)
    try:
        b = single.start_side("b")
        eventually(lambda: single.namespace["b"].has_carrier("vop0"), single.logs)
        assert ping(single.namespace["a"], "10.99.0.2") == 0
        single.namespace["b"].ip("link", "set", "vop0", "down")
        time.sleep(0.1)
        single.namespace["b"].ip("link", "set", "vop0", "up")
        eventually(lambda: ping(single.namespace["a"], "10.99.0.2", count=1) == 0, "ping", 5.0)
        b.kill()
        single.bridge["a"].wait_line("link down")
        single.start_side("b")
        eventually(lambda: single.namespace["b"].has_carrier("vop0"), single.logs)
        eventually(lambda: ping(single.namespace["a"], "10.99.0.2", count=1) == 0, "ping", 5.0)
    finally:
        changes.terminate()
    assert "NO-CARRIER" not in changes.communicate()[0]


@pytest.mark.parametrize("carrier", ["on", "follow"])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_frames_for_nobody_are_kept(single, numbers, carrier, end):
    """With hold: what the kernel had queued is for the next peer, all of it and in order."""
    a, b = single.start(a=["--carrier", carrier, "--on-peer-loss", "hold"])
    numbers = numbers("a", "b")
    if carrier == "on":
        getattr(b, end)()
        a.wait_line("link down")
        numbers.send(COUNT)
    else:  # without a carrier the kernel queues nothing: only what had come before is there
        pause(a.pid)
        numbers.send(COUNT)
        b.kill()
        a.signal(signal.SIGCONT)
        a.wait_line("link down")
    assert a.counters()["tx_stale"] == 0
    single.start_side("b")
    got = numbers.receive(COUNT)
    assert got == sorted(got) and set(got) >= set(range(COUNT - len(got), COUNT))
    if carrier == "on":
        assert got == list(range(COUNT))
    else:  # some were on their way to the peer that died
        assert len(got) >= COUNT - a.counters()["tx_frames"]
    assert a.counters()["tx_stale"] == 0


def test_the_kernels_queue_bounds_what_is_kept(single, numbers):
    a, b = single.start(a=["--carrier", "on", "--on-peer-loss", "hold", "--txqueuelen", 50])
    numbers = numbers("a", "b")
    b.kill()
    a.wait_line("link down")
    dropped = single.namespace["a"].statistics("vop0")["tx"]["dropped"]
    numbers.send(COUNT)
    single.start_side("b")
    single.wait_up()
    got = numbers.receive(patience=0.3)
    assert got == list(range(len(got))) and 20 <= len(got) <= 50  # the kernel itself had something to say
    assert single.namespace["a"].statistics("vop0")["tx"]["dropped"] - dropped >= COUNT - 50


def test_frames_for_nobody_are_dropped(single, numbers):
    """Without hold: nothing old comes, and it is counted."""
    a, b = single.start(a=["--carrier", "on"])
    numbers = numbers("a", "b")
    b.kill()
    a.wait_line("link down")
    numbers.send(COUNT)
    single.start_side("b")
    a.wait_line("link up", 2)
    assert numbers.receive(patience=0.3) == []
    assert a.counters()["tx_stale"] >= COUNT
    numbers.send(1)
    assert numbers.receive(1) == [COUNT]


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_peer_loss_ends_the_bridge(single, end):
    a, b = single.start(a=["--on-peer-loss", "exit"])
    getattr(b, end)()
    assert a.process.wait(5 * SLOW) == 1
    assert re.search(r"link down: .*\n.*--on-peer-loss exit: the peer is gone, so this bridge ends", a.text())
    assert single.namespace["a"].link("vop0") is None and not single.socket.exists()


def test_no_peer_yet_is_no_loss(single):
    a = single.start_side("a", "--on-peer-loss", "exit")
    eventually(single.socket.exists, a.text)
    time.sleep(0.3)
    assert a.process.poll() is None
    assert a.stop() == 0


@pytest.mark.parametrize("words", [["--on-peer-loss", "hold", "--carrier", "on"], ["--on-tap-loss", "recreate"]])
def test_reconnects(single, words):
    """Under these options as without them: soon, again and again, and nothing leaks."""
    single.start(b=words)
    kept = single.bridge["b"]
    for count in range(2, 5):
        single.bridge["a"].kill()
        kept.wait_line("link down", count - 1)
        time.sleep(0.3)  # so that the pauses between its attempts have grown
        single.start_side("a")
        kept.wait_line("link up", count, 3.0)
        single.wait_up()
        eventually(kept.has_closed_all, kept.text)
        files = len(kept.files()) if count == 2 else files
        assert len(kept.files()) == files
    eventually(lambda: ping(single.namespace["b"], "10.99.0.1", count=1) == 0, "ping", 5.0)


# ---- The end ----

SMALL = ["--slots", 64, "--offload", "none"]


def test_drain_sends(single, numbers):
    """What the kernel had queued arrives, though the link had no room for it when the signal came."""
    a, b = single.start(a=[*SMALL, "--drain-ms", 60000], b=SMALL)
    numbers = numbers("a", "b")
    pause(b.pid)
    numbers.send(COUNT)
    a.signal(signal.SIGTERM)
    eventually(lambda: not single.namespace["a"].has_carrier("vop0"), "no carrier")
    time.sleep(0.1)
    assert a.process.poll() is None
    b.signal(signal.SIGCONT)
    assert a.process.wait(10 * SLOW) == 0
    assert numbers.receive(COUNT) == list(range(COUNT))
    assert "the time is up" not in a.text()


def test_drain_receives(single, numbers):
    """The peer is told to stop, and says when it has: all that its kernel was told is sent gets there, if later."""
    a, b = single.start(a=["--persist"], b=["--on-peer-loss", "hold", "--carrier", "on", "--txqueuelen", 20000])
    numbers = numbers("b", "a")
    for _ in range(2):
        before = a.text().count("link up")
        numbers.send(100)
        a.signal(signal.SIGTERM)
        while a.process.poll() is None:
            numbers.send(10)
            time.sleep(0.001)
        assert a.process.returncode == 0
        numbers.send(100)
        a = single.start_side("a")
        a.wait_line("link up", before + 1)
    numbers.send(100)
    assert numbers.receive(numbers.number) == list(range(numbers.number))
    assert b.counters()["tx_stale"] == 0


def test_drain_has_an_end(single):
    """A peer that takes nothing does not keep it; the line says so."""
    a, b = single.start(a=[*SMALL, "--drain-ms", 300], b=SMALL)
    flood = Flood(single.namespace["a"], single.namespace["b"], "10.99.0.1", "10.99.0.2")
    try:
        eventually(lambda: b.counters()["rx_frames"] > 100, "a knows b's address", 5.0)
        pause(b.pid)
        eventually(lambda: a.counters()["tx_full"] > 0, "the link is full", 5.0)
        begin = time.monotonic()
        assert a.stop() == 0
        assert time.monotonic() - begin >= 0.3
        assert "--drain-ms: the time is up" in a.text()
    finally:
        b.signal(signal.SIGCONT)
        flood.close()


@pytest.mark.parametrize("words, second", [(["--drain-ms", 60000], True), (["--drain-ms", 0], False)],
                         ids=["second signal", "no drain"])
def test_end_at_once(single, numbers, words, second):
    a, b = single.start(a=[*SMALL, *words], b=SMALL)
    numbers = numbers("a", "b")
    pause(b.pid)
    numbers.send(COUNT)
    a.signal(signal.SIGTERM)
    if second:
        eventually(lambda: not single.namespace["a"].has_carrier("vop0"), "no carrier")
        a.signal(signal.SIGTERM)
    assert a.process.wait(5 * SLOW) == 0
    b.signal(signal.SIGCONT)
    assert len(numbers.receive(patience=0.3)) < COUNT


def test_peer_dies_during_the_drain(single, numbers):
    a, b = single.start(a=[*SMALL, "--drain-ms", 60000, "--on-peer-loss", "exit"], b=SMALL)
    numbers = numbers("a", "b")
    pause(b.pid)
    numbers.send(COUNT)
    a.signal(signal.SIGTERM)
    eventually(lambda: not single.namespace["a"].has_carrier("vop0"), "no carrier")
    b.kill()
    assert a.process.wait(5 * SLOW) == 0


def programs_of(bridge):
    """Numbers of the BPF programs that it has open."""
    done = subprocess.run(["sh", "-c", f"cat /proc/{bridge.pid}/fdinfo/*"], capture_output=True, text=True, check=False)
    return set(re.findall(r"^prog_id:\s*(\d+)", done.stdout, re.M))


def test_no_steering_is_left(pair):
    """A TAP that persists would keep the program, and go on to run it, when its loader is gone."""
    if not shutil.which("bpftool"):
        pytest.skip("needs bpftool to look for programs")
    a, _ = pair.start(both=["--queues", 2, "--persist"])
    programs = programs_of(a)
    if not programs:
        pytest.skip("built without the steering program")

    def live():
        return [number for number in programs
                if subprocess.run(["bpftool", "prog", "show", "id", number], capture_output=True).returncode == 0]

    assert len(live()) == len(programs)
    assert a.stop() == 0
    assert pair.namespace["a"].link("vop0") is not None
    eventually(lambda: not live(), lambda: f"programs that are gone: {live()}")
