# SPDX-License-Identifier: BSD-3-Clause
"""Offloads: where the peer lacks one, the sender completes checksums and cuts frames; nothing too long or wrong."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lib.frames import Capture, Frame
from lib.traffic import ping, tcp_transfer, udp_echo

MTU = 1500
MIB = 1 << 20


def check_receiver_without_offloads(capture):
    """What came over the link: whole checksums, and never more than the MTU."""
    incoming = capture.incoming()
    assert len(incoming) > 1000
    assert capture.longest[False] <= MTU + 14, f"a frame of {capture.longest[False]} bytes arrived"
    wrong = [frame for frame in incoming if not frame.has_right_checksum()]
    assert not wrong, f"{len(wrong)} of {len(incoming)} checksums are wrong: {wrong[0].data[:80].hex()}"


@pytest.mark.parametrize("address", ["10.99.0.2", "fd99::2"])
def test_all_to_none(pair, address):
    a, b = pair.start(a=["--offload", "all"], b=["--offload", "none"])
    with Capture(pair.namespace["b"], "vop0") as capture:
        tcp_transfer(pair.namespace["a"], pair.namespace["b"], address, 32 * MIB)
        udp_echo(pair.namespace["a"], pair.namespace["b"], address, [0, 1, 2, 3, 100, 1400])
    check_receiver_without_offloads(capture)
    assert a.counters()["tx_segments"] > 10000
    assert b.counters()["tx_segments"] == b.counters()["tx_checksums"] == 0
    assert b.counters()["rx_unsupported"] == b.counters()["rx_malformed"] == 0


@pytest.mark.parametrize("address", ["10.99.0.1", "fd99::1"])
def test_none_to_all(pair, address):
    """The kernel behind the side without offloads does all by itself, and the other side joins what comes."""
    a, b = pair.start(a=["--offload", "all"], b=["--offload", "none"])
    with Capture(pair.namespace["a"], "vop0") as joined, Capture(pair.namespace["b"], "vop0") as sent:
        tcp_transfer(pair.namespace["b"], pair.namespace["a"], address, 16 * MIB)
    assert sent.longest[True] <= MTU + 14
    assert joined.longest[False] > 2 * MTU
    counters = a.counters()
    assert counters["rx_errors"] == counters["rx_malformed"] == 0
    assert counters["rx_coalesced"] > 1000


@pytest.mark.parametrize("address", ["10.99.0.2", "fd99::2"])
@pytest.mark.parametrize("offload", ["all", "none"])
def test_datagrams_are_joined(pair, address, offload):
    """Datagrams that come together go to the kernel as one, and are what they were: all, in order, of their lengths."""
    a, b = pair.start(a=["--offload", offload], b=["--offload", "all"])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sizes = [1400] * 50 + [1] * 50 + [100, 700] * 25 + [1452, 1] * 10
    server = pair.namespace["b"].socket(family, socket.SOCK_DGRAM)
    client = pair.namespace["a"].socket(family, socket.SOCK_DGRAM)
    with server, client:
        server.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE
        server.bind((address, 0))
        server.settimeout(3)
        client.connect(server.getsockname()[:2])
        client.send(b"who has it")
        assert server.recv(2000) == b"who has it"
        for _ in range(20):
            sent = [os.urandom(size) for size in sizes]
            b.signal(signal.SIGSTOP)  # so that they come together
            for data in sent:
                client.send(data)
            b.signal(signal.SIGCONT)
            assert [server.recv(2000) for _ in sent] == sent
    counters = b.counters()
    assert counters["rx_coalesced"] > 20 * 60
    assert counters["rx_errors"] == counters["rx_malformed"] == 0


@pytest.mark.parametrize("offload", ["csum", "csum,tso4", "csum,tso6", "csum,tso4,ecn", "csum,tso4,tso6"])
def test_partly(pair, offload):
    """One side has all and the other some: what the other lacks is done for it, what it has is used."""
    a, b = pair.start(a=["--offload", "all"], b=["--offload", offload])
    for address, back, name in (("10.99.0.2", "10.99.0.1", "tso4"), ("fd99::2", "fd99::1", "tso6")):
        with Capture(pair.namespace["b"], "vop0") as capture:
            before = a.counters()["tx_segments"]
            tcp_transfer(pair.namespace["a"], pair.namespace["b"], address, 16 * MIB)
            segments = a.counters()["tx_segments"] - before
        tcp_transfer(pair.namespace["b"], pair.namespace["a"], back, 16 * MIB)
        if name in offload:
            assert capture.longest[False] > MTU + 14
        else:
            assert segments > 5000 and capture.longest[False] <= MTU + 14
        udp_echo(pair.namespace["a"], pair.namespace["b"], address, [1, 1000, 20000])
    counters = b.counters()
    assert counters["rx_unsupported"] == counters["rx_malformed"] == counters["rx_errors"] == 0


def test_all_to_all_uses_long_frames(pair):
    a, b = pair.start()
    with Capture(pair.namespace["b"], "vop0") as capture:
        tcp_transfer(pair.namespace["a"], pair.namespace["b"], "10.99.0.2", 32 * MIB)
    assert capture.longest[False] > 20000
    assert a.counters()["tx_segments"] == a.counters()["tx_checksums"] == 0


@pytest.mark.parametrize("peer", ["all", "none", "csum,tso4,tso6"])
def test_udp_segmentation(pair, peer):
    """One send with UDP_SEGMENT arrives as the datagrams that were meant, whoever cuts it."""
    pair.start(a=["--offload", "all"], b=["--offload", peer])
    for address in ("10.99.0.2", "fd99::2"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = pair.namespace["b"].socket(family, socket.SOCK_DGRAM)
        client = pair.namespace["a"].socket(family, socket.SOCK_DGRAM)
        with server, client, Capture(pair.namespace["b"], "vop0") as capture:
            server.bind((address, 0))
            server.settimeout(3)
            client.connect(server.getsockname()[:2])
            for size, total in ((1000, 20500), (1400, 1400 * 40), (100, 6333), (1452, 60000)):
                data = os.urandom(total)
                client.sendmsg([data], [(socket.IPPROTO_UDP, 103, size.to_bytes(2, "little"))])  # UDP_SEGMENT
                got = []
                while sum(map(len, got)) < total:
                    got.append(server.recv(65536))
                assert b"".join(got) == data
                assert [len(part) for part in got[:-1]] == [size] * (total // size - (total % size == 0))
        if peer != "all":
            assert capture.longest[False] <= MTU + 14
            assert all(frame.has_right_checksum() for frame in capture.incoming() if "csum" not in peer)


def test_tcpdump_agrees(pair, tmp_path):
    """A second opinion on the checksums, by a program that is not ours."""
    if not shutil.which("tcpdump"):
        pytest.skip("needs tcpdump: apt-get install tcpdump")
    pair.start(a=["--offload", "all"], b=["--offload", "none"])
    path = tmp_path / "capture.pcap"
    dump = subprocess.Popen(["ip", "netns", "exec", pair.namespace["b"].name, "tcpdump", "-i", "vop0", "-Q", "in", "-U",
                             "-B", "65536", "-Z", "root", "-c", "2000", "-w", str(path)], stderr=subprocess.PIPE)
    try:
        dump.stderr.readline()  # "listening on ..."
        time.sleep(0.2)
        tcp_transfer(pair.namespace["a"], pair.namespace["b"], "10.99.0.2", 16 * MIB)
        tcp_transfer(pair.namespace["a"], pair.namespace["b"], "fd99::2", 4 * MIB)
        dump.wait(10)
    finally:
        dump.kill()
        dump.communicate()
    text = subprocess.run(["tcpdump", "-n", "-vv", "-r", str(path)], capture_output=True, text=True, check=True).stdout
    assert text.count("(correct)") >= 1900
    assert "incorrect" not in text and "bad cksum" not in text
    lengths = [int(length) for length in re.findall(r"length (\d+)\)", text)]
    assert lengths and max(lengths) <= MTU


# ---- Tunnels ----

PLAIN = "csum,tso4,tso6,ecn,uso4,uso6"


def open_vxlan(pair, outer, *options, sides="ab"):
    """A VXLAN device on each side: 10.77.0.1 and fd77::1, 10.77.0.2 and fd77::2. `outer` is the link's address at a."""
    base = outer[:-1]
    for side in sides:
        namespace = pair.namespace[side]
        number = 1 if side == "a" else 2
        namespace.ip("link", "add", "vx", "address", f"02:00:00:00:77:0{number}", "type", "vxlan", "id", 7, "dstport",
                     4789, "local", f"{base}{number}", "remote", f"{base}{3 - number}", "dev", "vop0", *options,
                     check=False)
        if not namespace.link("vx"):
            pytest.skip("needs VXLAN in the kernel: modprobe vxlan")
        namespace.ip("address", "add", f"10.77.0.{number}/24", "dev", "vx")
        namespace.ip("address", "add", f"fd77::{number}/64", "dev", "vx", "nodad")
        namespace.ip("link", "set", "vx", "up")
    assert ping(pair.namespace["a"], "10.77.0.2") == 0


