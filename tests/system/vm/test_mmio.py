# SPDX-License-Identifier: BSD-3-Clause
"""Linux's own virtio_mmio driver on registers of this library, version 1 and 2: random numbers, a disk, a network
card. The registers are BAR 0 of PCI devices whose other end is bin/mmio-device."""
import os
import socket
import subprocess

import pytest

from lib.bridge import BIN
from lib.vm import SLOW
from test_vhost import lost

MODULES = ["virtio_ring", "virtio", "virtio_mmio", "rng-core", "virtio-rng", "virtio_blk", "failover", "net_failover",
           "virtio_net"]
MEMORY = 192
HOST, GUEST = "10.98.0.1", "10.98.0.2"
SECTORS = 16384
MAC = "02:00:00:00:00:01"


class World:
    """A machine with three devices, the process behind them, and the namespace of the card's interface."""

    def __init__(self, boot, namespace, place, version):
        self.disk = place / "disk"
        self.disk.write_bytes(os.urandom(SECTORS * 512))
        pairs = [socket.socketpair() for _ in range(3)]
        qtest = place / "qtest"
        types = ["rng", f"block:{self.disk}", "net:vop0"]
        ours = [pair[0].fileno() for pair in pairs]
        theirs = [pair[1].fileno() for pair in pairs]
        self.log = (place / "mmio-device.log").open("w+")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace.name, BIN / "mmio-device", qtest, str(version),
             *[f"{fd}={what}" for fd, what in zip(ours, types)]],
            pass_fds=ours, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            # One processor: while the proxy device waits for an answer QEMU lets others run, and drops their accesses.
            self.machine = boot("mmio", memory=MEMORY, processors=1, fds=theirs, devices=[
                f"x-pci-proxy-dev,id=p{fd},fd={fd}" for fd in theirs], words=[
                "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on", "-machine", "memory-backend=ram",
                "-qtest", f"unix:{qtest},server=on,wait=off", "-qtest-log", "/dev/null"])
        finally:
            for end in sum(pairs, ()):
                end.close()
        self.namespace = namespace

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def end(self):
        self.machine.kill()
        try:
            status = self.process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert status == 0, self.said()
        self.log.close()


@pytest.mark.parametrize("version", [2, 1])
def test_devices(boot, namespaces, tmp_path, version):
    """All three at work, the disk compared byte for byte, and drivers that go and come again."""
    namespace = namespaces("host")
    world = World(boot, namespace, tmp_path, version)
    try:
        machine = world.machine.wait_boot()
        machine.load_modules(*MODULES, "vop_mmio_pci")
        check_rng(machine)
        check_disk(world)
        check_card(world)
        for driver in ("virtio_rng", "virtio_blk", "virtio_net"):
            rebind(machine, driver)
        check_rng(machine)
        check_disk(world)
        check_card(world)
        for line in machine.run("cat /sys/bus/virtio/devices/*/features").split():
            assert len(line) >= 33 and line[32] == str(version - 1), "VERSION_1"
    finally:
        world.end()


def rebind(machine, driver):
    directory = f"/sys/bus/virtio/drivers/{driver}"
    device = machine.run(f"ls {directory} | grep virtio").strip()
    machine.run(f"echo {device} >{directory}/unbind && echo {device} >{directory}/bind")


def check_rng(machine):
    machine.eventually("grep -q virtio_rng /sys/class/misc/hw_random/rng_available", "a source of random numbers")
    machine.run("echo virtio_rng.0 >/sys/class/misc/hw_random/rng_current 2>/dev/null; true")
    machine.run("dd if=/dev/hwrng of=/tmp/random bs=64 count=100", 60)
    assert int(machine.run("gzip -c /tmp/random | wc -c")) > 6400


def check_disk(world):
    machine = world.machine
    assert int(machine.run("cat /sys/block/vda/size")) == SECTORS
    assert machine.run("cat /sys/block/vda/serial").strip() == "mmio-disk"
    machine.run("dd if=/dev/urandom of=/dev/vda bs=64k seek=7 count=40 conv=fsync && echo 3 >/proc/sys/vm/drop_caches",
                60)
    there = machine.run("md5sum </dev/vda", 120).split()[0]
    here = subprocess.run(["md5sum", world.disk], capture_output=True, text=True, check=True).stdout.split()[0]
    assert there == here


def check_card(world):
    machine = world.machine
    world.namespace.ip("addr", "replace", f"{HOST}/24", "dev", "vop0")
    world.namespace.ip("link", "set", "vop0", "up")
    assert machine.run("cat /sys/class/net/eth0/address").strip() == MAC
    assert machine.run("cat /sys/class/net/eth0/mtu").strip() == "1400"
    machine.run(f"ip addr add {GUEST}/24 dev eth0 2>/dev/null; ip link set eth0 up")
    machine.eventually(f"ping -c 1 -W 1 {HOST}", "ping")
    assert lost(machine, 20) == 0
    assert lost(machine, 20, size=5000) == 0
