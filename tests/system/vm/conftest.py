# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for virtual machines: what they boot, and their end."""
import pathlib
import shutil
import subprocess
import sys

import pytest

from lib.bridge import BIN
from lib.vm import DRIVER, PLACE, Machine

HERE = pathlib.Path(__file__).parent
PROGRAMS = ["uio-try", "pci-try", "vop"]

sys.path.insert(0, str(HERE))


class Software:
    """What machines of one kernel boot: the kernel itself, and a file system with our programs and driver."""

    def __init__(self, series, place):
        found = PLACE / "kernels" / series
        if not (found / "version").exists():
            tool = "build_debug_kernel" if series.endswith("-debug") else "fetch_kernels"
            pytest.skip(f"no Linux {series} to boot: tests/system/vm/{tool} {PLACE}/kernels "
                        f"{series.removesuffix('-debug')}")
        self.series = series
        self.kernel = found / "vmlinuz"
        self.initramfs = place / f"initramfs-{series}"
        module = place / f"driver-{series}"
        self._run("make", "-C", DRIVER, f"KERNEL={found / 'headers'}", f"OUT={module}")
        self._run(HERE / "make_initramfs", self.initramfs, HERE / "init", found / "modules",
                  module / "vop_pci_uio.ko", *[BIN / program for program in PROGRAMS])

    @staticmethod
    def _run(*words):
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def software(tmp_path_factory):
    """software("6.1"): built at first use."""
    for program in ("qemu-system-x86_64", "busybox", "setpriv"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}: scripts/packages vm")
    place = tmp_path_factory.mktemp("software")
    made = {}

    def get(series):
        if series not in made:
            made[series] = Software(series, place)
        return made[series]
    return get


@pytest.fixture(scope="module")
def boot(request, software, tmp_path_factory):
    """Makes machines: boot("a", devices=["edu"]). At the end their kernels may have complained of nothing.

    What consoles showed is kept in build/vm/logs if a test failed."""
    place = tmp_path_factory.mktemp("vm")
    machines = []
    failed_before = request.session.testsfailed

    def make(name, series="6.1", **options):
        what = software(series)
        machine = Machine(f"{name}{len(machines)}", place, what.kernel, what.initramfs, **options)
        machines.append(machine)
        return machine

    complaints = []
    try:
        yield make
        complaints = [f"{machine.name}: {line}" for machine in machines if machine.is_running()
                      for line in machine.complaints()]
    finally:
        if complaints or request.session.testsfailed > failed_before:
            for machine in machines:
                machine.save_logs(PLACE / "logs")
        for machine in machines:
            machine.kill()
    assert not complaints, f"kernels complain: {complaints}"
