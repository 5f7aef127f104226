# SPDX-License-Identifier: BSD-3-Clause
"""Two namespaces, two bridges: what is sent arrives, unchanged, at any size and over IPv4 and IPv6."""
import socket
import threading
import time

import pytest

from lib.bridge import SLOW, eventually
from lib.traffic import EchoService, Flood, ping, tcp_transfer, udp_echo

ADDRESSES = {"a": ("10.99.0.1", "fd99::1"), "b": ("10.99.0.2", "fd99::2")}
MIB = 1 << 20


def test_ping(pair):
    pair.start()
    for near, far in ("ab", "ba"):
        for address in ADDRESSES[far]:
            assert ping(pair.namespace[near], address) == 0
            assert ping(pair.namespace[near], address, size=30000) == 0  # fragments


@pytest.mark.parametrize("mtu", [1500, 1280, 9000, 65521])
def test_tcp_and_udp(pair, mtu):
    pair.start(both=["--mtu", mtu])
    a, b = pair.namespace["a"], pair.namespace["b"]
    sizes = [0, 1, 2, 3, 17, 18, mtu - 48, mtu - 28, mtu - 27, 20000, 65000]
    for version in range(2):
        tcp_transfer(a, b, ADDRESSES["b"][version], 48 * MIB)
        tcp_transfer(b, a, ADDRESSES["a"][version], 48 * MIB)
        udp_echo(a, b, ADDRESSES["b"][version], sizes)
    for side in "ab":
        counters = pair.bridge[side].counters()
        assert counters["rx_malformed"] == counters["rx_unsupported"] == counters["rx_errors"] == 0
        assert counters["tx_illegal"] == counters["tx_errors"] == counters["tx_segments"] == 0


@pytest.mark.parametrize("slots, slot_size", [(32, 2048), (64, 64), (2, 2048), (2048, 64), (4096, 2048), (33, 0)])
def test_geometries(pair, slots, slot_size):
    """From a ring that holds one frame to one that holds many; where 64 KiB do not fit, frames are cut in software."""
    if slots == 33:
        slots, slot_size = 64, 192  # the ring's end is not at a page's end: messages in two segments
    pair.start(both=["--slots", slots, "--slot-size", slot_size])
    a, b = pair.namespace["a"], pair.namespace["b"]
    tcp_transfer(a, b, "10.99.0.2", 8 * MIB)
    tcp_transfer(b, a, "fd99::1", 8 * MIB)
    udp_echo(a, b, "10.99.0.2", [1, 1000, 1472, 9000])


def test_no_spinning(pair):
    pair.start(both=["--spin-us", 0])
    udp_echo(pair.namespace["a"], pair.namespace["b"], "10.99.0.2", range(1, 1400, 7))


def test_long_spinning(pair):
    pair.start(both=["--spin-us", 1000])
    udp_echo(pair.namespace["a"], pair.namespace["b"], "10.99.0.2", range(1, 1400, 7))
    tcp_transfer(pair.namespace["a"], pair.namespace["b"], "10.99.0.2", 16 * MIB)


def test_different_mtus_are_told(pair):
    a, b = pair.start(a=["--mtu", 1500], b=["--mtu", 1400])
    a.wait_line(r"MTU is 1500 here and 1400 at the peer")
    b.wait_line(r"MTU is 1400 here and 1500 at the peer")
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_interface_down_is_no_failure(pair):
    a, b = pair.start()
    flood = Flood(pair.namespace["a"], pair.namespace["b"], "10.99.0.1", "10.99.0.2")
    try:
        for _ in range(5):  # what was under way is dropped, and counted
            pair.namespace["b"].ip("link", "set", "vop0", "down")
            eventually(lambda: not pair.namespace["a"].has_carrier("vop0"), "carrier off")
            pair.namespace["b"].ip("link", "set", "vop0", "up")
            eventually(pair.is_up, "carrier on")
    finally:
        flood.close()
    eventually(lambda: ping(pair.namespace["a"], "10.99.0.2", count=1) == 0, "answers once the flood is over", 5.0)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    assert a.process.poll() is None and b.process.poll() is None


def is_found_again(a, b, service):
    """On a machine with more to do than processors, the question is lost all the same one time in thirty."""
    b.ip("link", "set", "vop0", "down")
    a.ip("neigh", "flush", "dev", "vop0")
    for _ in range(10):
        assert not service.answers()
    is_asking = "INCOMPLETE" in a.ip("neigh", "show", "dev", "vop0")
    b.ip("link", "set", "vop0", "up")
    end = time.monotonic() + 10
    while not service.answers():
        if time.monotonic() > end:
            a.ip("neigh", "flush", "dev", "vop0")
            return False
    return is_asking


@pytest.mark.parametrize("version", ["ipv4", "ipv6"])
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "netns"])
def test_interface_up_again_is_found_at_once(pair, version, inside):
    """The other side asked in vain for its neighbour, and would ask again in a minute. It is told instead."""
    pair.start_side("a")
    pair.start_side("b", inside=inside)
    pair.wait_up()
    a, b = pair.namespace["a"], pair.namespace["b"]
    a.run("sh", "-c", f"echo 60000 > /proc/sys/net/{version}/neigh/vop0/retrans_time_ms")
    service = EchoService(b, a, ADDRESSES["b"][version == "ipv6"])
    try:
        eventually(service.answers, "service")
        assert any(is_found_again(a, b, service) for _ in range(3))
    finally:
        service.close()


def test_what_waits_for_a_neighbour_is_sent(pair):
    """The question in vain is asked again, and what the kernel has kept until there is an answer is not thrown away."""
    pair.start()
    a, b = pair.namespace["a"], pair.namespace["b"]
    with b.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, a.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        receiver.bind(("10.99.0.2", 4444))
        receiver.settimeout(5 * SLOW)
        for _ in range(5):
            b.ip("link", "set", "vop0", "down")
            eventually(lambda: not a.has_carrier("vop0"), "carrier off")
            a.ip("neigh", "flush", "dev", "vop0")
            sender.sendto(b"kept", ("10.99.0.2", 4444))
            assert "INCOMPLETE" in a.ip("neigh", "show", "dev", "vop0")
            b.ip("link", "set", "vop0", "up")
            assert receiver.recv(64) == b"kept"


def test_many_at_once(pair):
    """Both directions and both protocols together: nothing starves."""
    pair.start()
    a, b = pair.namespace["a"], pair.namespace["b"]
    failures = []

    def run(function, *arguments):
        try:
            function(*arguments)
        except Exception as failure:  # noqa: BLE001 - told below
            failures.append(failure)

    jobs = [(tcp_transfer, a, b, "10.99.0.2", 64 * MIB), (tcp_transfer, b, a, "10.99.0.1", 64 * MIB),
            (tcp_transfer, a, b, "fd99::2", 64 * MIB), (udp_echo, a, b, "10.99.0.2", range(1, 1400, 5))]
    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
