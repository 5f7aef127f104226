# SPDX-License-Identifier: BSD-3-Clause
"""Samples as figures: medians, and ratios within a round, whose median is the ratio."""
import statistics

from compare.paths import FLOOR, OURS, RELAY, TWO_QUEUES
from compare.works import WORKS

ONE_QUEUE = "vop1"
RELAY_TWO_QUEUES = "relay2"

# Each name in the JSON: work, figure, whose, compared with. None: a value, not a ratio.
NAMED = {
    "tcp1_cubic_relay_ratio": ("tcp1_cubic", "gbps", OURS, RELAY),
    "tcp1_bbr_relay_ratio": ("tcp1_bbr", "gbps", OURS, RELAY),
    "tcp4_two_queues_ratio": ("tcp4_cubic", "gbps", TWO_QUEUES, ONE_QUEUE),
    "tcp4_two_queues_relay_ratio": ("tcp4_cubic", "gbps", TWO_QUEUES, RELAY_TWO_QUEUES),
    "cpu_relay_ratio": ("tcp1_cubic", "cpu_s_per_gb", OURS, RELAY),
    "cpu_carriers_relay_ratio": ("tcp1_cubic", "carriers_cpu_s_per_gb", OURS, RELAY),
    "udp64_veth_ratio": ("udp64", "kpps", OURS, FLOOR),
    "udp1400_veth_ratio": ("udp1400", "kpps", OURS, FLOOR),
    "rr_veth_ratio": ("rr", "p50_us", OURS, FLOOR),
    "rr_p99_us": ("rr", "p99_us", OURS, None),
    "rr_p99_relay_ratio": ("rr", "p99_us", OURS, RELAY),
    "ping_under_tcp_p95_ms": ("ping_under_tcp", "p95_ms", OURS, None),
    "vxlan_gbps": ("vxlan", "gbps", OURS, None),
    "vxlan_veth_ratio": ("vxlan", "gbps", OURS, FLOOR),
    "udp1400_gso_veth_ratio": ("udp1400_gso", "kpps", OURS, FLOOR),
    "capture_cost_ratio": ("capture", "ratio", OURS, None),
    "capture_headers_cost_ratio": ("capture", "headers_ratio", OURS, None),
    "capture_dropped_percent": ("capture", "dropped_percent", OURS, None),
    "capture_headers_dropped_percent": ("capture", "headers_dropped_percent", OURS, None),
}


def rounded(value):
    return None if value is None else float(f"{value:.4g}")


class Figures:
    def __init__(self, samples):
        self.samples = samples  # {work: {path: [sample or None]}}
        self.paths = list(dict.fromkeys(path for by_path in samples.values() for path in by_path))
        self.works = [work for work in WORKS if work.key in samples]

    def values(self, work, path, figure):
        """One a round; None where there is none."""
        return [sample and sample[figure] for sample in self.samples.get(work, {}).get(path, [])]

    def median(self, work, path, figure):
        values = [value for value in self.values(work, path, figure) if value is not None]
        return statistics.median(values) if values else None

    def ratio(self, work, figure, path, base):
        """The median of the ratios of each round; None: there is none."""
        pairs = zip(self.values(work, path, figure), self.values(work, base, figure))
        ratios = [mine / other for mine, other in pairs if mine is not None and other]
        return statistics.median(ratios) if ratios else None

    def named(self, name):
        work, figure, path, base = NAMED[name]
        return self.ratio(work, figure, path, base) if base else self.median(work, path, figure)

    def of(self, work, path):
        """All figures of a work over a path, as medians; None: there are none."""
        sample = next((one for one in self.samples.get(work, {}).get(path, []) if one), None)
        return sample and {figure: rounded(self.median(work, path, figure)) for figure in sample}

    def ratios(self, work, path):
        """Of the figure that is compared, to the veth pair and to the relay."""
        return {base: rounded(self.ratio(work.key, work.figure, path, base)) for base in (FLOOR, RELAY)}


def result_json(figures, facts):
    return {
        **{name: rounded(figures.named(name)) for name in NAMED},
        "raw": {work.key: {path: figures.of(work.key, path) for path in figures.paths} for work in figures.works},
        "ratios": {work.key: {path: figures.ratios(work, path) for path in figures.paths} for work in figures.works},
        "samples": figures.samples,
        **facts,
    }
