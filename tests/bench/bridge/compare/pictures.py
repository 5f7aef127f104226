# SPDX-License-Identifier: BSD-3-Clause
"""One picture, a text for gnuplot with the figures in it: a panel of bars for each work, a bar for each path. Colours
are those of Okabe and Ito, so that most people can tell them apart."""
from compare.paths import BY_NAME, Bridges, FLOOR, Relay
from compare.table import figure_text
from report.picture import Picture

OURS_COLOUR, RELAY_COLOUR, PEER_COLOUR, FLOOR_COLOUR = "#D55E00", "#0072B2", "#6BAED6", "#B0B0B0"
LEGEND = ("{/:Bold orange}: two vop-bridges    {/:Bold blue}: relays that know no link",
          "{/:Bold pale}: others    {/:Bold grey}: veth pair    The best is on top")
COLUMNS = 3
BAR_HEIGHT, BETWEEN, LABEL_WIDTH, PANEL_WIDTH, HEAD_HEIGHT = 17, 50, 165, 205, 52


def colour(path):
    if issubclass(BY_NAME[path], Bridges):
        return OURS_COLOUR
    if issubclass(BY_NAME[path], Relay):
        return RELAY_COLOUR
    return FLOOR_COLOUR if path == FLOOR else PEER_COLOUR


def bars_of(figures, work):
    """(path, value): the best first."""
    bars = [(path, figures.median(work.key, path, work.figure)) for path in figures.paths]
    return sorted(((path, value) for path, value in bars if value is not None),
                  key=lambda bar: -bar[1] if work.more else bar[1])


def draw_bars(picture, name, bars):
    """Horizontal bars from 0 on, each with its figure at its end."""
    high = max(value for _, value in bars) * 1.25 or 1
    picture.data(name, [(i, f"{value:.5g}", f'"{figure_text(value)}"', int(colour(path)[1:], 16))
                        for i, (path, value) in enumerate(bars)])
    picture.add("unset key", "unset grid", "unset xtics", f"set xrange [0:{high:.4g}]",
                f"set yrange [{len(bars) - 0.4}:-0.6]", "set border 2")
    picture.tics("y", [(i, BY_NAME[path].title) for i, (path, _) in enumerate(bars)])
    picture.add("set ytics scale 0",
                f"plot ${name} using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \\",
                "    linecolor rgb variable, \\",
                f"    ${name} using 2:1:3 with labels left offset 0.4,0")


def pictures(figures):
    panels = [(work, bars_of(figures, work)) for work in figures.works]
    panels = [(work, bars) for work, bars in panels if bars]
    if not panels:
        return []
    rows = [panels[i:i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    heights = [max(len(bars) for _, bars in row) * BAR_HEIGHT for row in rows]
    picture = Picture("tests/bench/bridge/run", "bridge-bars", "two namespaces joined in several ways",
                      COLUMNS * (LABEL_WIDTH + PANEL_WIDTH) + 10, sum(heights) + BETWEEN * len(rows) + HEAD_HEIGHT)
    for number, line in enumerate(LEGEND, 1):
        picture.add(f'set label {number} "{line}" \\',
                    f"    at screen 0.5,{1 - (number * 18 + 2) / picture.height:.4f} center")
    top = HEAD_HEIGHT + BETWEEN - 20
    for number, row in enumerate(rows):
        for i, (work, bars) in enumerate(row):
            left = LABEL_WIDTH + i * (LABEL_WIDTH + PANEL_WIDTH)
            picture.panel(f"{work.title}: {work.unit}", left, left + PANEL_WIDTH, top,
                          top + len(bars) * BAR_HEIGHT)
            draw_bars(picture, f"b{number}_{i}", bars)
            picture.add("unset label")
        top += heights[number] + BETWEEN
    return [picture]
