# SPDX-License-Identifier: BSD-3-Clause
"""An independent look at the data path: valgrind's lackey prints every address that a side loads from or stores to.

No load touches the half that the side writes, payload included, and no store the half that it reads.
tests/unit/hooked/test_counts.c counts the same through the library's own hooks, without the payload. The same for the
virtqueues of virtqueue.h, whose areas can lie anywhere.
"""
import collections
import re
import shutil
import subprocess

import pytest

from lib.echo import finish, program

ACCESS = re.compile(r"^ ([LSM]) ([0-9a-f]+),(\d+)$")


def need_valgrind(name):
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    with open(program(name), "rb") as binary:
        if re.search(rb"__[at]san_init", binary.read()):
            pytest.skip("a program with a sanitizer does not run under valgrind")


def run_traced(place, *arguments):
    """Runs a program under the tracer; returns what it said and the path of its trace."""
    trace = place.path / "trace"
    command = ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={trace}"]
    command += [program(arguments[0]), *arguments[1:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    place.processes.append(process)
    status, output, errors = finish(process, 100)
    assert status == 0, errors
    return output, trace


def parse_output(output):
    """What the traced program says: its mappings by name, where the marks are, how much it did."""
    places, marks, amount = collections.defaultdict(list), (), 0
    for line in output.splitlines():
        name, *values = line.split()
        if name == "marks":
            marks = tuple(int(value, 16) for value in values)
        elif len(values) == 1:
            amount = int(values[0])
        else:
            places[name].append(tuple(int(value, 16) for value in values))
    return places, marks, amount


def count_accesses(trace, places, marks):
    """Loads and stores of each place between the two marks. A modify is both."""
    counts = {(name, kind): 0 for name in places for kind in "LS"}
    marks_seen = []
    with open(trace, encoding="ascii", errors="replace") as lines:
        for line in lines:
            match = ACCESS.match(line)
            if not match:
                continue
            kind, address, size = match.group(1), int(match.group(2), 16), int(match.group(3))
            if kind == "S" and address in marks:
                marks_seen.append(address)
            if len(marks_seen) != 1:
                continue
            for name, ranges in places.items():
                if any(address < end and address + size > begin for begin, end in ranges):
                    for each in "LS" if kind == "M" else kind:
                        counts[name, each] += 1
    assert marks_seen == list(marks), "the trace does not hold the whole data path"
    return counts


@pytest.mark.parametrize("traced, other", [("listen", "connect"), ("connect", "listen")])
def test_no_load_crosses(place, traced, other):
    need_valgrind("lackey-peer")
    echo = place.start("lackey-peer", other, "echo", place.link)
    output, trace = run_traced(place, "lackey-peer", traced, "traced", place.link)
    assert finish(echo, 20)[0] == 0

    places, marks, messages = parse_output(output)
    # a window and a mirrored pool, which is two mappings, of each half
    assert len(places["remote"]) == 3 and len(places["local"]) == 3
    counts = count_accesses(trace, places, marks)
    print(f"{messages} messages each way: {counts}")
    assert counts["remote", "L"] == 0, "the data path loads from the half that it writes"
    assert counts["local", "S"] == 0
    # The trace did see the halves: an element and payload for each message, and at least two of either in each batch.
    assert counts["remote", "S"] > 3 * messages
    assert counts["local", "L"] > 3 * messages


INDIRECT, EVENT_IDX, PACKED, IN_ORDER = 28, 29, 34, 35

# Which end stores each area; the other one has it in its own memory and loads it.
WRITERS = {"desc": "driver", "driver": "driver", "device": "device", "tables": "driver"}


@pytest.mark.parametrize(
    "layout, features",
    [
        ("split", []),
        ("split", [EVENT_IDX, INDIRECT]),
        ("split", [EVENT_IDX, IN_ORDER]),
        ("legacy", [EVENT_IDX]),
        ("2009", []),
        ("packed", [PACKED]),
        ("packed", [PACKED, EVENT_IDX, INDIRECT]),
        ("packed", [PACKED, EVENT_IDX, IN_ORDER]),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(map(str, value)) or "plain",
)
def test_no_role_loads_what_it_writes(place, layout, features):
    """Virtqueues with each area at its reader: from a new queue to its end no role loads from the other's memory."""
    need_valgrind("lackey-queue")
    output, trace = run_traced(place, "lackey-queue", layout, *map(str, features))
    places, marks, buffers = parse_output(output)
    assert len(places) == 8
    counts = count_accesses(trace, places, marks)
    print(f"{buffers} buffers: {counts}")
    assert buffers > 100
    for area, writer in WRITERS.items():
        reader = "device" if writer == "driver" else "driver"
        if area == "tables" and INDIRECT not in features:
            continue
        if (layout, area) == ("packed", "desc"):  # written by both: nobody's own, and both look at the other's words
            assert counts["driver-desc", "S"] > 3 * buffers and counts["device-desc", "L"] > 3 * buffers
            assert counts["device-desc", "S"] > 0 and counts["driver-desc", "L"] > 0
            continue
        assert counts[f"{writer}-{area}", "L"] == 0, f"the {writer} loads from {area}, which it writes"
        assert counts[f"{reader}-{area}", "S"] == 0, f"the {reader} stores into {area}, which it reads"
        assert counts[f"{writer}-{area}", "S"] > 0 and counts[f"{reader}-{area}", "L"] > 0
    if layout != "packed":
        # Two or three words of a descriptor and its entry in the available ring. In order, one element stands for many.
        words = 2 if layout == "2009" else 3
        assert counts["driver-desc", "S"] > words * buffers and counts["device-desc", "L"] > 3 * buffers
        assert counts["driver-driver", "S"] > buffers and counts["device-driver", "L"] > buffers
        assert counts["device-device", "S"] > (0 if IN_ORDER in features else 2 * buffers)
