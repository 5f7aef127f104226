# SPDX-License-Identifier: BSD-3-Clause
"""The table of works: what every carrier is asked to do, if it can."""
import dataclasses

from compare.programs import OURS_LTO, OURS_STATIC

SPIN, ADAPTIVE, SLEEP = "spin", "adaptive", "sleep"
SMALL_PROGRAM = 65536  # --size-max of the programs for all but the largest messages: what fits their defaults
LARGE_PROGRAM = 1 << 20


@dataclasses.dataclass(frozen=True)
class Work:
    key: str  # as in the JSON
    title: str
    command: str  # without the length of the slice
    size: int
    waitings: tuple
    kind: str = "rtt"  # rtt, latency, rate or inplace
    batch: int = 1
    for_variants: bool = False  # the library static and with LTO as well

    @property
    def program_size(self):
        return SMALL_PROGRAM if self.size <= SMALL_PROGRAM else LARGE_PROGRAM

    @property
    def is_rate(self):
        """Compared by messages a second, not by time."""
        return self.kind in ("rate", "inplace")


ALL = (SPIN, ADAPTIVE, SLEEP)
WORKS = (
    Work("rtt64", "round trip, 64 B", "rtt 64", 64, ALL, for_variants=True),
    Work("latency64", "round trip, 64 B, each timed", "latency 64", 64, (SPIN, SLEEP), "latency"),
    Work("rtt1k", "round trip, 1 KiB", "rtt 1024", 1024, ALL),
    Work("rtt4k", "round trip, 4 KiB", "rtt 4096", 4096, ALL),
    Work("rtt64k", "round trip, 64 KiB", "rtt 65536", 65536, ALL),
    Work("rate64", "one way, 64 B", "rate 64 1", 64, ALL, "rate", for_variants=True),
    Work("rate64_batch16", "one way, 64 B in batches of 16", "rate 64 16", 64, ALL, "rate", 16, for_variants=True),
    Work("copied64k", "one way, 64 KiB copied", "copied 65536", 65536, (SPIN,), "rate"),
    Work("copied1m", "one way, 1 MiB copied", "copied 1048576", 1 << 20, (SPIN,), "rate"),
    Work("inplace64k", "one way, 64 KiB in place", "inplace 65536", 65536, (SPIN,), "inplace"),
    Work("inplace1m", "one way, 1 MiB in place", "inplace 1048576", 1 << 20, (SPIN,), "inplace"),
)


def can(carrier, waiting, work):
    """Whether this carrier, described as in --list, can do this work, and whether it is asked to."""
    if waiting not in work.waitings or waiting not in carrier["waitings"] or work.size > carrier["size_max"]:
        return False
    if carrier["name"] in (OURS_STATIC, OURS_LTO) and not (work.for_variants and waiting == SPIN):
        return False
    if work.is_rate and not carrier["one_way"]:
        return False
    if work.batch > 1 and not carrier["batches"]:
        return False
    return work.kind != "inplace" or carrier["in_place"]
