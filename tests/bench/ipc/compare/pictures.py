# SPDX-License-Identifier: BSD-3-Clause
"""Three pictures, each a text for gnuplot with the figures in it: round trips by size, bars of small messages, and the
distribution of single round trips. Colours are those of Okabe and Ito, so that most people can tell them apart."""
import math

from compare.figures import RING, RING_WITH_FLAG
from compare.programs import OURS, OWN
from compare.rounds import bucket_ns
from compare.table import figure_text
from compare.works import SLEEP, SPIN, WORKS
from report.picture import Picture, quoted

MAKER = "tests/bench/ipc/run"
OURS_COLOUR, OWN_COLOUR, PEER_COLOUR, FLOOR_COLOUR = "#D55E00", "#F2B083", "#6BAED6", "#B0B0B0"
# colour, point, dash of each line
STYLES = {
    RING: ("#000000", 0, 2), RING_WITH_FLAG: ("#777777", 0, 3), "eventfd": ("#000000", 0, 2),
    "futex": ("#777777", 0, 3),
    "pipe": ("#56B4E9", 4, 1), "Unix stream": ("#56B4E9", 6, 1), "Unix seqpacket": ("#56B4E9", 8, 1),
    "POSIX mq": ("#56B4E9", 10, 1),
    "DPDK rte_ring": ("#0072B2", 5, 1), "UCX": ("#009E73", 9, 1), "UCX with CMA": ("#009E73", 8, 4),
    "libfabric shm": ("#117733", 3, 1), "iceoryx": ("#CC79A7", 11, 1), "ZeroMQ": ("#E69F00", 5, 1),
    "nng": ("#5D3A9B", 13, 1),
}
PLACE_TITLES = {"near": "processors near (siblings)", "far": "processors far apart"}
PLACE_SHORT = {"near": "near", "far": "far apart"}
SIZES = (("rtt64", 64, "64 B"), ("rtt1k", 1024, "1 KiB"), ("rtt4k", 4096, "4 KiB"), ("rtt64k", 65536, "64 KiB"))
TIME_TICS = [(scale * 1000 ** power * hundreds, f"{scale * hundreds} {unit}")
             for power, unit in enumerate(("ns", "µs", "ms")) for hundreds in (1, 10, 100) for scale in (1, 2, 5)]
DASHES = {1: "1", 2: "(5,3)", 3: "(1.5,3)", 4: "(7,3,1.5,3)", 5: "(3,3)"}

def line_style(name):
    """How to draw the line of a carrier: floors have no points."""
    if name == OURS:
        return f'linespoints linecolor rgb "{OURS_COLOUR}" linewidth 4 pointtype 7 pointsize 0.8'
    colour, point, dash = STYLES.get(name, ("#404040", 1, 5))
    if point == 0:
        return f'lines linecolor rgb "{colour}" linewidth 2.5 dashtype {DASHES[dash]}'
    return f'linespoints linecolor rgb "{colour}" linewidth 1.3 dashtype {DASHES[dash]} pointtype {point} pointsize 0.8'


def plot_lines(picture, prefix, names, with_key):
    """One line for each name; ours is drawn last, so that it is on top."""
    ordered = sorted(enumerate(names), key=lambda pair: pair[1] == OURS)
    parts = [f"${prefix}{i} using 1:2 notitle \\\n        with {line_style(name)}" for i, name in ordered]
    if with_key:
        parts += [f"NaN title {quoted(bold(name))} \\\n        with {line_style(name)}" for name in names]
    picture.add(*("plot " + ", \\\n    ".join(parts)).splitlines())


def bold(name):
    return "{/:Bold vopipc (ours)}" if name == OURS else name


def range_of(values):
    """Bounds of a logarithmic axis around some values, with a little room."""
    return min(values) / 1.25, max(values) * 1.25


# ---- Round trips by size ----

