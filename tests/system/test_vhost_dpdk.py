# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's driver on our back end of vhost-user, and DPDK's device under our front end: frames there and back, each of
them compared. testpmd sends back what it gets."""
import os
import shutil
import socket
import subprocess

import pytest

from lib.bridge import BIN, SANITIZED, Bridge, eventually
from lib.frames import PACKET_OUTGOING

COUNT = 1000000 if os.environ.get("VOP_LONG") else 10000 if SANITIZED else 100000
SECONDS = 600 if os.environ.get("VOP_LONG") else 90
# Frames in several buffers of 2 KiB each, either way.
LARGE = ["--max-pkt-len=9100", "--mbuf-size=2176", "--rx-offloads=0x2000", "--tx-offloads=0x8000"]

DRIVERS = {  # what net_virtio_user is told, and vhost-peer
    "split": ("in_order=0", []),
    "split in order": ("in_order=1", []),
    "split, single buffers": ("in_order=0,mrg_rxbuf=0", []),
    "split, large": ("in_order=0", ["--longest", 8000]),
    "packed": ("packed_vq=1,in_order=0", []),
    "packed in order": ("packed_vq=1,in_order=1", []),
    "packed, single buffers": ("packed_vq=1,in_order=0,mrg_rxbuf=0", []),
    "packed, 200 entries": ("packed_vq=1,queue_size=200", []),
    "packed, large": ("packed_vq=1,in_order=0", ["--longest", 8000]),
}
PACKED, IN_ORDER, INDIRECT = 34, 35, 28
TYPE = 0x88B5  # of frames for experiments
DEVICES = {  # features of our driver, and more
    "split": ([], []),
    "split in order": ([IN_ORDER], []),
    "split, indirect": ([INDIRECT], []),
    "split, small buffers": ([], ["--buffer", 256]),
    "packed": ([PACKED], []),
    "packed in order": ([PACKED, IN_ORDER], []),
    "packed, indirect": ([PACKED, INDIRECT], []),
    "packed, small buffers": ([PACKED], ["--buffer", 256]),
    "packed, 200 entries": ([PACKED], ["--size", 200]),
}


class Loop:
    """DPDK's test program with one port, whose frames go back to it."""

    def __init__(self, place, device, words=()):
        if not shutil.which("dpdk-testpmd"):
            pytest.skip("needs dpdk-testpmd: scripts/packages check")
        self.log = (place / "testpmd.log").open("w+")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry",
             "--single-file-segments", "-l", "0,1", "--file-prefix", f"vop{os.getpid()}", f"--vdev={device}", "--",
             "--total-num-mbufs=4096", "--nb-cores=1", "--forward-mode=io", "--auto-start", "--no-flush-rx", *words],
            stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)  # it ends when its standard input does

    def check(self):
        self.log.seek(0)
        assert self.process.poll() is None, self.log.read()

    def end(self):
        self.process.kill()
        self.process.communicate()
        self.log.close()


def peer(role, path, *words):
    return subprocess.Popen([BIN / "vhost-peer", role, str(path), "--count", str(COUNT), "--seconds", str(SECONDS),
                             *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def finish(process):
    said = process.communicate(timeout=SECONDS + 30)[0]
    assert process.returncode == 0, said


@pytest.mark.parametrize("kind", DRIVERS)
def test_driver(tmp_path, kind):
    path = tmp_path / "s"
    device, words = DRIVERS[kind]
    with peer("back", path, *words) as ours:
        try:
            eventually(path.exists, "our device listens", 10)
            pmd = Loop(tmp_path, f"net_virtio_user0,path={path},queues=1,{device}", LARGE if "large" in kind else ())
            try:
                finish(ours)
                pmd.check()
            finally:
                pmd.end()
        finally:
            ours.kill()


@pytest.mark.parametrize("kind", DEVICES)
def test_device(tmp_path, kind):
    path = tmp_path / "s"
    features, words = DEVICES[kind]
    pmd = Loop(tmp_path, f"net_vhost0,iface={path},queues=1")
    try:
        eventually(path.exists, "DPDK listens", 30)
        with peer("front", path, *words, *[word for bit in features for word in ("--feature", bit)]) as ours:
            try:
                finish(ours)
            finally:
                ours.kill()
        pmd.check()
    finally:
        pmd.end()


class Frames:
    """Frames out of an interface by a socket, and what comes back by it."""

    def __init__(self, namespace, interface):
        self.socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
        self.socket.bind((interface, TYPE))
        self.socket.settimeout(10)

    def there_and_back(self, number):
        """So many frames of all lengths, a few at a time: returns those sent, and those that came back."""
        sent = [bytes.fromhex("020102030405") + bytes.fromhex("020607080910") + TYPE.to_bytes(2, "big") +
                os.urandom(46 + (i * 37) % 1455) for i in range(number)]
        back = []
        for i in range(0, number, 32):
            for frame in sent[i:i + 32]:
                self.socket.send(frame)
            while len(back) < min(i + 32, number):
                frame, address = self.socket.recvfrom(2000)
                if address[2] != PACKET_OUTGOING:
                    back.append(frame)
        return sent, back


@pytest.mark.parametrize("queues", [1, 2])
def test_bridge(namespaces, tmp_path, queues):
    """vop-bridge as the driver of DPDK's device: what its interface sends comes back; also after that was killed."""
    path = tmp_path / "s"
    namespace = namespaces("a")
    bridge = Bridge("--link", f"vhost-user:{path}?front", "--tap", "vop0", "--queues", queues, namespace=namespace,
                    log=tmp_path / "bridge.log")
    try:
        for round_ in (1, 2):
            pmd = Loop(tmp_path, f"net_vhost0,iface={path},queues={queues}", [f"--rxq={queues}", f"--txq={queues}"])
            try:
                bridge.wait_line("link up", round_, seconds=60)
                eventually(lambda: namespace.has_carrier("vop0"), "carrier", 10)
                sent, back = Frames(namespace, "vop0").there_and_back(COUNT // 50)
                pmd.check()
            finally:
                pmd.end()
            path.unlink(missing_ok=True)
            assert sorted(sent) == sorted(back)
            bridge.wait_line("link down: .*the back end has closed, or died", round_, seconds=10)
    finally:
        bridge.stop()
