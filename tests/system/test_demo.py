# SPDX-License-Identifier: BSD-3-Clause
"""./demo says what it does and refuses what it cannot do; it is too slow and too loud to run whole in the tests."""
import subprocess

import pytest

from lib.echo import one_line
from lib.netns import root_of_project


def demo(*arguments, **options):
    options |= {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 20}
    done = subprocess.run([root_of_project() / "demo", *arguments], check=False, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(option):
    status, output, errors = demo(option)
    assert (status, errors) == (0, "")
    assert output.startswith("usage: ./demo")
    for word in ("--echo", "--vm", "--vm-net", "--mpc8349", "--keep", "--json", "ping_loss_percent", "tcp_ratio",
                 "rr_ratio", "echo_ratio", "steering_pinned_percent", "tcp_mbps", "pair.tcp_mbps", "tcp_qemu_tap_ratio",
                 "rr_qemu_tap_ratio"):
        assert word in output


def test_help_from_elsewhere(tmp_path):
    assert demo("--help", cwd=tmp_path)[0] == 0


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["--json"], ["--vm", "--keep"],
                                       ["--vm", "--echo"], ["--vm-net", "--keep"], ["--mpc8349", "--keep"]])
def test_wrong_usage(arguments):
    status, output, errors = demo(*arguments)
    assert (status, output) == (2, "")
    assert one_line(errors).startswith("demo: ") and "--help" in errors and arguments[0] in errors


def test_file_that_cannot_be_written(tmp_path):
    status, output, errors = demo("--json", f"{tmp_path}/nowhere/figures.json")
    assert (status, output) == (1, "")
    assert f"{tmp_path}/nowhere/figures.json" in one_line(errors)


def test_needs_root(as_nobody):
    status, output, errors = demo(**as_nobody)
    assert (status, output) == (1, "")
    assert "root" in one_line(errors) and "sudo" in errors