def by_size(figures):
    """One line for each of us, the bare ring and all peers."""
    names = [name for name in figures.order() if (name in (OURS, RING) or figures.is_peer(name)) and any(
        figures.median(name, key, SPIN, place) for key, _, _ in SIZES for place in figures.places)]
    panels = [(place, [[(size, figures.median(name, key, SPIN, place)) for key, size, _ in SIZES] for name in names])
              for place in figures.places]
    values = [ns for _, lines in panels for line in lines for _, ns in line if ns]
    if not values:
        return None
    key_width, panel_width = 175, 390
    picture = Picture(MAKER, "ipc-round-trip", "round trips by size, both sides spinning",
                      75 + len(panels) * (panel_width + 20) + key_width, 470)
    picture.add("set logscale xy", "set xrange [45:92000]", "set yrange [{:.4g}:{:.4g}]".format(*range_of(values)))
    picture.tics("x", [(size, text) for _, size, text in SIZES])
    picture.tics("y", TIME_TICS)
    for i, (place, lines) in enumerate(panels):
        left = 75 + i * (panel_width + 20)
        picture.panel(f"Round trip, both sides spin: {PLACE_TITLES[place]}", left, left + panel_width, 45, 430)
        if i > 0:
            picture.add('set format y ""')
            picture.tics("y", [(at, "") for at, _ in TIME_TICS])
        for number, line in enumerate(lines):
            picture.data(f"p{i}_{number}", [(size, f"{ns:.4g}") for size, ns in line if ns] or [("NaN", "NaN")])
        is_last = i == len(panels) - 1
        picture.add(f"set key at screen {1 - (key_width - 5) / picture.width:.4f},{1 - 45 / picture.height:.4f} "
                    "left top Left reverse samplen 2.5 spacing 1.15" if is_last else "unset key")
        plot_lines(picture, f"p{i}_", names, is_last)
    return picture


# ---- Bars ----

def bar_colour(figures, name):
    return (OURS_COLOUR if name == OURS else OWN_COLOUR if name in OWN else
            PEER_COLOUR if figures.is_peer(name) else FLOOR_COLOUR)


def bars_of(figures, keys, waiting, place):
    """(label, value, text, colour), the best first: times, or million messages a second."""
    bars = []
    for work in WORKS:
        if work.key in keys:
            for name, ns in figures.sorted_medians(work.key, waiting, place):
                label = bold(name) + (" × 16" if work.batch > 1 else "")
                label += " (awake)" if waiting == SLEEP and name in figures.awake else ""
                bars.append((label, 1e3 / ns if work.is_rate else ns,
                             figure_text(work, ns).replace(" us", " µs"), bar_colour(figures, name)))
    return sorted(bars, key=lambda bar: -bar[1] if "rate64" in keys else bar[1])


def bar_panels(figures):
    """Rows of two panels: (title, bars)."""
    rates = ("rate64", "rate64_batch16")
    rows = [[(f"Round trip, 64 B, spinning, {PLACE_SHORT[place]}", bars_of(figures, ("rtt64",), SPIN, place))
             for place in figures.places],
            [(f"Messages a second, 64 B, spinning, {PLACE_SHORT[place]}", bars_of(figures, rates, SPIN, place))
             for place in figures.places],
            [("Round trip, 64 B, sleeping", bars_of(figures, ("rtt64",), SLEEP, None)),
             ("Messages a second, 64 B, sleeping", bars_of(figures, rates, SLEEP, None))]]
    rows = [[panel for panel in row if panel[1]] for row in rows]
    return [row for row in rows if row]


def draw_bars(picture, name, bars):
    """Horizontal bars on a logarithmic axis, each with its figure at its end."""
    values = [bar[1] for bar in bars]
    low, high = min(values) / 2, max(values)
    high *= (high / low) ** 0.3  # room for the figure
    picture.data(name, [(i, f"{value:.5g}", f'"{text}"', int(colour[1:], 16))
                        for i, (_, value, text, colour) in enumerate(bars)])
    picture.add("unset key", "unset grid", "set logscale x", "unset xtics", f"set xrange [{low:.4g}:{high:.4g}]",
                f"set yrange [{len(bars) - 0.4}:-0.6]", "set border 2")
    picture.tics("y", [(i, label) for i, (label, *_) in enumerate(bars)])
    picture.add("set ytics scale 0",
                f"plot ${name} using 2:1:({low:.4g}):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \\",
                "    linecolor rgb variable, \\",
                f"    ${name} using 2:1:3 with labels left offset 0.4,0")


