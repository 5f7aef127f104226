# SPDX-License-Identifier: BSD-3-Clause
"""The tests in C of channels, wires and hostile peers on Debian's own kernel 6.1, which has no SO_PASSRIGHTS: all of
them if VOP_LONG is in the environment, else one, so that the way there is known to work."""
import os
import pathlib

import pytest

from lib.vm import BIN, Machine, Software, Unavailable

LONG = bool(os.environ.get("VOP_LONG"))
ROOMS = ("unit.sys.", "unit.native.", "unit.wire.", "unit.channel.", "unit.link.", "hostile.")
SHORT = "unit.wire.doorbell"
SECONDS = 1500  # of one program, under emulation


def programs():
    """Name of a test -> its program, as the build lists them."""
    try:
        lines = (pathlib.Path(BIN).parent / "unit-tests.txt").read_text().split("\n")
    except OSError:
        return {}
    tests = dict(line.split() for line in lines if line)
    return {name: program for name, program in tests.items() if name.startswith(ROOMS) and (LONG or name == SHORT)}


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    place = tmp_path_factory.mktemp("c-tests")
    try:
        software = Software("6.1", place, programs().values())
    except Unavailable as why:
        pytest.skip(str(why))
    machine = Machine("c", place, software.kernel, software.initramfs, append=software.append, memory=2048).wait_boot()
    machine.run("chmod 1777 /tmp && mkdir -p /dev/shm && mount -t tmpfs -o mode=1777 tmpfs /dev/shm")
    yield machine
    machine.kill()


NO_LIST = pytest.param(SHORT, marks=pytest.mark.skip("no list of tests: build them"))


@pytest.mark.parametrize("name", programs() or [NO_LIST])
def test_program(machine, name):
    status, output = machine.status(f"cd /tmp && {programs()[name]}", SECONDS)
    if status == 77:
        pytest.skip(output.strip().splitlines()[-1])
    assert status == 0, output[-4000:]
