# SPDX-License-Identifier: BSD-3-Clause
"""Drivers of this library on virtio-mmio registers that are QEMU's: a machine of type microvm, whose devices are such,
version 1 and 2, with packed rings where they can be. tests/system/vm/mmio-uio hands them to programs."""
import hashlib
import os

import pytest

SIZE = 4 << 20
# Without a firmware the kernel measures its clock against timers that emulation has not, and would wait for ever.
CLOCK = "tsc_early_khz=1000000 lpj=1000000"
BOARD = "microvm,x-option-roms=off,isa-serial=on,rtc=on,acpi=on"


@pytest.mark.parametrize("version", [2, 1])
def test_devices(boot, tmp_path, version):
    contents = os.urandom(SIZE)
    (tmp_path / "disk").write_bytes(contents)
    packed = "packed=on" if version == 2 else "packed=off"
    machine = boot("mmio", board=BOARD, append=CLOCK, processors=1, devices=[
        "isa-serial,index=1,chardev=agent", f"virtio-blk-device,drive=disk,{packed}", f"virtio-rng-device,{packed}"],
        words=["-drive", f"file={tmp_path}/disk,format=raw,if=none,id=disk", "-global",
               f"virtio-mmio.force-legacy={'off' if version == 2 else 'on'}"])
    machine.wait_boot()
    machine.load_modules("uio", "vop_mmio_uio")
    names = machine.run("ls /sys/class/uio").split()
    found = {}
    for name in names:  # those without a device have an ID of 0
        status, _ = machine.status(f"driver-client mmio:{name} >/tmp/{name}", 120)
        if status == 0:
            found[int(machine.run(f"wc -c </tmp/{name}"))] = name
    assert set(found) == {SIZE, 4096}, found
    for _ in range(2):  # a program is followed by another one
        there = machine.run(f"driver-client mmio:{found[SIZE]} | md5sum", 120).split()[0]
        assert there == hashlib.md5(contents).hexdigest()
    numbers = [machine.run(f"driver-client mmio:{found[4096]} | md5sum", 60) for _ in range(2)]
    assert numbers[0] != numbers[1]