def takes_tunnels(pair, side):
    """Does the kernel leave their segmentation to the TAP? From Linux 6.17 on."""
    return "tx-udp_tnl-csum-segmentation: on" in pair.namespace[side].run("ethtool", "-k", "vop0")


def check_inside(frame):
    """The checksums of a frame in VXLAN, outside and inside."""
    assert frame.has_right_checksum(), frame.data[:120].hex()
    found = frame.transport()
    if found and found[1] == 17 and found[2][2:4] == (4789).to_bytes(2, "big"):
        assert Frame(found[2][16:], False).has_right_checksum(), frame.data[:120].hex()
        return True
    return False


@pytest.mark.parametrize("peer", ["all", PLAIN, "csum,tso4,tso6", "csum", "none"])
@pytest.mark.parametrize("outer", ["10.99.0.1", "fd99::1"])
def test_tunnel(pair, outer, peer):
    """TCP through VXLAN arrives whole, both ways, whatever the peer takes; and it is left whole where it can be."""
    a, b = pair.start(a=["--offload", "all"], b=["--offload", peer])
    open_vxlan(pair, outer)
    with Capture(pair.namespace["b"], "vop0") as capture:
        for address in ("10.77.0.2", "fd77::2"):
            tcp_transfer(pair.namespace["a"], pair.namespace["b"], address, 8 * MIB)
            udp_echo(pair.namespace["a"], pair.namespace["b"], address, [1, 1000, 20000])
    for address in ("10.77.0.1", "fd77::1"):
        tcp_transfer(pair.namespace["b"], pair.namespace["a"], address, 8 * MIB)
    if peer == "none":
        assert capture.longest[False] <= MTU + 14
        assert sum(map(check_inside, capture.incoming())) > 5000
    if takes_tunnels(pair, "a"):
        segments = a.counters()["tx_segments"]
        assert segments == 0 if peer == "all" else segments > 5000
        assert capture.longest[False] > 20000 or "uso" not in peer
    for bridge in (a, b):
        counters = bridge.counters()
        assert counters["rx_unsupported"] == counters["rx_malformed"] == counters["rx_errors"] == 0
        assert counters["tx_illegal"] == 0


