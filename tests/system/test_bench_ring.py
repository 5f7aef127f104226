# SPDX-License-Identifier: BSD-3-Clause
"""bench-ring runs, moves every buffer, and writes what others read. How fast it was is nobody's business here."""
import json
import os
import subprocess

import pytest

from lib.echo import program


def bench(*arguments):
    return subprocess.run([program("bench-ring"), *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_figures(tmp_path):
    path = tmp_path / "ring.json"
    done = bench("--rounds", "1", "--slice-ms", "2", "--no-count", "--json", str(path))
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert {"packed_ratio", "split_inorder_ratio", "outstanding1_ratio"} < set(figures)
    cells = {(cell["queue"], cell["full"], cell["sleep"]) for cell in figures["cells"]}
    assert len(cells) == 8 * 2 * 2
    assert all(value > 0 for value in figures["floor_ns"].values())


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--cpus", "1"], ["--queue", "round"], ["more"],
                                       ["--loop", "9"]])
def test_nonsense_is_refused(arguments):
    done = bench(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "--help" in done.stderr
