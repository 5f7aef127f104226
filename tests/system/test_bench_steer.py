# SPDX-License-Identifier: BSD-3-Clause
"""bench-steer runs and writes what others read. How much it cost is nobody's business here."""
import json
import os
import subprocess

import pytest

from lib.bridge import BIN, SANITIZED

BENCH = BIN / "bench-steer"


def bench(*arguments):
    if not BENCH.exists():
        pytest.skip("built without the steering program")
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(SANITIZED, reason="the kernel runs it: the same in every build")
def test_figures(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root: CAP_BPF")
    path = tmp_path / "steer.json"
    done = bench("--rounds", "1", "--repeat", "1000", "--json", str(path))
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert {"empty_ns", "udp4_toeplitz_ns", "udp4_pinned_ns", "udp4_bitwise_ns"} < set(figures)
    assert len(done.stdout.splitlines()) == len(figures)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--repeat", "x"], ["more"]])
def test_nonsense_is_refused(arguments):
    done = bench(*arguments)
    assert done.returncode == 2 and "--help" in done.stderr
