# SPDX-License-Identifier: BSD-3-Clause
"""The driver compiles without a warning, from the compiler (W=1) and from sparse, for the kernels it is made for."""
import subprocess

import pytest

from lib.vm import DRIVER, PLACE


@pytest.mark.parametrize("series", ["6.1", "6.12"])
def test_no_warnings(series):
    headers = PLACE / "kernels" / series / "headers"
    if not headers.exists():
        pytest.skip(f"no headers of Linux {series}: tests/system/vm/fetch_kernels {PLACE}/kernels {series}")
    done = subprocess.run(["make", "-C", str(DRIVER), "check", f"KERNELS={headers}"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{headers}: no warning" in done.stdout
