# SPDX-License-Identifier: BSD-3-Clause
"""Figures as text."""
from compare.figures import NAMED
from compare.paths import BY_NAME
from compare.works import BY_KEY

# What is aimed at: at least (True) or at most (False) so much.
AIMS = {
    "tcp1_cubic_relay_ratio": (True, 1), "tcp1_bbr_relay_ratio": (True, 1), "tcp4_two_queues_ratio": (True, 1.15),
    "tcp4_two_queues_relay_ratio": (True, 1), "cpu_relay_ratio": (False, 1.15), "udp64_veth_ratio": (True, 1.2),
    "udp1400_veth_ratio": (True, 1.2), "rr_veth_ratio": (False, 2.2), "rr_p99_us": (False, 100),
    "rr_p99_relay_ratio": (False, 1.5), "ping_under_tcp_p95_ms": (False, 1), "vxlan_gbps": (True, 8),
    "vxlan_veth_ratio": (True, 0.4), "capture_cost_ratio": (True, 0.9), "capture_headers_cost_ratio": (True, 0.9),
}
ABOUT = {
    "tcp1_cubic_relay_ratio": "TCP, 1 flow, cubic: bridges / relay",
    "tcp1_bbr_relay_ratio": "TCP, 1 flow, bbr: bridges / relay",
    "tcp4_two_queues_ratio": "TCP, 4 flows, cubic: 2 queues / 1 queue",
    "tcp4_two_queues_relay_ratio": "TCP, 4 flows, cubic: bridges / relay, 2 queues each",
    "cpu_relay_ratio": "processor time of all for a GB, 1 flow, cubic: bridges / relay",
    "cpu_carriers_relay_ratio": "the same without the ends of the connection",
    "udp64_veth_ratio": "UDP, 64 B, received: bridges / veth",
    "udp1400_veth_ratio": "UDP, 1400 B, received: bridges / veth",
    "rr_veth_ratio": "request/response, p50: bridges / veth",
    "rr_p99_us": "request/response, p99, us",
    "rr_p99_relay_ratio": "request/response, p99: bridges / relay",
    "ping_under_tcp_p95_ms": "ping under one TCP flow, p95, ms",
    "vxlan_gbps": "TCP through VXLAN, Gbit/s",
    "vxlan_veth_ratio": "TCP through VXLAN: bridges / veth",
    "udp1400_gso_veth_ratio": "UDP, 1400 B, sent with GSO, received: bridges / veth",
    "capture_cost_ratio": "TCP, 1 flow: while it is captured / without",
    "capture_headers_cost_ratio": "the same, the first 96 bytes of each frame",
    "capture_dropped_percent": "frames dropped from a capture at that rate, %",
    "capture_headers_dropped_percent": "the same, the first 96 bytes of each frame, %",
}


def figure_text(value):
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def cells(figures, work):
    return [figure_text(figures.median(work.key, path, work.figure)) for path in figures.paths]


def aim_text(name):
    if name not in AIMS:
        return ""
    at_least, bound = AIMS[name]
    return f"{'>=' if at_least else '<='} {bound:g}"


def is_missed(name, value):
    if name not in AIMS or value is None:
        return False
    at_least, bound = AIMS[name]
    return value < bound if at_least else value > bound


def text(figures, result):
    """What is printed at the end."""
    lines = ["", "Medians of each path. Of what is marked -, less is better", ""]
    width = max((len(path) for path in figures.paths), default=0) + 3
    lines.append(f"{'':<30}{'':<12}" + "".join(f"{path:>{max(width, 9)}}" for path in figures.paths))
    for work in figures.works:
        unit = work.unit + ("" if work.more else " -")
        lines.append(f"{work.title:<30}{unit:<12}" +
                     "".join(f"{cell:>{max(width, 9)}}" for cell in cells(figures, work)))
    lines += ["", "Ratios are medians of those within each round", ""]
    for name in NAMED:
        value = result[name]
        if value is not None:
            lines.append(f"{ABOUT[name]:<66}{figure_text(value):>7}   {aim_text(name)}"
                         f"{'  missed' if is_missed(name, value) else ''}".rstrip())
    lines.append("")
    lines += [f"{path}: {BY_NAME[path].title}" for path in figures.paths if path != BY_NAME[path].title]
    lines += [f"left out: {left_out_text(one)}" for one in result["left_out"]]
    lines.append(f"{result['rounds']} rounds, {result['seconds']} s each")
    return "\n".join(lines)


def left_out_text(one):
    what = [BY_NAME[one["path"]].title] if one["path"] else []
    what += [BY_KEY[one["work"]].title] if one["work"] else []
    return f"{', '.join(what)}: {one['why']}"
