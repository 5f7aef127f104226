# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks that end in pages and pictures share: ipc/run and bridge/run."""
