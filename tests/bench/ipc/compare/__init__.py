# SPDX-License-Identifier: BSD-3-Clause
"""What tests/bench/ipc/run is made of: programs, the table of works, rounds, figures, and three ways to show them."""
