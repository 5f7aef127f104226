# SPDX-License-Identifier: BSD-3-Clause
"""From slices to figures: medians, ratios of neighbours, percentiles; what the JSON consists of."""
import statistics

from compare.programs import OURS, OURS_FUTEX, OURS_LTO, OWN
from compare.rounds import bucket_ns
from compare.works import ADAPTIVE, SLEEP, SPIN, WORKS

RING, RING_WITH_FLAG = "ring", "ring with a wake flag"
FLOOR_OF_SLEEPERS = "eventfd"
PLACES = ("near", "far")
PERCENTILES = (50, 90, 99, 99.9)
SLICES_LEAST = 5  # of fewer there is no figure, but in raw

MEANING = {
    "near, far": "slices during which the two processors were siblings, or far apart; null: there were hardly any. A "
                 "figure is null if there are fewer than 5 slices for it",
    "raw": "class, work, waiting, carrier: nanoseconds of a round trip, or of a message one way; medians of slices. "
           "Of those who sleep class 'all' has both classes together",
    "ratios": "ours to the other's, the median over rounds of the ratio of slices of one class in one round. Those of "
              "round trips are of times: below 1 we are ahead. Those of rate64, rate64_batch16, copied and inplace "
              "are of throughputs: above 1 we are ahead",
    "ring": "the bare ring; rate64_ring_ratio: the ring with a wake flag, as each ring needs one whose reader sleeps",
    "best_peer": "the fastest in that class that is no floor and not ours; null also if some peer has no figure there",
    "awake": "peers that were told to sleep, but answer sooner than anybody can be woken, at least at times. They are "
             "in raw, and not among the peers of those that sleep",
    "rtt64_spin_ratio": "ours to the bare bounce of two cache lines",
    "dropped": "slices whose bounces differed (moved) or were longer than any is (disturbed), or during which two that "
               "spin had one real processor in turns (in_turns)",
}


