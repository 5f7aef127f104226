# SPDX-License-Identifier: BSD-3-Clause
"""A disk of a machine of QEMU that is `vop serve block`, killed again and again while the machine writes: QEMU keeps
what was in flight, and the next one goes on with it. What was written is compared with what is read back, each time."""
import subprocess

import pytest

from lib.bridge import BIN, eventually
from lib.vm import LONG

MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"]
MEMORY = 160
MIB = 8
KILLS = 10 if LONG else 2
KINDS = {"split": "packed=off", "packed": "packed=on"}

# Until it is told to stop, and once more: writes that were reported as done must be there.
WRITE = """
    dd if=/dev/urandom of=/tmp/0 bs=1M count={mib} 2>/dev/null
    dd if=/dev/urandom of=/tmp/1 bs=1M count={mib} 2>/dev/null
    passes=0
    while :; do
        [ -e /tmp/stop ] && last=1
        dd if=/tmp/$((passes % 2)) of=/dev/vda bs=16k conv=fsync 2>/dev/null || exit 1
        echo 3 >/proc/sys/vm/drop_caches
        cmp /tmp/$((passes % 2)) /dev/vda || exit 2
        passes=$((passes + 1))
        [ -z "$last" ] || break
    done
    echo $passes
"""


class Serve:
    """vop serve block."""

    def __init__(self, path, disk):
        self.words = [BIN / "vop", "serve", "block", disk, "--vhost-user", path]
        self.start()
        eventually(path.exists, "it listens", 10)

    def start(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("kind", KINDS)
def test_killed(boot, tmp_path, kind):
    path, disk = tmp_path / "disk", tmp_path / "file"
    disk.write_bytes(bytes(MIB << 20))
    serve = Serve(path, disk)
    machine = None
    try:
        machine = boot("block", devices=[f"vhost-user-blk-pci,chardev=disk,vectors=0,num-queues=1,{KINDS[kind]},"
                                         "disable-legacy=on"], memory=MEMORY, words=[
            "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on", "-machine", "memory-backend=ram",
            "-chardev", f"socket,id=disk,path={path},reconnect=1"])
        machine.wait_boot()
        machine.load_modules(*MODULES)
        machine.eventually("[ -b /dev/vda ]", "the disk is there")
        machine.run(f"cat >/tmp/write <<'END'\n{WRITE.format(mib=MIB)}\nEND")
        machine.start("sh -c 'sh /tmp/write; echo status $?'", "/tmp/said")
        for _ in range(KILLS):
            before = disk.stat().st_mtime_ns
            eventually(lambda: disk.stat().st_mtime_ns != before, "the machine writes", 20)  # pylint: disable=W0640
            serve.kill()
            serve.start()
        machine.run("touch /tmp/stop")
        said = machine.eventually("grep status /tmp/said >/dev/null && cat /tmp/said", "the last pass ends", 60)
        assert "status 0" in said, f"1: a write failed, 2: what was read back is not what was written: {said}"
        print(f"{kind}: {said.split()[0]} passes of {MIB} MiB, {KILLS} kills")
    finally:
        if machine:
            machine.kill()
        serve.kill()
