# SPDX-License-Identifier: BSD-3-Clause
"""The machine that figures depend on."""
import datetime
import os
import platform
import re


def first_line(path, pattern, otherwise):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return otherwise
    return found[1].strip() if found else otherwise


def describe_machine():
    """Without the name of a host."""
    info = "/proc/cpuinfo"
    return {
        "date": datetime.date.today().isoformat(),
        "processor": first_line(info, r"^(?:model name|Processor|cpu)\s*: *(.*)$", platform.machine()),
        "architecture": platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "virtual": bool(first_line(info, r"^flags.*\b(hypervisor)\b", "")),
        "kernel": ".".join(platform.release().split(".")[:2]),
    }


def machine_text(machine):
    date = datetime.date.fromisoformat(machine["date"])
    kind = "a virtual machine" if machine["virtual"] else "a machine"
    return (f"{date.day} {date:%B %Y}, {machine['processors']} processors of {kind}, {machine['processor']}, "
            f"Linux {machine['kernel']}")
