# SPDX-License-Identifier: BSD-3-Clause
"""Several queues, each with a thread; and what one side's interface does to the other's: carrier and MTU."""
import ctypes
import os
import pathlib
import re
import socket
import threading

import pytest

from lib.bridge import SLOW, Bridge, eventually
from lib.traffic import ping, tcp_transfer

MIB = 1 << 20


def queues(pair, side):
    """How many are in use, and how many are open besides."""
    data = pair.namespace[side].link("vop0")["linkinfo"]["info_data"]
    return (data["numqueues"], data["numdisabled"]) if data["multi_queue"] else (1, 0)


def threads(bridge):
    """Name and processors of each thread that has a queue."""
    found = {}
    for task in pathlib.Path(f"/proc/{bridge.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith("vop-queue-"):
            found[name] = re.search(r"Cpus_allowed_list:\s*(\S+)", (task / "status").read_text()).group(1)
    return found


def transfer_both_ways(pair, flows=4):
    """Several TCP connections at once, each with its bytes compared."""
    failed = []

    def one(sender, receiver, address):
        try:
            tcp_transfer(pair.namespace[sender], pair.namespace[receiver], address, MIB)
        except Exception as error:  # pylint: disable=broad-except
            failed.append(error)

    ways = ("a", "b", "10.99.0.2"), ("b", "a", "10.99.0.1")
    workers = [threading.Thread(target=one, args=ways[i % 2]) for i in range(flows)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failed, failed


# ---- Queues ----

def test_as_many_as_processors(pair):
    a, _ = pair.start()
    wanted = min(16, len(os.sched_getaffinity(0)))
    assert queues(pair, "a") == queues(pair, "b") == (wanted, 0)
    assert len(threads(a)) == wanted


@pytest.mark.parametrize("here, there", [(1, 1), (4, 4), (4, 2), (2, 4), (1, 3), (16, 16)])
def test_the_smaller_number_is_used(pair, here, there):
    a, b = pair.start(a=("--queues", here), b=("--queues", there))
    used = min(here, there)
    assert queues(pair, "a") == (used, here - used)
    assert queues(pair, "b") == (used, there - used)
    assert (len(threads(a)), len(threads(b))) == (here, there)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    transfer_both_ways(pair)


def test_the_next_peer_may_have_more(pair):
    pair.start(a=("--queues", 4), b=("--queues", 2))
    for number in (4, 1, 3, 8):
        assert pair.bridge["b"].stop() == 0
        pair.start_side("b", "--queues", number)
        pair.wait_up()
        eventually(lambda: queues(pair, "a") == (min(4, number), 4 - min(4, number)), lambda: queues(pair, "a"))
        assert ping(pair.namespace["b"], "10.99.0.1", count=1) == 0
        transfer_both_ways(pair)


def test_affinity(pair):
    processors = sorted(os.sched_getaffinity(0))
    a, _ = pair.start(a=("--queues", 3, "--affinity", ",".join(map(str, processors))), b=("--queues", 3))
    for i in range(3):
        assert threads(a)[f"vop-queue-{i}"] == str(processors[i % len(processors)])
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_affinity_beyond_the_machine(pair):
    a, _ = pair.start(a=("--queues", 1, "--affinity", "1023"))
    a.wait_line("--affinity: queue 0 cannot run on processor 1023: .*; it runs on any")
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def shortest_slice(bridge):
    """In nanoseconds, of the threads that have a queue: sched_getattr(2), system call 315 on x86-64."""
    found = []
    for task in pathlib.Path(f"/proc/{bridge.pid}/task").iterdir():
        if (task / "comm").read_text().startswith("vop-queue-"):
            attributes = (ctypes.c_uint64 * 6)()
            assert ctypes.CDLL(None).syscall(315, int(task.name), attributes, 48, 0) == 0
            found.append(attributes[3])
    return min(found)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of the system call is that of x86-64")
def test_short_slices_while_little_comes(pair):
    a, _ = pair.start(both=("--queues", 1))
    if shortest_slice(a) == 0:
        pytest.skip("this kernel says nothing of slices (Linux 6.12 does)")
    short = 100000
    ping(pair.namespace["a"], "10.99.0.2")
    eventually(lambda: shortest_slice(a) == short, lambda: shortest_slice(a))

    def flood():
        for _ in range(1000):
            datagrams.sendto(b"x", ("10.99.0.2", 9))
        return shortest_slice(a) != short

    with pair.namespace["a"].socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        eventually(flood, "slices stay short in a flood", 5)
    ping(pair.namespace["a"], "10.99.0.2")
    eventually(lambda: shortest_slice(a) == short, lambda: shortest_slice(a))


# ---- An interface that was there ----

@pytest.mark.parametrize("kind, options, used", [
    ((), (), 1), (("multi_queue",), ("--queues", 1), 1), (("multi_queue",), ("--queues", 3), 3)])
def test_existing_interface(pair, kind, options, used):
    namespace = pair.namespace["a"]
    namespace.ip("tuntap", "add", "dev", "vop0", "mode", "tap", "vnet_hdr", *kind)
    a, _ = pair.start(a=options, b=("--queues", 4))
    assert queues(pair, "a") == (used, 0)
    assert queues(pair, "b") == (used, 4 - used)
    assert ping(namespace, "10.99.0.2") == 0
    assert a.stop() == 0
    assert namespace.link("vop0")["linkinfo"]["info_data"].get("numqueues", 0) == 0


def test_two_bridges_at_one_interface(pair):
    """The kernel would let a second program have queues of it, and a part of the frames."""
    pair.start(both=("--queues", 2))
    second = Bridge("--link", f"shm:{pair.directory}/other.sock", "--listen", "--tap", "vop0", "--queues", 2,
                    namespace=pair.namespace["a"], log=pair.directory / "second.log")
    assert second.process.wait(10 * SLOW) == 1
    assert "another program holds it open" in second.text()
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_deleted_with_many_queues(pair):
    a, _ = pair.start(both=("--queues", 4))
    pair.namespace["a"].ip("link", "del", "vop0")
    assert a.process.wait(5 * SLOW) == 1
    assert "it was deleted" in a.text()
    pair.bridge["b"].wait_line("link down")


# ---- As though a cable joined them ----

def is_answered_soon(namespace, address):
    """Within a part of the second after which a kernel asks again who has an address."""
    return ", 1 received" in namespace.run("ping", "-c1", "-W", str(0.8 * SLOW), address, check=False)


@pytest.mark.parametrize("down, other", ["ab", "ba"])
def test_carrier_follows_the_interface(pair, down, other):
    pair.start()
    address = {"a": "10.99.0.1", "b": "10.99.0.2"}
    for _ in range(3):
        pair.namespace[down].ip("link", "set", "vop0", "down")
        eventually(lambda: not pair.namespace[other].has_carrier("vop0"), "carrier off")
        pair.namespace[down].ip("link", "set", "vop0", "up")
        eventually(pair.is_up, "carrier on")
        assert is_answered_soon(pair.namespace[other], address[down])
        assert is_answered_soon(pair.namespace[down], address[other])
    assert all("link down" not in text for text in pair.logs().values())


def test_first_ping_after_up(pair):
    """From the side that was down, without waiting for anything."""
    pair.start()
    for side, peer in (("a", "10.99.0.2"), ("b", "10.99.0.1")):
        for _ in range(3):
            pair.namespace[side].ip("link", "set", "vop0", "down")
            pair.namespace[side].ip("link", "set", "vop0", "up")
            assert is_answered_soon(pair.namespace[side], peer)


def test_both_down(pair):
    pair.start()
    for side in "ab":
        pair.namespace[side].ip("link", "set", "vop0", "down")
    for side in "ab":
        pair.namespace[side].ip("link", "set", "vop0", "up")
    pair.wait_up()
    assert is_answered_soon(pair.namespace["a"], "10.99.0.2")


def test_down_before_the_peer_comes(pair):
    """What was changed before there was a peer is told to the next one, and the end is heard without a carrier."""
    pair.start_side("a")
    eventually(lambda: pair.namespace["a"].link("vop0"), pair.logs)
    eventually(lambda: os.path.exists(pair.socket), "the socket")
    pair.namespace["a"].ip("link", "set", "vop0", "down")
    pair.start_side("b")
    pair.bridge["b"].wait_line("link up")
    eventually(lambda: not pair.namespace["b"].has_carrier("vop0"), "carrier off")
    for number in (1, 2):
        assert pair.bridge["b"].stop() == 0
        pair.bridge["a"].wait_line("link down", number)
        pair.start_side("b")
        pair.bridge["a"].wait_line("link up", number + 1)
    eventually(lambda: not pair.namespace["b"].has_carrier("vop0"), "carrier off")
    assert pair.bridge["a"].stop() == 0
    pair.bridge["b"].wait_line("link down")
    pair.start_side("a")
    pair.wait_up()
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def mtu(pair, side):
    return pair.namespace[side].link("vop0")["mtu"]


def test_mtu_follows_the_listener(pair):
    pair.start(a=("--mtu", 1400))
    eventually(lambda: mtu(pair, "b") == 1400, "the MTU of the listener")
    pair.bridge["b"].wait_line("the MTU is 1400 now, as at the peer")
    pair.namespace["a"].ip("link", "set", "vop0", "mtu", "9000")
    eventually(lambda: mtu(pair, "b") == 9000, "the MTU of the listener")
    assert ping(pair.namespace["a"], "10.99.0.2", size=8000) == 0
    pair.namespace["b"].ip("link", "set", "vop0", "mtu", "1300")  # nobody follows this one
    pair.bridge["a"].wait_line("the MTU is 9000 here and 1300 at the peer: .*--mtu")
    assert mtu(pair, "a") == 9000


def test_mtu_that_was_named_stays(pair):
    pair.start(a=("--mtu", 1400), b=("--mtu", 1500))
    pair.bridge["b"].wait_line("the MTU is 1500 here and 1400 at the peer: .*--mtu")
    assert mtu(pair, "b") == 1500