@pytest.mark.parametrize("options", [["noudpcsum"], ["udpcsum"]])
@pytest.mark.parametrize("side", ["a", "b"])
def test_tunnel_is_joined(pair, options, side):
    """What a kernel has cut before its TAP, or a bridge for a peer without tunnels, is joined before the other TAP."""
    pair.start(**{side: ["--offload", PLAIN]})
    open_vxlan(pair, "10.99.0.1", *options)
    with Capture(pair.namespace["b"], "vop0") as capture:
        tcp_transfer(pair.namespace["a"], pair.namespace["b"], "10.77.0.2", 16 * MIB)
    counters = pair.bridge["b"].counters()
    assert counters["rx_errors"] == counters["rx_malformed"] == 0
    if side == "a" and takes_tunnels(pair, "b") or "udpcsum" in options:
        assert counters["rx_coalesced"] > 1000 and capture.longest[False] > 2 * MTU


def test_tunnel_meets_an_older_peer(pair):
    """A bridge that comes back with fewer offloads gets what it takes, and with all of them again all."""
    a, b = pair.start()
    open_vxlan(pair, "10.99.0.1")
    for offload in (PLAIN, "all"):
        b.stop()
        b = pair.start_side("b", "--offload", offload)
        pair.wait_up()
        open_vxlan(pair, "10.99.0.1", sides="b")
        before = a.counters()["tx_segments"]
        tcp_transfer(pair.namespace["a"], pair.namespace["b"], "10.77.0.2", 8 * MIB)
        cut = a.counters()["tx_segments"] - before
        assert cut == 0 if offload == "all" else cut > 2000 or not takes_tunnels(pair, "a")
        assert b.counters()["rx_malformed"] == b.counters()["rx_unsupported"] == 0
