# SPDX-License-Identifier: BSD-3-Clause
"""Helpers of the system tests."""
