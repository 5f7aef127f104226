# SPDX-License-Identifier: BSD-3-Clause
"""An independent look at the data path: valgrind's lackey prints every address that a side loads from or stores to.

No load touches the half that the side writes, payload included, and no store the half that it reads.
tests/unit/hooked/test_counts.c counts the same through the library's own hooks, without the payload.
"""
import re
import shutil
import subprocess

import pytest

from lib.echo import finish, program

ACCESS = re.compile(r"^ ([LSM]) ([0-9a-f]+),(\d+)$")


def need_valgrind():
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    with open(program("lackey-peer"), "rb") as binary:
        if re.search(rb"__[at]san_init", binary.read()):
            pytest.skip("a program with a sanitizer does not run under valgrind")


def parse_places(output):
    """What the traced program says: its mappings of both halves, and where the marks are."""
    places = {"remote": [], "local": []}
    for line in output.splitlines():
        name, *values = line.split()
        if name in places:
            places[name].append(tuple(int(value, 16) for value in values))
        elif name == "marks":
            places["marks"] = tuple(int(value, 16) for value in values)
        elif name == "messages":
            places["messages"] = int(values[0])
    return places


def count_accesses(trace, places):
    """Loads and stores of each half between the two marks. A modify is both."""
    counts = {(half, kind): 0 for half in ("remote", "local") for kind in "LS"}
    marks_seen = []
    with open(trace, encoding="ascii", errors="replace") as lines:
        for line in lines:
            match = ACCESS.match(line)
            if not match:
                continue
            kind, address, size = match.group(1), int(match.group(2), 16), int(match.group(3))
            if kind == "S" and address in places["marks"]:
                marks_seen.append(address)
            if len(marks_seen) != 1:
                continue
            for half in ("remote", "local"):
                if any(address < end and address + size > begin for begin, end in places[half]):
                    for each in "LS" if kind == "M" else kind:
                        counts[half, each] += 1
    assert marks_seen == list(places["marks"]), "the trace does not hold the whole data path"
    return counts


@pytest.mark.parametrize("traced, other", [("listen", "connect"), ("connect", "listen")])
def test_no_load_crosses(place, traced, other):
    need_valgrind()
    trace = place.path / "trace"
    echo = place.start("lackey-peer", other, "echo", place.link)
    command = ["valgrind", "--tool=lackey", "--trace-mem=yes", f"--log-file={trace}"]
    command += [program("lackey-peer"), traced, "traced", place.link]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    place.processes.append(process)
    status, output, errors = finish(process, 100)
    assert status == 0, errors
    assert finish(echo, 20)[0] == 0

    places = parse_places(output)
    # a window and a mirrored pool, which is two mappings, of each half
    assert len(places["remote"]) == 3 and len(places["local"]) == 3
    counts = count_accesses(trace, places)
    print(f"{places['messages']} messages each way: {counts}")
    assert counts["remote", "L"] == 0, "the data path loads from the half that it writes"
    assert counts["local", "S"] == 0
    # The trace did see the halves: an element and payload for each message, and at least two of either in each batch.
    assert counts["remote", "S"] > 3 * places["messages"]
    assert counts["local", "L"] > 3 * places["messages"]
