# SPDX-License-Identifier: BSD-3-Clause
"""Both roles of vhost-user: a bridge that is a network card, and one that is its driver. "a" is the card."""
import array
import os
import random
import signal
import socket
import struct
import time

import pytest

from lib.bridge import KILLS, SLOW, Bridge, eventually, pause
from lib.frames import Capture
from lib.traffic import EchoService, Flood, Numbers, ping, tcp_transfer, udp_echo

MIB = 1 << 20
ADDRESSES = {"a": ("10.99.0.1", "fd99::1"), "b": ("10.99.0.2", "fd99::2")}
VERSION_1 = 1 << 32


@pytest.fixture
def cards(pair):
    """Sets a pair up so: cards("packed") for packed rings."""
    def make(*words):
        path = pair.directory / "card"
        pair.link = {"a": ["--link", "?".join([f"vhost-user:{path}", *words])],
                     "b": ["--link", f"vhost-user:{path}?front"]}
        return pair
    return make


def check_traffic(pair, size=16 * MIB):
    a, b = pair.namespace["a"], pair.namespace["b"]
    for version in range(2):
        tcp_transfer(a, b, ADDRESSES["b"][version], size)
        tcp_transfer(b, a, ADDRESSES["a"][version], size)
    for near, far in ("ab", "ba"):
        assert ping(pair.namespace[near], ADDRESSES[far][0]) == 0
        assert ping(pair.namespace[near], ADDRESSES[far][1], size=30000) == 0  # fragments
    udp_echo(a, b, ADDRESSES["b"][0], [0, 1, 2, 17, 18, 1472, 1473, 20000, 65000])
    for side in "ab":
        counters = pair.bridge[side].counters()
        assert counters["rx_malformed"] == counters["rx_unsupported"] == counters["rx_errors"] == 0
        assert counters["tx_illegal"] == counters["tx_errors"] == 0


@pytest.mark.parametrize("rings", ["split", "packed"])
def test_traffic(cards, rings):
    pair = cards(*["packed"] * (rings == "packed"))
    pair.start()
    check_traffic(pair)
    for side in "ab":  # both take frames of 64 KiB as they are
        assert pair.bridge[side].counters()["tx_segments"] == 0


def test_directly(cards):
    """The kernel puts frames where the card reads them, whatever its TAP could leave undone: tunnels, on newer ones."""
    pair = cards()
    pair.start(b=["--verbose"])
    pair.bridge["b"].wait_line("frames go to the peer directly")


@pytest.mark.parametrize("words", [["--mtu", 9000], ["--slots", 2], ["--slots", 4096, "--slot-size", 64],
                                   ["--slots", 128, "--slot-size", 16384]])
def test_geometries(cards, words):
    """Few and many buffers, short and long, at the driver's side."""
    pair = cards()
    pair.start(a=words[:2] if words[0] == "--mtu" else [], b=words)
    check_traffic(pair, 4 * MIB)


@pytest.mark.parametrize("weak", "ab")
def test_offloads_that_one_side_lacks(cards, weak):
    pair = cards()
    pair.start(**{weak: ["--offload", "none"]})
    strong = "b" if weak == "a" else "a"
    with Capture(pair.namespace[weak], "vop0") as capture:
        tcp_transfer(pair.namespace[strong], pair.namespace[weak], ADDRESSES[weak][0], 8 * MIB)
    assert capture.longest[False] <= 1514
    assert all(frame.has_right_checksum() for frame in capture.incoming())
    assert pair.bridge[strong].counters()["tx_segments"] > 1000
    check_traffic(pair, 4 * MIB)


@pytest.mark.parametrize("queues", [(2, 2), (2, 1), (1, 2)])
def test_queues(cards, queues):
    """As many pairs as both sides have."""
    pair = cards()
    pair.start(a=["--queues", queues[0]], b=["--queues", queues[1]])
    check_traffic(pair, 4 * MIB)
    for side in "ab":
        assert pair.namespace[side].link("vop0")["linkinfo"]["info_data"].get("numqueues", 1) == min(queues)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_either_may_start_first(cards, order):
    pair = cards()
    for side in order:
        pair.start_side(side)
        time.sleep(0.3)
    pair.wait_up(2.0)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_carrier_follows_graceful_end(cards):
    pair = cards()
    pair.start()
    for side, survivor in (("b", "a"), ("a", "b")):
        assert pair.bridge[side].stop() == 0
        pair.bridge[survivor].wait_line("link down: .*closed")
        eventually(lambda: not pair.namespace[survivor].has_carrier("vop0"), "carrier off", 1.0)
        pair.start_side(side)
        pair.wait_up(2.0)
        assert ping(pair.namespace["a"], "10.99.0.2") == 0


