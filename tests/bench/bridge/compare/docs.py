# SPDX-License-Identifier: BSD-3-Clause
"""The section "Bridges beside others" of docs/PERFORMANCE.md, made from the figures of one run."""
from compare.figures import NAMED
from compare.paths import BY_NAME
from compare.table import ABOUT, aim_text, cells, figure_text, is_missed, left_out_text
from report.machine import machine_text
from report.page import put_section, wrapped

BEGIN = "<!-- made by tests/bench/bridge/run --docs: begin -->"
END = "<!-- made by tests/bench/bridge/run --docs: end -->"


def load_text(machine):
    """What a reader must know of the run."""
    if machine["load"] < machine["processors"] / 2:
        return ""
    return (f" Other programs were at work beside it (a load of {machine['load']:.1f} at its beginning): figures move "
            "with that, and most of all those of waiting.")


def introduction(result):
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (f"`tests/bench/bridge/run --docs` made this section. Two network namespaces are joined in several ways at "
            f"once, and each work is played over one after the other, round by round. Seen in one run "
            f"({machine_text(machine)}; {result['rounds']} rounds, {result['seconds']} s each). {versions}."
            f"{load_text(machine)}\n\n"
            "The MTU is 1500 everywhere. The relays are one process each that reads from one TAP and writes to the "
            "other, with the same virtio headers and offloads: epoll with read and write, and io_uring with a "
            "multishot read. They copy as often as two bridges do, and have no peer that may die or lie. The pair of "
            "relays is two processes with a ring between them that checks nothing. UDP is sent "
            "as fast as it can be (or at the named rate) and counted by a receiver whose socket holds 64 MB, so what "
            "is lost is lost on the way. Processor time is that of both ends of a connection and of the carriers. "
            "pasta ends connections itself.")


def medians_table(figures):
    lines = ["| | | " + " | ".join(BY_NAME[path].title for path in figures.paths) + " |",
             "|---|---|" + "---|" * len(figures.paths)]
    for work in figures.works:
        lines.append(f"| {work.title} | {work.unit} | " + " | ".join(cells(figures, work)) + " |")
    for figure, title in (("cpu_s_per_gb", "processor time"), ("carriers_cpu_s_per_gb", "of that, the carriers'")):
        for work in figures.works:
            if work.key in ("tcp1_cubic", "tcp1_bbr"):
                values = [figure_text(figures.median(work.key, path, figure)) for path in figures.paths]
                lines.append(f"| {work.title}: {title} | s/GB | " + " | ".join(values) + " |")
    if "rr" in figures.samples:
        values = [figure_text(figures.median("rr", path, "p99_us")) for path in figures.paths]
        lines.append("| request/response, 64 B | us, p99 | " + " | ".join(values) + " |")
    return "\n".join(lines)


def ratios_table(result):
    lines = ["| | ratio | aim |", "|---|---|---|"]
    for name in NAMED:
        if result[name] is not None:
            missed = " **missed**" if is_missed(name, result[name]) else ""
            lines.append(f"| {ABOUT[name]} | {figure_text(result[name])} | {aim_text(name)}{missed} |")
    return "\n".join(lines)


def section(figures, result, pictures):
    parts = [BEGIN, "## Bridges beside others", *introduction(result).split("\n\n")]
    parts += [f"![Each work over each path, sorted](pictures/{name}.svg)" for name in pictures]
    parts += [medians_table(figures), "Ratios are medians of those within each round.", ratios_table(result)]
    if result["left_out"]:
        parts.append("Left out: " + "; ".join(left_out_text(one) for one in result["left_out"]) + ".")
    return "\n\n".join(wrapped(part) for part in [*parts, END]) + "\n"


def write(path, figures, result, pictures):
    put_section(path, BEGIN, END, section(figures, result, pictures))