def bars(figures):
    rows = bar_panels(figures)
    if not rows:
        return None
    bar_height, between, label_width, panel_width = 17, 55, 205, 285
    heights = [max(len(panel[1]) for panel in row) * bar_height for row in rows]
    picture = Picture(MAKER, "ipc-bars", "small messages, sorted", 2 * (label_width + panel_width) + 20,
                      sum(heights) + between * len(rows) + 78)
    legend = ("{/:Bold orange}: this library (pale: static, and with LTO)    {/:Bold blue}: others",
              "{/:Bold grey}: floors, which carry nothing or check nothing    × 16: in batches of 16    M: million",
              "Bars are logarithmic, and the best is on top. Awake: told to sleep, but it does not")
    for number, line in enumerate(legend, 1):
        picture.add(f'set label {number} "{line}" \\',
                    f"    at screen 0.5,{1 - (number * 18 + 2) / picture.height:.4f} center")
    top = 68 + between - 15
    for number, row in enumerate(rows):
        for i, (title, panel) in enumerate(row):
            left = label_width + i * (label_width + panel_width)
            picture.panel(title, left, left + panel_width, top, top + len(panel) * bar_height)
            draw_bars(picture, f"b{number}_{i}", panel)
            picture.add("unset label")
        top += heights[number] + between
    return picture


# ---- The distribution of round trips ----

def percentile_line(buckets_of, name, count_least=5):
    """(-log10 of the share that took longer, ns), as far as some trips took longer."""
    buckets = buckets_of(name)
    total, below, line = sum(buckets.values()), 0, []
    for number in sorted(buckets):
        below += buckets[number]
        if total - below >= count_least:
            line.append((-math.log10((total - below) / total), bucket_ns(number)))
    return line


def latency(figures):
    panels = [(f"Spinning: {PLACE_TITLES[place]}", SPIN, place) for place in figures.places]
    panels.append(("Sleeping", SLEEP, None))
    found = []
    for title, waiting, place in panels:
        lines = {name: percentile_line(lambda n, w=waiting, p=place: figures.latencies(n, w, p), name)
                 for name in figures.names if name not in OWN or name == OURS}
        found.append((title, {name: line for name, line in lines.items() if line}))
    found = [(title, lines) for title, lines in found if lines]
    if not found:
        return None
    names = [name for name in figures.order() if any(name in lines for _, lines in found)]
    key_width, panel_width, before = 215, 300, 65
    picture = Picture(MAKER, "ipc-latency", "single round trips of 64 bytes, by percentile",
                      len(found) * (panel_width + before) + key_width, 470)
    picture.add("set logscale y", "set xrange [0:4.2]")
    picture.tics("x", [(-math.log10(1 - share / 100), f"{share:g} %%") for share in (50, 90, 99, 99.9, 99.99)])
    picture.tics("y", TIME_TICS)
    for i, (title, lines) in enumerate(found):
        left = before + i * (panel_width + before)
        picture.panel(f"{title}", left, left + panel_width, 45, 410)
        bounds = range_of([ns for line in lines.values() for _, ns in line])
        picture.add("set yrange [{:.4g}:{:.4g}]".format(*bounds),
                    'set xlabel "share of round trips, 64 B, that took no longer"')
        for number, name in enumerate(names):
            picture.data(f"l{i}_{number}", [(f"{x:.4f}", f"{ns:.4g}") for x, ns in thinned(lines.get(name, ()))] or
                         [("NaN", "NaN")])
        is_last = i == len(found) - 1
        picture.add(f"set key at screen {1 - (key_width - 8) / picture.width:.4f},{1 - 45 / picture.height:.4f} "
                    "left top Left reverse samplen 2.5 spacing 1.15" if is_last else "unset key")
        plot_lines(picture, f"l{i}_", names, is_last)
    return picture


def thinned(line):
    """Points that are far enough apart to be seen."""
    kept = []
    for x, ns in line:
        if not kept or x - kept[-1][0] > 0.12 or (kept[-1][1] and ns / kept[-1][1] > 1.3):
            kept.append((x, ns))
    return kept


def pictures(figures):
    """All there are figures for."""
    return [picture for picture in (by_size(figures), bars(figures), latency(figures)) if picture]
