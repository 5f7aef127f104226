# SPDX-License-Identifier: BSD-3-Clause
"""Our driver of disks on a vhost-user back end: qemu-storage-daemon, which nobody here wrote, and `vop serve`. Requests
of all types, 32 at a time, each compared with a shadow; and with back ends that are killed meanwhile."""
import os
import re
import shutil
import subprocess

import pytest

from lib.bridge import BIN, SANITIZED, eventually

LONG = bool(os.environ.get("VOP_LONG"))
COUNT = 1000000 if LONG else 10000 if SANITIZED else 100000
COUNT_KILLED = 1000000 if LONG else 10000 if SANITIZED else 40000
KILLS = 50 if LONG else 5
DISK_SIZE = 32 * 256 * 512  # as in vhost_disk.c
SECONDS = 90 + COUNT // 2000  # guards against hangs; vhost-disk gives up before

DAEMON = "qemu-storage-daemon"


class BackEnd:
    """A program whose disk is a file; killed, and started again."""

    def __init__(self, kind, place):
        self.path = place / "s"
        disk = place / "disk"
        disk.write_bytes(bytes(DISK_SIZE))
        if kind == DAEMON:
            if not shutil.which(DAEMON):
                pytest.skip(f"needs {DAEMON} (qemu-system-common): scripts/packages check")
            self.words = [DAEMON, "--blockdev", f"driver=file,node-name=disk,filename={disk},discard=unmap", "--export",
                          f"type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path={self.path},writable=on"]
        else:
            self.words = [BIN / "vop", "serve", "block", disk, "--vhost-user", self.path]
        self.start()

    def start(self):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *self.words], stdin=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        eventually(self.path.exists, "it listens", 10)
        return self

    def __exit__(self, *_):
        self.kill()


def drive(path, count, rings):
    return subprocess.Popen([BIN / "vhost-disk", path, str(count), rings], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def finish(driver):
    try:
        output, errors = driver.communicate(timeout=SECONDS)
    finally:
        driver.kill()
    assert (driver.returncode, errors) == (0, ""), errors
    print(output)
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", output)}


KINDS = [(DAEMON, "split"), ("vop serve", "split"), ("vop serve", "packed")]  # the daemon has no packed rings


@pytest.mark.parametrize("kind,rings", KINDS)
def test_requests(tmp_path, kind, rings):
    count = COUNT if kind == DAEMON else COUNT // 4
    with BackEnd(kind, tmp_path) as back_end:
        said = finish(drive(back_end.path, count, rings))
    assert said["requests"] == count and said["back_ends"] == 1
    assert min(said[name] for name in ("in", "out", "flush", "discard", "zeroes")) > count // 20


@pytest.mark.parametrize("kind,rings", KINDS)
def test_killed(tmp_path, kind, rings):
    """What was under way when a back end died is done by the next; what was done before is there."""
    disk = tmp_path / "disk"
    with BackEnd(kind, tmp_path) as back_end:
        driver = drive(back_end.path, COUNT_KILLED, rings)
        for _ in range(KILLS):
            before = disk.stat().st_mtime_ns
            eventually(lambda: disk.stat().st_mtime_ns != before or driver.poll() is not None,  # pylint: disable=W0640
                       "the disk is written", 20)
            back_end.kill()
            back_end.start()
        said = finish(driver)
    assert said["requests"] == COUNT_KILLED and said["back_ends"] > 1 and said["again"] > 0