def rounded(value):
    """Four digits that count."""
    return None if value is None else float(f"{value:.4g}")


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Figures:
    """What Rounds has measured, asked for by name."""

    def __init__(self, rounds):
        self.slices = {key: dict(value) for key, value in rounds.slices.items()}
        self.buckets = rounds.buckets
        self.failed = {(name, waiting) for name, waiting, _ in rounds.failures}
        self.floors = {carrier["name"] for _, carrier in rounds.carriers if carrier["floor"]}
        self.names = [carrier["name"] for _, carrier in rounds.carriers]
        self.least = max(1, min(SLICES_LEAST, rounds.rounds // 2))
        self.places = [place for place in PLACES if any(
            len(self.of(name, key, waiting, place)) >= self.least
            for (key, waiting), carriers in self.slices.items() for name in carriers)]

        self.awake = self.find_awake()

    def find_awake(self):
        """Peers that were told to sleep, and do not: nobody is woken in half the time that waking takes."""
        floor = self.median(FLOOR_OF_SLEEPERS, "rtt64", SLEEP)
        medians = {name: [one.ns for one in self.of(name, "rtt64", SLEEP).values()] for name in self.peers()}
        return [name for name, values in medians.items() if floor and values and percentile(values, 0.1) < floor / 2]

    def is_peer(self, name):
        return name not in self.floors and name not in OWN

    def peers(self):
        return [name for name in self.names if self.is_peer(name)]

    def of(self, name, key, waiting, place=None):
        """Slices by round; of both classes if none is named."""
        by_round = self.slices.get((key, waiting), {}).get(name, {})
        return {number: one for number, one in by_round.items() if place in (None, one.place)}

    def median(self, name, key, waiting, place=None):
        return self.median_of([one.ns for one in self.of(name, key, waiting, place).values()])

    def median_of(self, values):
        """None, if there are too few."""
        return statistics.median(values) if len(values) >= self.least else None

    def ratio(self, ours, theirs, key, waiting, place=None):
        """Of times: ours to theirs, in rounds where both had slices of one class."""
        a, b = self.of(ours, key, waiting, place), self.of(theirs, key, waiting, place)
        ratios = [a[number].ns / b[number].ns for number in a if number in b and a[number].place == b[number].place]
        return self.median_of(ratios)

    def bounce_ratio(self, name, key, waiting, place):
        ratios = [one.ns / one.bounce for one in self.of(name, key, waiting, place).values()]
        return self.median_of(ratios)

    def bounce(self, place):
        values = [one.bounce for carriers in self.slices.values() for by_round in carriers.values()
                  for one in by_round.values() if one.place == place]
        return self.median_of(values)

    def best_peer(self, key, waiting, place=None):
        """None, if one that goes on to the end has no figure in this class: it may be the one."""
        medians = {name: self.median(name, key, waiting, place) for name in self.peers()
                   if self.of(name, key, waiting) and (name, waiting) not in self.failed
                   and (waiting != SLEEP or name not in self.awake)}
        return min(medians, key=medians.get) if medians and None not in medians.values() else None

    def sorted_medians(self, key, waiting, place=None):
        """(name, ns), the fastest first."""
        medians = [(name, self.median(name, key, waiting, place)) for name in self.names]
        return sorted((pair for pair in medians if pair[1] is not None), key=lambda pair: pair[1])

    def order(self):
        """All names, the fastest round trip first, in the class that most of them have figures of."""
        medians = max((self.sorted_medians("rtt64", SPIN, place) for place in self.places), key=len)
        return list(dict.fromkeys([*(name for name, _ in medians), *self.names]))

    # ---- Percentiles of single round trips ----

    def latencies(self, name, waiting, place=None):
        """{bucket: count}; of both classes if none is named."""
        total = {}
        for one in PLACES if place is None else (place,):
            for number, count in self.buckets.get((waiting, one), {}).get(name, {}).items():
                total[number] = total.get(number, 0) + count
        return total

    def latency_percentile(self, name, waiting, share, place=None):
        buckets = self.latencies(name, waiting, place)
        left = share * sum(buckets.values())
        for number in sorted(buckets):
            left -= buckets[number]
            if left <= 0:
                return bucket_ns(number)
        return None


def speed(work, ratio):
    """A ratio of times as one of what is compared: throughputs, if it is a rate."""
    return rounded(1 / ratio if work.is_rate and ratio else ratio)


def ring_for(work):
    return RING_WITH_FLAG if work.key == "rate64" else RING


def class_json(figures, place):
    if place not in figures.places:
        return None
    root = {"rtt64_spin_ratio": rounded(figures.bounce_ratio(OURS, "rtt64", SPIN, place)),
            "bounce_ns": rounded(figures.bounce(place))}
    for work in WORKS:
        if work.kind == "latency":
            continue
        peer = figures.best_peer(work.key, SPIN, place)
        root[f"{work.key}_ring_ratio"] = speed(work, figures.ratio(OURS, ring_for(work), work.key, SPIN, place))
        root[f"{work.key}_best_peer"] = peer
        root[f"{work.key}_best_peer_ratio"] = speed(work, figures.ratio(OURS, peer, work.key, SPIN, place))
    return root


def lto_json(figures, place):
    if place not in figures.places:
        return None
    return {"rtt64_ring_ratio": rounded(figures.ratio(OURS_LTO, RING, "rtt64", SPIN, place))}


def slices_json(slices):
    values = [one.ns for one in slices.values()]
    return {"median": rounded(statistics.median(values)), "min": rounded(min(values)),
            "p10": rounded(percentile(values, 0.1)), "p90": rounded(percentile(values, 0.9)), "slices": len(values)}


def raw_json(figures):
    root = {}
    for place in (*figures.places, "all"):
        for (key, waiting), carriers in figures.slices.items():
            if place == "all" and waiting != SLEEP:
                continue
            for name in carriers:
                slices = figures.of(name, key, waiting, None if place == "all" else place)
                if slices:
                    to = root.setdefault(place, {}).setdefault(key, {}).setdefault(waiting, {})
                    to[name] = slices_json(slices)
    return root


def latency_json(figures):
    root = {}
    for waiting, places in ((SPIN, figures.places), (SLEEP, (*figures.places, "all"))):
        for place in places:
            for name in figures.names:
                which = None if place == "all" else place
                buckets = figures.latencies(name, waiting, which)
                if not buckets:
                    continue
                shares = {str(share): rounded(figures.latency_percentile(name, waiting, share / 100, which))
                          for share in PERCENTILES}
                root.setdefault(place, {}).setdefault(waiting, {})[name] = {
                    "percentiles": shares, "count": sum(buckets.values()),
                    "histogram": [[rounded(bucket_ns(number)), buckets[number]] for number in sorted(buckets)]}
    return root


def result_json(figures, rounds, machine, left_out, extras):
    best_sleeper = figures.best_peer("rtt64", SLEEP)
    return {
        "meaning": MEANING,
        "near": class_json(figures, "near"),
        "far": class_json(figures, "far"),
        "rtt64_sleep_ratio": rounded(figures.ratio(OURS, FLOOR_OF_SLEEPERS, "rtt64", SLEEP)),
        "rtt64_sleep_futex_ratio": rounded(figures.ratio(OURS_FUTEX, FLOOR_OF_SLEEPERS, "rtt64", SLEEP)),
        "rtt64_sleep_best_peer": best_sleeper,
        "rtt64_sleep_best_peer_ratio": rounded(figures.ratio(OURS, best_sleeper, "rtt64", SLEEP)),
        "awake": figures.awake,
        "adaptive": {place: rounded(figures.median(OURS, "rtt64", ADAPTIVE, place)) for place in figures.places},
        "lto": {place: lto_json(figures, place) for place in PLACES},
        **extras,
        "machine": machine,
        "left_out": left_out,
        "dropped": {**rounds.dropped, "all": sum(rounds.dropped.values())},
        "rounds": rounds.rounds,
        "slice_ms": rounds.slice_ms,
        "raw": raw_json(figures),
        "latency": latency_json(figures),
    }
