# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the system tests. Whatever ends a run (a failure, Ctrl-C, SIGTERM), nothing of it is left behind."""
import atexit
import os
import signal
import subprocess
import sys

import pytest

from lib import netns
from lib.bridge import BIN, Pair
from lib.echo import Place

collect_ignore = ["vm"]  # machines are for who asks for them: pytest tests/system/vm
if "VOP_POWERPC_BIN" not in os.environ:
    collect_ignore.append("test_powerpc.py")  # needs a second build


def _terminated(_number, _frame):
    sys.exit(143)  # runs the fixtures' finally clauses and atexit


def pytest_configure(config):
    if hasattr(config, "workerinput"):  # one of several that share the tests: it has a /tmp of its own
        os.makedirs(os.path.dirname(config.option.basetemp), exist_ok=True)
    signal.signal(signal.SIGTERM, _terminated)
    atexit.register(netns.remove_all)


def pytest_sessionstart(session):
    if os.geteuid() == 0:
        netns.remove_stale()


def pytest_sessionfinish(session):
    """What is left behind in the namespaces of one of several that share the tests, only it can see."""
    if hasattr(session.config, "workerinput"):
        with open(os.environ["VOP_LEFTOVERS"], "a", encoding="utf-8") as file:
            subprocess.run([netns.root_of_project() / "scripts/leftovers"], stdout=file, check=True)


@pytest.fixture
def root():
    """For tests that need namespaces and interfaces."""
    if os.geteuid() != 0:
        pytest.skip("needs root: namespaces and TAP interfaces")
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("needs /dev/net/tun: modprobe tun")


@pytest.fixture
def as_nobody():
    """What makes a child of subprocess a user without rights. In a clone in /root that user has no way to a program."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become nobody")
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    if subprocess.run(["test", "-x", BIN], check=False, **nobody).returncode != 0:
        pytest.skip(f"nobody cannot read {BIN}")
    return nobody


@pytest.fixture
def namespaces(root):
    """Makes namespaces: namespaces("a", "b")."""
    made = []

    def make(*names):
        new = [netns.Namespace(name) for name in names]
        made.extend(new)
        return new if len(new) > 1 else new[0]

    try:
        yield make
    finally:
        for namespace in made:
            namespace.remove()


@pytest.fixture
def pair(namespaces, tmp_path):
    """Two namespaces and the means to join them by two bridges."""
    both = Pair(*namespaces("a", "b"), tmp_path)
    try:
        yield both
    finally:
        both.stop()


@pytest.fixture
def place():
    """A directory for the sockets of echo programs, which end with it."""
    place = Place()
    try:
        yield place
    finally:
        place.close()
