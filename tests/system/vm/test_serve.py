# SPDX-License-Identifier: BSD-3-Clause
"""vop serve as a back end of vhost-user: a disk and random numbers of a machine of QEMU."""
import contextlib
import os
import signal
import subprocess

import pytest

from lib.bridge import BIN, eventually
from lib.vm import LONG
from test_mmio import check_disk, check_rng, rebind

MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "rng-core",
           "virtio-rng", "virtio_blk"]
MEMORY = 192
SECTORS = 16384


class World:
    """A machine and its disk, as check_disk() wants them."""

    def __init__(self, machine, disk):
        self.machine = machine
        self.disk = disk


@contextlib.contextmanager
def serving(path, *words):
    process = subprocess.Popen([BIN / "vop", "serve", *words, f"--vhost-user={path}"], stdin=subprocess.DEVNULL)
    try:
        eventually(path.exists, "vop listens", 10)
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(50) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("packed", ["off", "on"] if LONG else ["on"])
def test_machine(boot, tmp_path, packed):
    disk = tmp_path / "disk"
    disk.write_bytes(os.urandom(SECTORS * 512))
    with serving(tmp_path / "block", "block", disk, "--id=mmio-disk"), serving(tmp_path / "rng", "rng"):
        machine = boot("serve", memory=MEMORY, devices=[
            f"vhost-user-blk-pci,chardev=block,num-queues=1,vectors=0,packed={packed}",
            "vhost-user-rng-pci,chardev=rng,vectors=0"], words=[
            "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on", "-machine", "memory-backend=ram",
            "-chardev", f"socket,id=block,path={tmp_path}/block", "-chardev", f"socket,id=rng,path={tmp_path}/rng"])
        machine.wait_boot()
        machine.load_modules(*MODULES)
        world = World(machine, disk)
        check_rng(machine)
        check_disk(world)
        for driver in ("virtio_rng", "virtio_blk"):
            rebind(machine, driver)
        check_rng(machine)
        check_disk(world)
        machine.kill()
