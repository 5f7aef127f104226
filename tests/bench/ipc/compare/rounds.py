# SPDX-License-Identifier: BSD-3-Clause
"""The measurement: round by round through the table of works, with all carriers of a work one after the other, so that
those that are compared are neighbours in time."""
import collections
import sys
import time

from compare.programs import Program, ProgramError, signals_held
from compare.works import SLEEP, SMALL_PROGRAM, WORKS, can

# The meaning of CLASS_F_BELOW_NS in tests/bench/util_cell.h: below it the two processors are siblings.
NEAR_BELOW_NS = 260.0
BOUNCE_DIFFERS = 1.2  # between two bounces that differ by more, the processors have moved
BOUNCE_MOST_NS = 2000.0  # a real bounce never takes that long: somebody else was at work
SPIN_MOST_NS = 1e6  # nor do 64 KiB, there and back, between two that spin: they had one real processor, in turns


class Slice:
    """One slice that counts."""

    __slots__ = ("place", "ns", "bounce")

    def __init__(self, place, ns, bounce):
        self.place, self.ns, self.bounce = place, ns, bounce


def show(text):
    print(text, file=sys.stderr, flush=True)


class Rounds:
    """Measures; what came out is in `slices`: {(work key, waiting): {carrier: {round: Slice}}}."""

    def __init__(self, directory, carriers, cpus, slice_ms):
        self.directory, self.cpus, self.slice_ms = directory, cpus, slice_ms
        self.carriers = carriers  # (program, description), as in --list
        self.slices = collections.defaultdict(lambda: collections.defaultdict(dict))
        self.buckets = collections.defaultdict(lambda: collections.defaultdict(collections.Counter))
        self.dropped = {"moved": 0, "disturbed": 0, "in_turns": 0}
        self.rounds = 0
        self.failures = []  # (carrier, waiting, why)
        self.open = {}  # (carrier, waiting, size) to Program
        self.pinned = None
        self.steps = [(work, waiting, self._who(work, waiting)) for work in WORKS for waiting in work.waitings]

    def _who(self, work, waiting):
        return [carrier["name"] for _, carrier in self.carriers if can(carrier, waiting, work)]

    # ---- Programs ----

    def begin(self):
        """Starts every program that some step needs, one after the other, and keeps it open."""
        for program, carrier in self.carriers:
            wanted = sorted({(waiting, work.program_size) for work, waiting, who in self.steps
                             if carrier["name"] in who})
            for waiting, size in wanted:
                key = carrier["name"], waiting, size
                try:
                    with signals_held():
                        self.open[key] = Program(self.directory, program, carrier["name"], waiting,
                                                 min(size, carrier["size_max"]), self.cpus)
                    self.pinned = self.open[key].ready()["cpus"]
                except ProgramError as error:
                    self._leave_out(key, error)

    def _leave_out(self, key, why):
        """From now on this carrier is not asked any more, waiting like this."""
        carrier, waiting, _ = key
        show(f"{carrier}, {waiting}: left out from here on: {why}")
        self.failures.append((carrier, waiting, str(why)))
        self.steps = [(work, w, [name for name in who if name != carrier or w != waiting])
                      for work, w, who in self.steps]
        with signals_held():
            for other in [other for other in self.open if other[:2] == (carrier, waiting)]:
                program = self.open.pop(other)
                program.ask_to_end(at_once=True)
                program.wait()

    def end(self, at_once=False):
        with signals_held():
            for program in self.open.values():
                program.ask_to_end(at_once)
            for program in self.open.values():
                program.wait()
            self.open.clear()

    # ---- Slices ----

    def run(self, rounds, until, again_every):
        """Rounds until a time has come, but two of them; or that many, if `rounds` is given. Every few rounds all
        programs are started anew, so that their memory lies elsewhere."""
        try:
            while (self.rounds < rounds) if rounds else (self.rounds < 2 or time.monotonic() < until):
                if self.rounds % again_every == 0:
                    self.end()
                    self.begin()
                self._round()
                self._show_progress(rounds, until)
            self.end()
        finally:
            self.end(at_once=True)

    def _round(self):
        for work, waiting, _ in list(self.steps):
            who = next(names for w, how, names in self.steps if (w, how) == (work, waiting))
            turn = self.rounds % len(who) if who else 0
            for name in who[turn:] + who[:turn]:
                if (name, waiting, work.program_size) in self.open:
                    self._slice(work, waiting, name)
        self.rounds += 1

    def _slice(self, work, waiting, name):
        key = name, waiting, work.program_size
        try:
            answer = self.open[key].ask(f"{work.command} {self.slice_ms}")
        except ProgramError as error:
            self._leave_out(key, error)
            return
        before, after = answer["bounce_before"], answer["bounce_after"]
        if max(before, after) > BOUNCE_MOST_NS:
            self.dropped["disturbed"] += 1
        elif max(before, after) > BOUNCE_DIFFERS * min(before, after):
            self.dropped["moved"] += 1
        elif waiting != SLEEP and work.size <= SMALL_PROGRAM and answer["ns"] > SPIN_MOST_NS:
            self.dropped["in_turns"] += 1
        else:
            bounce = (before + after) / 2
            place = "near" if bounce < NEAR_BELOW_NS else "far"
            self.slices[work.key, waiting][name][self.rounds] = Slice(place, answer["ns"], bounce)
            for ns, count in answer.get("buckets", ()):
                self.buckets[waiting, place][name][bucket(ns)] += count

    def _show_progress(self, rounds, until):
        near = far = 0
        for carriers in self.slices.values():
            for by_round in carriers.values():
                one = by_round.get(self.rounds - 1)
                near += one is not None and one.place == "near"
                far += one is not None and one.place == "far"
        left = f"of {rounds}" if rounds else f"{max(0, until - time.monotonic()):.0f} s to go"
        show(f"round {self.rounds}, {left}: {near} slices near, {far} far, {sum(self.dropped.values())} dropped so far")


STEPS_OF_TWO = 32  # buckets between a latency and twice that


def bucket(ns):
    """The programs' buckets have bounds in ticks, and each program its own length of a tick: here they meet."""
    exponent = 0
    while ns >= 2:
        ns /= 2
        exponent += 1
    return exponent * STEPS_OF_TWO + int((ns - 1) * STEPS_OF_TWO)


def bucket_ns(number):
    return 2 ** (number // STEPS_OF_TWO) * (1 + (number % STEPS_OF_TWO + 0.5) / STEPS_OF_TWO)
