# SPDX-License-Identifier: BSD-3-Clause
"""The command line of vop: what is refused, and what is said then. What it does with devices: tests/system/vm."""
import re
import subprocess

import pytest

from lib.bridge import BIN

VOP = BIN / "vop"


def run(*words):
    done = subprocess.run([VOP, *words], text=True, capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("words, said", [
    ("", "Usage"), ("fly", "no command fly"), ("bind", "say which device"), ("unbind", "say which device"),
    ("pci 00:04.0", "Too many arguments: 00:04.0; vop pci lists devices"), ("pci --what", "unrecognized option"),
    ("bind 4", "vop bind: 4: not the address"), ("unbind 00:04.8", "vop unbind: 00:04.8: not the address"),
    ("bind --driver=e1000 00:04.0", "choose vop_pci_uio, vfio-pci or uio_pci_generic")])
def test_wrong_usage(words, said):
    status, text = run(*words.split())
    assert status == 2 and said in text, text


def test_no_such_device():
    """Either form of an address is the same device; each gets a line."""
    assert run("unbind", "fe:1f.7", "0000:fe:1f.7") == \
        (1, "vop: 0000:fe:1f.7: no such PCI device; see vop pci --all\n" * 2)


def test_version():
    status, text = run("--version")
    assert status == 0 and re.fullmatch(r"vop \d+\.\d+\.\d+\n", text)


@pytest.mark.parametrize("option", ["--all", "--json"])
def test_full_disk(option):
    with open("/dev/full", "w") as full:
        done = subprocess.run([VOP, "pci", option], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
