# SPDX-License-Identifier: BSD-3-Clause
"""The section "Beside others" of docs/PERFORMANCE.md, made from the figures of one run."""
from compare.figures import PLACES, RING, RING_WITH_FLAG
from compare.programs import OURS, OWN
from compare.table import describe, figure_text, ratio_text, rows
from compare.works import ADAPTIVE, SLEEP, SPIN, WORKS
from report.machine import machine_text
from report.page import put_section, wrapped

BEGIN = "<!-- made by tests/bench/ipc/run --docs: begin -->"
END = "<!-- made by tests/bench/ipc/run --docs: end -->"

PICTURES = {
    "ipc-bars": "Round trips and rates of messages of 64 bytes, sorted",
    "ipc-round-trip": "Round trips of 64 bytes to 64 KiB",
    "ipc-latency": "Percentiles of round trips of 64 bytes",
}


def introduction(figures, result):
    seen = [f"{place} ({describe(place)}, a bounce of two cache lines took {figures.bounce(place):.0f} ns)"
            for place in figures.places]
    missing = [f" The two were hardly ever {describe(place)} in this run."
               for place in PLACES
               if place not in figures.places]
    versions = ", ".join(f"{name} {version}" for name, version in result["machine"]["versions"].items()
                         if name not in OWN)
    return (f"`tests/bench/ipc/run --docs` made this section. It plays the same messages over this library and over "
            f"others, each with an end in two processes, in short slices that take turns. Seen in one run "
            f"({machine_text(result['machine'])}; {result['rounds']} rounds, slices of {result['slice_ms']} ms), with "
            f"processors {' and '.join(seen)}.{''.join(missing)} Versions: {versions or 'none of others'}.\n\n"
            f"The floors are no peers. `{RING}` is the leanest ring that can be written by hand: it checks nothing, "
            f"has no lengths, and cannot sleep. `{RING_WITH_FLAG}` pays in addition for what each ring needs whose "
            f"reader may sleep. `eventfd` and `futex` only wake.{awake_text(figures)}")


def awake_text(figures):
    if not figures.awake:
        return ""
    return (f" {joined(figures.awake)} {'was' if len(figures.awake) == 1 else 'were'} told to sleep, but answered "
            "sooner than anybody can be woken, so there is no comparison of sleepers with that.")


def medians_table(figures):
    """A line for each carrier: what small messages take."""
    columns = [(f"round trip, {place}", "rtt64", SPIN, place) for place in figures.places]
    columns += [("round trip, sleeping", "rtt64", SLEEP, None)]
    columns += [(f"one way, {place}", "rate64", SPIN, place) for place in figures.places]
    columns += [("one way, sleeping", "rate64", SLEEP, None)]
    columns += [(f"64 KiB copied, {place}", "copied64k", SPIN, place) for place in figures.places]
    works = {work.key: work for work in WORKS}
    lines = ["| 64 bytes, both sides spin or sleep | " + " | ".join(title for title, *_ in columns) + " |",
             "|---|" + "---|" * len(columns)]
    for name in figures.order():
        cells = [figure_text(works[key], figures.median(name, key, waiting, place))
                 for _, key, waiting, place in columns]
        if any(cell != "-" for cell in cells):
            label = f"**{name}**" if name == OURS else f"{name} (floor)" if name in figures.floors else name
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def compared_table(figures):
    lines = ["| | processors | ours | fastest peer | | ratio | | floor | ratio |", "|" + "---|" * 9]
    for row in rows(figures):
        result = f"**{row.verdict}**" if row.verdict == "behind" else row.verdict
        lines.append(f"| {row.what} | {row.place or 'both'} | {figure_text(row.work, row.ours)} | {row.peer or ''} | "
                     f"{figure_text(row.work, row.theirs)} | {ratio_text(row.ratio)} | {result} | "
                     f"{figure_text(row.work, row.ring_ns)} | {ratio_text(row.ring_ratio)} |")
    return "\n".join(lines)


def joined(texts):
    texts = list(texts)
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1]


def row_name(row):
    return row.what + (f", {row.place}" if row.place else "")


def where_we_lead(figures):
    """Sentences, from the figures alone."""
    groups = {name: [row for row in rows(figures) if row.verdict == name] for name in ("ahead", "level", "behind")}
    sentences = []
    if groups["ahead"]:
        sentences.append(f"- Ahead of every peer: {'; '.join(row_name(row) for row in groups['ahead'])}.")
    if groups["level"]:
        sentences.append("- Level with the fastest peer, within 3 %: " +
                         "; ".join(f"{row_name(row)} ({row.peer})" for row in groups["level"]) + ".")
    if groups["behind"]:
        sentences.append("- Behind: " + "; ".join(
            f"{row_name(row)} ({row.peer} {figure_text(row.work, row.theirs)}, ours "
            f"{figure_text(row.work, row.ours)})" for row in groups["behind"]) + ".")
    else:
        sentences.append("- Behind: nowhere in this run.")
    return "\n".join(sentences)


def further(figures, result):
    paragraphs = []
    adaptive = [f"{figure_text(WORKS[0], figures.median(OURS, 'rtt64', ADAPTIVE, place))} {place}"
                for place in figures.places if figures.median(OURS, "rtt64", ADAPTIVE, place)]
    if adaptive:
        paragraphs.append(f"With adaptive waiting, the default, the round trip of 64 bytes took {joined(adaptive)}.")
    if result["rtt64_sleep_futex_ratio"]:
        paragraphs.append("A round trip of 64 bytes between sleepers takes "
                          f"{result['rtt64_sleep_ratio']:.2f} times as long as with eventfd, and "
                          f"{result['rtt64_sleep_futex_ratio']:.2f} times with option `futex`.")
    if result["instructions"]["send_recv_64"]:
        paragraphs.append(f"A message of 64 bytes takes {result['instructions']['send_recv_64']:.0f} instructions "
                          "altogether, sent and received, counted with callgrind.")
    if result["clients"]:
        paragraphs.append(clients_table(result["clients"]))
    if result["left_out"]:
        paragraphs.append("Left out: " + "; ".join(f"{one['carrier']} ({one['why']})" for one in result["left_out"])
                          + ".")
    return "\n\n".join(paragraphs)


def clients_table(clients):
    lines = ["One server, one loop, and 10 clients that speak among others that are idle:", "",
             "| | clients | round trip, median | 99th percentile | server's time a message |",
             "|---|---|---|---|---|"]
    for carrier, by_count in clients.items():
        for count, one in by_count.items():
            if "error" in one:
                lines.append(f"| {carrier} | {count} | {one['error']} | | |")
            else:
                lines.append(f"| {carrier} | {count} | {one['p50_us']:.1f} us | {one['p99_us']:.0f} us | "
                             f"{one['server_us_per_message']:.2f} us |")
    return "\n".join(lines)


def section(figures, result, pictures):
    parts = [BEGIN, "## Beside others", introduction(figures, result)]
    parts += [f"![{PICTURES[name]}](pictures/{name}.svg)" for name in PICTURES if name in pictures]
    parts += [medians_table(figures), "Where we lead, and where we do not. Ratios are ours to theirs, medians over "
              "neighbouring slices; of round trips one below 1 is ahead, of what goes one way one above 1.",
              where_we_lead(figures), compared_table(figures), further(figures, result), END]
    return "\n\n".join(wrapped(part) for part in parts if part) + "\n"


def write(path, figures, result, pictures):
    put_section(path, BEGIN, END, section(figures, result, pictures))