@pytest.mark.parametrize("rings", ["split", "packed"])
@pytest.mark.parametrize("side", "ab")
def test_kills_under_load(cards, side, rings):
    """kill -9 of either side: the other serves the next one within a second, and leaks nothing."""
    pair = cards(*["packed"] * (rings == "packed"))
    pair.start()
    kept = pair.bridge["b" if side == "a" else "a"]
    flood = Flood(pair.namespace["a"], pair.namespace["b"], "10.99.0.1", "10.99.0.2")
    echo = EchoService(pair.namespace["a"], pair.namespace["b"], "10.99.0.1")
    slowest, held = 0.0, []
    try:
        for _ in range(KILLS):
            time.sleep(random.random() * 0.1)
            pair.bridge[side].kill()
            begin = time.monotonic()
            pair.start_side(side)
            eventually(echo.answers, lambda: f"service again: {pair.logs()}", 5.0)
            slowest = max(slowest, time.monotonic() - begin)
            assert kept.process.poll() is None, kept.text()
            eventually(kept.has_closed_all, "what was left is closed")
            held.append((len(kept.files()), kept.mappings()))
    finally:
        flood.close()
        echo.close()
    assert slowest < 1.0 * SLOW, f"service resumed after {slowest:.3f} s"
    assert held[-1] == held[0], f"files of the survivor, and mappings: {held}"


@pytest.mark.parametrize("rings", ["split", "packed"])
@pytest.mark.parametrize("side", "ab")
def test_drain_sends(cards, side, rings):
    """What the kernel had queued arrives, though the rings had no room for it when the signal came."""
    pair = cards(*["packed"] * (rings == "packed"))
    words = ["--slots", 64, "--queues", 1, "--offload", "none"]
    pair.start(both=words, **{side: ["--drain-ms", 60000]})
    other = "b" if side == "a" else "a"
    numbers = Numbers(pair, side, other)
    try:
        pause(pair.bridge[other].pid)
        numbers.send(200)
        pair.bridge[side].signal(signal.SIGTERM)
        eventually(lambda: not pair.namespace[side].has_carrier("vop0"), "no carrier")
        time.sleep(0.1)
        assert pair.bridge[side].process.poll() is None
        pair.bridge[other].signal(signal.SIGCONT)
        assert pair.bridge[side].process.wait(10 * SLOW) == 0
        assert numbers.receive(200) == list(range(200))
        assert "the time is up" not in pair.bridge[side].text()
    finally:
        numbers.close()


def test_drain_waits_for_the_card(cards):
    """What lies in the rings is no card's yet: another one might forget it when its driver hangs up."""
    pair = cards()
    pair.start(both=["--queues", 1], b=["--drain-ms", 60000])
    numbers = Numbers(pair, "b", "a")
    try:
        pause(pair.bridge["a"].pid)
        numbers.send(20)
        pair.bridge["b"].signal(signal.SIGTERM)
        eventually(lambda: not pair.namespace["b"].has_carrier("vop0"), "no carrier")
        time.sleep(0.4)  # longer than a peer may be quiet
        assert pair.bridge["b"].process.poll() is None
        pair.bridge["a"].signal(signal.SIGCONT)
        assert pair.bridge["b"].process.wait(10 * SLOW) == 0
        assert numbers.receive(20) == list(range(20))
        assert "the time is up" not in pair.bridge["b"].text()
    finally:
        numbers.close()


def test_stopped_card(cards):
    """A card that stands still costs frames, and nothing else: the driver's bridge ends when it is asked to."""
    pair = cards()
    pair.start()
    pause(pair.bridge["a"].pid)
    flood = Flood(pair.namespace["b"], pair.namespace["a"], "10.99.0.2", "10.99.0.1")
    time.sleep(0.2)
    pair.bridge["a"].signal(signal.SIGCONT)
    eventually(lambda: ping(pair.namespace["a"], "10.99.0.2", count=1) == 0, "answers", 5.0)
    pause(pair.bridge["a"].pid)
    assert pair.bridge["b"].stop() == 0
    flood.close()
    pair.bridge["a"].signal(signal.SIGCONT)


@pytest.mark.parametrize("options, said", [
    ("front&packed", "write .front alone"), ("front&connect", "write .front alone"),
    ("frnt", "there is no option 'frnt'")])
def test_names(namespaces, tmp_path, options, said):
    bridge = Bridge("--link", f"vhost-user:{tmp_path}/card?{options}", "--tap", "vop0", namespace=namespaces("a"),
                    log=tmp_path / "log")
    assert bridge.process.wait(10 * SLOW) == 1
    bridge.wait_line(said)


def test_user(cards):
    """The card has to be a process of the user that was named."""
    pair = cards()
    pair.start_side("a")
    eventually(lambda: (pair.directory / "card").exists(), "a listens", 10)
    refused = pair.start_side("b", "--peer-uid", "nobody")
    assert refused.process.wait(10 * SLOW) == 1
    refused.wait_line("a process of user 0 is refused")
    pair.start_side("b", "--peer-uid", "root")
    pair.wait_up()


