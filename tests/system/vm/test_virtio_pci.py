# SPDX-License-Identifier: BSD-3-Clause
"""Drivers of this library on QEMU's virtio devices, through vop_pci_uio: a disk and random numbers, split and packed
rings, with messages (MSI-X) and without."""
import hashlib
import os

import pytest

SIZE = 8 << 20
SERIAL = "pci-disk"
KINDS = {"packed": "packed=on", "split": "packed=off", "INTx": "packed=on,vectors=0"}


@pytest.mark.parametrize("kind", KINDS)
def test_devices(boot, tmp_path, kind):
    contents = os.urandom(SIZE)
    (tmp_path / "disk").write_bytes(contents)
    machine = boot("pci", devices=[
        f"virtio-blk-pci,drive=disk,serial={SERIAL},addr=5,disable-legacy=on,{KINDS[kind]}",
        f"virtio-rng-pci,addr=6,disable-legacy=on,{KINDS[kind]}"], words=[
        "-drive", f"file={tmp_path}/disk,format=raw,if=none,id=disk"])
    machine.wait_boot()
    machine.load_modules("uio")
    machine.run("insmod /modules/vop_pci_uio.ko pool_size=1048576 && vop bind 00:05.0 00:06.0")
    for _ in range(2):  # a program is followed by another one
        there = machine.run("driver-client pci:00:05.0 | md5sum", 60).split()[0]
        assert there == hashlib.md5(contents).hexdigest()
    numbers = [machine.run("driver-client pci:00:06.0 | md5sum", 60) for _ in range(2)]
    assert numbers[0] != numbers[1]
    assert machine.run("driver-client pci:00:06.0 | wc -c", 60).strip() == "4096"
    status, said = machine.status("driver-client pci:00:01.0")
    assert status == 1 and "00:01.0" in said
