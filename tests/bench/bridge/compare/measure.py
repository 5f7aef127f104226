# SPDX-License-Identifier: BSD-3-Clause
"""What run starts within namespaces of mounts, processes and networks that end with it: sets up all paths, and plays
each work over each in turn. Its argument is a plan, its output the samples, both as JSON."""
import json
import pathlib
import signal
import sys

from compare import paths, works

GIVE_UP_AFTER = 2  # failures of one work over one path


def show(text):
    print(text, file=sys.stderr, flush=True)


def available_congestion():
    return pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()


def open_paths(place, names, left_out):
    opened = []
    for number, name in enumerate(names, 1):
        kind = paths.BY_NAME[name]
        why = paths.why_not(kind, place.programs)
        path = kind(number)
        try:
            if not why:
                path.open(place)
                opened.append(path)
        except (paths.PathError, OSError) as error:
            why = str(error)
        if why:
            show(f"{kind.title} is left out: {why}")
            left_out.append({"path": name, "work": None, "why": why})
    return opened


class Samples:
    """Of each work over each path: one a round, None where it failed."""

    def __init__(self, left_out):
        self.of = {}
        self.failures, self.left_out = {}, left_out

    def take(self, place, work, path, seconds):
        key = work.key, path.name
        if self.failures.get(key, 0) >= GIVE_UP_AFTER:
            return
        samples = self.of.setdefault(work.key, {}).setdefault(path.name, [])
        try:
            samples.append(work.measure(place, path, seconds))
        except (works.WorkError, OSError, KeyError, ValueError) as error:
            samples.append(None)
            self.failures[key] = self.failures.get(key, 0) + 1
            if self.failures[key] == GIVE_UP_AFTER:
                show(f"{work.title} over {path.title}: left out from here on: {error}")
                self.left_out.append({"path": path.name, "work": work.key, "why": str(error)})


def measure(plan, place):
    left_out = []
    available = available_congestion()
    chosen = []
    for work in (works.BY_KEY[key] for key in plan["works"]):
        if work.needs and work.needs not in available:
            left_out.append({"path": None, "work": work.key, "why": f"this kernel has no {work.needs}"})
        else:
            chosen.append(work)
    place.congestion = "cubic" if "cubic" in available else available[0]
    place.open()
    opened = open_paths(place, plan["paths"], left_out)
    samples = Samples(left_out)
    for number in range(1, plan["rounds"] + 1):
        show(f"round {number} of {plan['rounds']}")
        for work in chosen:
            for path in filter(work.suits, opened):
                samples.take(place, work, path, plan["seconds"])
    return {"samples": samples.of, "left_out": left_out}


def interrupted(_number, _frame):
    sys.exit(1)


def main():
    plan = json.loads(sys.argv[1])
    signal.signal(signal.SIGTERM, interrupted)
    # Sockets, logs and names of namespaces: nobody else sees them, and they are gone at the end.
    paths.command("mount", "-t", "tmpfs", "none", "/run")
    directory = pathlib.Path("/run/bench")
    directory.mkdir()
    place = paths.Place(pathlib.Path(plan["programs"]), directory, None)
    try:
        found = measure(plan, place)
    finally:
        place.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
