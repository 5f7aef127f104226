# SPDX-License-Identifier: BSD-3-Clause
"""Figures as text: the table at the end, and the words both it and the documents are made of."""
from compare.figures import PLACES, RING, RING_WITH_FLAG, ring_for, speed
from compare.programs import OURS
from compare.works import SLEEP, SPIN, WORKS

LEVEL = 0.03  # what differs by less is level

# (work, waiting, class) of every row that is compared; None: both classes together
COMPARED = [(work, SPIN, place) for work in WORKS if work.kind != "latency" for place in PLACES]
COMPARED += [(work, SLEEP, None) for work in WORKS if work.kind == "rtt" or work.key == "rate64"]


def time_text(ns):
    if ns is None:
        return "-"
    for unit, length in (("ms", 1e6), ("us", 1e3)):
        if ns >= length * (1 if unit == "ms" else 10):
            return f"{ns / length:.3g} {unit}"
    return f"{ns:.3g} ns" if ns < 1000 else f"{ns:.0f} ns"


def figure_text(work, ns):
    """As people say it: times of round trips, messages or bytes a second."""
    if ns is None:
        return "-"
    if not work.is_rate:
        return time_text(ns)
    if work.size >= 65536:
        return f"{work.size / ns:.3g} GB/s"
    return f"{1e3 / ns:.3g} M/s"


def place_text(place):
    return "" if place is None else place


def verdict(work, ratio):
    """Of speed() of a ratio."""
    if ratio is None:
        return ""
    lead = ratio if work.is_rate else 1 / ratio
    return "level" if abs(lead - 1) < LEVEL else "ahead" if lead > 1 else "behind"


class Row:
    """Ours beside the fastest peer and beside the bare ring, of one work."""

    def __init__(self, figures, work, waiting, place):
        self.work, self.waiting, self.place = work, waiting, place
        self.ours = figures.median(OURS, work.key, waiting, place)
        self.peer = figures.best_peer(work.key, waiting, place)
        self.theirs = figures.median(self.peer, work.key, waiting, place)
        self.ratio = speed(work, figures.ratio(OURS, self.peer, work.key, waiting, place))
        self.ring = ring_for(work) if waiting == SPIN else "eventfd"
        self.ring_ns = figures.median(self.ring, work.key, waiting, place)
        self.ring_ratio = speed(work, figures.ratio(OURS, self.ring, work.key, waiting, place))

    @property
    def verdict(self):
        return verdict(self.work, self.ratio)

    @property
    def what(self):
        return self.work.title + (", sleeping" if self.waiting == SLEEP else "")


def rows(figures):
    """Of all that was measured for us."""
    found = [Row(figures, work, waiting, place) for work, waiting, place in COMPARED]
    return [row for row in found if row.ours is not None]


def ratio_text(ratio):
    return "" if ratio is None else f"{ratio:.2f}"


def text(figures, result):
    """The table that is printed at the end."""
    lines = ["", "Medians; ratios are medians of neighbouring slices. Of round trips a ratio below 1 is ahead, of what "
             "goes one way one above 1", "",
             f"{'':<42}{'':<5}{'ours':>10}{'floor':>11}{'ratio':>7}   {'fastest peer':<16}{'':>10}{'ratio':>7}"]
    for row in rows(figures):
        lines.append(f"{row.what:<42}{place_text(row.place):<5}{figure_text(row.work, row.ours):>10}"
                     f"{figure_text(row.work, row.ring_ns):>11}{ratio_text(row.ring_ratio):>7}   {row.peer or '':<16}"
                     f"{figure_text(row.work, row.theirs):>10}{ratio_text(row.ratio):>7}  {row.verdict}".rstrip())
    lines += ["", f"The floor is {RING!r}; of one way, 64 B: {RING_WITH_FLAG!r}; of sleepers: 'eventfd'."]
    for place in PLACES:
        if place in figures.places:
            lines.append(f"{place}: a bounce of two cache lines took {figures.bounce(place):.0f} ns")
        else:
            lines.append(f"{place}: hardly seen; the two processors were not {describe(place)} in this run")
    if figures.awake:
        lines.append(f"told to sleep, but awake, so not compared there: {', '.join(figures.awake)}")
    if result["rtt64_sleep_futex_ratio"]:
        lines.append("with option futex a round trip of sleepers takes "
                     f"{result['rtt64_sleep_futex_ratio']:.2f} times as long as with eventfd")
    if result["instructions"]["send_recv_64"]:
        lines.append(f"a message of 64 bytes, sent and received: {result['instructions']['send_recv_64']:.0f} "
                     "instructions")
    lines += ["", *client_lines(result["clients"])]
    lines += [f"left out: {one['carrier']}: {one['why']}" for one in result["left_out"]]
    lines.append(f"{result['rounds']} rounds, {result['dropped']['all']} slices dropped")
    return "\n".join(lines)


def describe(place):
    return "siblings" if place == "near" else "far apart"


def client_lines(clients):
    lines = []
    for carrier, by_count in clients.items():
        for count, one in by_count.items():
            start = f"{count} clients, 10 active, {carrier}: "
            if "error" in one:
                lines.append(start + one["error"])
            else:
                lines.append(f"{start}p50 {one['p50_us']:.1f} us, p99 {one['p99_us']:.1f} us, "
                             f"{one['server_us_per_message']:.2f} us of the server a message")
    return lines + [""] if lines else []
