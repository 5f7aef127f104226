# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for virtual machines: what they boot, and their end."""
import pathlib
import sys

import pytest

from lib.vm import PLACE, Machine, Software, Unavailable

PROGRAMS = ["uio-try", "pci-try", "vop", "vop-bridge", "echo_server", "echo_client", "driver-client"]

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="session")
def software(tmp_path_factory):
    """software("6.1"): built at first use."""
    place = tmp_path_factory.mktemp("software")
    made = {}

    def get(series):
        if series not in made:
            try:
                made[series] = Software(series, place, PROGRAMS)
            except Unavailable as why:
                pytest.skip(str(why))
        return made[series]
    return get


@pytest.fixture(scope="module")
def boot(request, software, tmp_path_factory):
    """Makes machines: boot("a", devices=["edu"]). At the end their kernels may have complained of nothing.

    What consoles showed is kept in build/vm/logs if a test failed."""
    place = tmp_path_factory.mktemp("vm")
    machines = []
    failed_before = request.session.testsfailed

    def make(name, series="6.1", append="", **options):
        what = software(series)
        machine = Machine(f"{name}{len(machines)}", place, what.kernel, what.initramfs,
                          append=f"{what.append} {append}", **options)
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