class Liar:
    """A card that answers as it is told to."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(5)
        self.listener.settimeout(10 * SLOW)
        self.connection = None
        self.fds = []
        self.needs_reply = False

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(10 * SLOW)
        return self

    def receive(self):
        """One message: (request, payload). `needs_reply` says whether it asks to be acknowledged."""
        header, rights, _, _ = self.connection.recvmsg(12, socket.CMSG_SPACE(32))
        for _, _, data in rights:
            self.fds += array.array("i", data)
        request, flags, size = struct.unpack("<III", header)
        self.needs_reply = bool(flags & 8)
        return request, self.connection.recv(size, socket.MSG_WAITALL) if size else b""

    def answer(self, request, payload):
        self.connection.sendall(struct.pack("<III", request, 5, len(payload)) + payload)

    def offer(self, features):
        """Until the driver's side has started all queues. It asks twice where it wants more at first."""
        kicks = 0
        while kicks < 2:
            request = self.receive()[0]
            if request == 1:
                self.answer(1, struct.pack("<Q", features))
            kicks += request == 12

    def close(self):
        self.connection.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []


@pytest.fixture
def liar(namespaces, tmp_path):
    liar = Liar(tmp_path / "card")
    bridge = Bridge("--link", f"vhost-user:{tmp_path}/card?front", "--tap", "vop0", namespace=namespaces("a"),
                    log=tmp_path / "log")
    try:
        yield liar, bridge
    finally:
        bridge.stop()
        liar.listener.close()


def test_cards_that_lie(liar):
    """Each costs one session: the bridge says what was wrong, and tries the next one."""
    card, bridge = liar
    card.accept()
    for _ in range(2):
        assert card.receive()[0] == 1
        card.answer(1, struct.pack("<Q", 0))  # of before virtio 1.0
    bridge.wait_line("waiting for the back end: the back end does not offer features 0x100000000")
    card.close()
    card.accept().offer(VERSION_1)  # a card that does not merge buffers is one all the same
    bridge.wait_line("link up")
    card.connection.sendall(b"unasked")
    bridge.wait_line("link down: .*says what it was not asked")
    card.close()
    card.accept().offer(VERSION_1)
    bridge.wait_line("link up", 2)
    card.close()
    bridge.wait_line("link down: .*has closed, or died")


def fill(eventfd):
    """The next who writes to it waits. The bridge may have been there already."""
    os.set_blocking(eventfd, False)
    while True:
        try:
            os.write(eventfd, struct.pack("=Q", (1 << 64) - 2))
            break
        except BlockingIOError:
            os.read(eventfd, 8)
    os.set_blocking(eventfd, True)


def test_card_that_fills_a_kick(liar):
    """Whoever notifies it waits for it; the bridge ends all the same when it is asked to."""
    card, bridge = liar
    card.accept()
    kicks = 0
    while kicks < 2:
        request = card.receive()[0]
        if request == 1:
            card.answer(1, struct.pack("<Q", VERSION_1))
        if request == 12:
            kicks += 1
            fill(card.fds[-1])
    bridge.wait_line("link up")
    assert bridge.stop() == 0
    card.close()


def lingering():
    """A TCP socket whose last close waits for an hour, or until the other one is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        trap = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    trap.setblocking(False)
    try:
        while True:
            trap.send(bytes(65536))
    except BlockingIOError:
        pass
    trap.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return trap, other


def test_card_that_sends_a_trap(liar):
    """A descriptor whose close takes an hour, beside an answer."""
    card, bridge = liar
    trap, other = lingering()
    card.accept()
    assert card.receive()[0] == 1
    pause(bridge.pid)  # or the last close might be here
    socket.send_fds(card.connection, [struct.pack("<IIIQ", 1, 5, 8, VERSION_1)], [trap.fileno()])
    trap.close()
    bridge.signal(signal.SIGCONT)
    bridge.wait_line("waiting for the back end: 1 descriptors beside an answer")
    card.close()
    card.accept().offer(VERSION_1)
    bridge.wait_line("link up")
    other.close()
    card.close()


def test_slow_card(liar):
    """Each of its answers comes soon, but all of them do not."""
    card, bridge = liar
    card.accept()
    numbers = {1: VERSION_1 | 1 << 30, 15: 1 << 3}  # it acknowledges
    try:
        while True:
            request, _ = card.receive()
            if request in numbers or card.needs_reply:
                time.sleep(0.12)
                card.answer(request, struct.pack("<Q", numbers.get(request, 0)))
    except (struct.error, ConnectionError):
        pass
    bridge.wait_line("waiting for the back end: the back end does not answer")
    card.close()
    card.accept().offer(VERSION_1)
    bridge.wait_line("link up", seconds=15)
    assert "link down" not in bridge.text()
    card.close()


def test_silent_card(liar):
    """The bridge still hears signals, now and then."""
    card, bridge = liar
    card.accept()
    bridge.wait_line("waiting for the back end: the back end does not answer", seconds=10)
    assert bridge.stop() == 0
    card.close()
