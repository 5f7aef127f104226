# SPDX-License-Identifier: BSD-3-Clause
"""Two processes of two machines on one memory: a native peer beside one built for big-endian PowerPC of 32 bits.

The programs of the preset powerpc run under qemu-user. What that proves: the byte order, width and place of every word,
on both sides, and that nothing in the memory depends on the size of a pointer. qemu-user translates a sync of the guest
into a barrier of this machine, since the guest maps shared memory (without that it would leave them out). What it does
not prove: that the barriers are enough on a PowerPC, since the guest's accesses are ordered as strictly as this
machine's. tests/model is about that.

./check runs this in its phase powerpc, and says in VOP_POWERPC_BIN where those programs are.
"""
import itertools
import os
import pathlib
import subprocess

import pytest

from lib.bridge import eventually
from lib.echo import finish, listening, program

POWERPC = pathlib.Path(os.environ["VOP_POWERPC_BIN"]).resolve()
QEMU = ("qemu-ppc", "-L", "/usr/powerpc-linux-gnu")
MACHINES = {"native": "64 bits, little-endian", "powerpc": "32 bits, big-endian"}
PAIRS = [("native", "native"), ("native", "powerpc"), ("powerpc", "native"), ("powerpc", "powerpc")]

BUFFERS = 5000  # some hundred laps; the indexes of 16 bits pass their end in the first one
REQUESTS = 3000  # of a legacy driver
MEMORY_SIZE = 1 << 18  # as in ring_peer.c
INDIRECT, EVENT_IDX, VERSION_1, RING_PACKED, IN_ORDER, NOTIFICATION_DATA = 28, 29, 32, 34, 35, 38
LAYOUTS = {  # entries, where both ends begin, features that are always on, features that are on or off
    "split": (16, 0xFFF0, {VERSION_1}, (INDIRECT, EVENT_IDX, IN_ORDER, NOTIFICATION_DATA)),
    "packed": (13, 0x8009, {VERSION_1, RING_PACKED}, (INDIRECT, EVENT_IDX, IN_ORDER, NOTIFICATION_DATA)),
    "legacy": (16, 0xFFF0, set(), (INDIRECT, EVENT_IDX, IN_ORDER, NOTIFICATION_DATA)),
    "2009": (16, 0xFFF0, set(), (IN_ORDER, NOTIFICATION_DATA)),
}


def start(machine, name, *arguments, **options):
    command = (program(name),) if machine == "native" else (*QEMU, str(POWERPC / name))
    return subprocess.Popen([*command, *map(str, arguments)], text=True, stdin=options.pop("stdin", subprocess.DEVNULL),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def run_ring(driver, device, layout, features):
    """Starts both ends on fresh memory; returns what each of them says at its end."""
    size, position = LAYOUTS[layout][:2]
    memory = os.memfd_create("vop-ring")
    os.ftruncate(memory, MEMORY_SIZE)
    to_driver, to_device = os.pipe(), os.pipe()
    ends = [("driver", driver, to_driver[0], to_device[1]), ("device", device, to_device[0], to_driver[1])]
    try:
        peers = [start(machine, "ring-peer", role, layout, size, position, BUFFERS, memory, hear, ring, *features,
                       pass_fds=(memory, hear, ring)) for role, machine, hear, ring in ends]
    finally:
        for fd in (memory, *to_driver, *to_device):
            os.close(fd)
    return [finish(peer, 60) for peer in peers]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("driver,device", PAIRS)
def test_ring(driver, device, layout):
    always, choice = LAYOUTS[layout][2:]
    for some in itertools.chain.from_iterable(itertools.combinations(choice, n) for n in range(len(choice) + 1)):
        said = run_ring(driver, device, layout, sorted(always | set(some)))
        for role, machine, (status, output, errors) in zip(("driver", "device"), (driver, device), said):
            assert (status, errors) == (0, ""), f"features {some}: {said}"
            assert output.startswith(f"{role}: {MACHINES[machine]}, buffers={BUFFERS} "), output


@pytest.mark.parametrize("server,client", PAIRS)
def test_native_link(place, server, client):
    """The link of <vopipc/channel.h>, its handshake and its passing of memory included."""
    listener = start(server, "echo_server", place.link)
    place.processes.append(listener)
    eventually(lambda: listening(place.socket) or listener.poll() is not None, "server listens", 10)
    lines = "".join(f"line {i} {'x' * (i * i % 5000)}\n" for i in range(2000))
    talker = start(client, "echo_client", place.link, stdin=subprocess.PIPE)
    place.processes.append(talker)
    output, errors = talker.communicate(lines, timeout=60)
    assert (talker.returncode, output, errors) == (0, lines, "")
    assert listener.poll() is None


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("kind", ["native", "2009"])
def test_board(kind, machine):
    """A board's program of the library alone, at a model of an MPC8349 in another process: it answers all pings, by a
    native link and by a pair of drivers of 2009, and so does the next one after it was killed."""
    name = "answer-ping-on-model"
    command = (program(name),) if machine == "native" else (*QEMU, POWERPC / name)
    done = subprocess.run([program("ping-board"), kind, "5", "200", *command], text=True, capture_output=True,
                          timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.startswith("pings=1000 answered=1000 "), done.stdout


@pytest.mark.parametrize("kind", ["net", "block"])
@pytest.mark.parametrize("driver,device", PAIRS)
def test_legacy_device(place, driver, device, kind):
    """A card that sends frames back and a disk, and their legacy drivers: registers, configuration, rings and the words
    in buffers have the byte order of the driver's machine."""
    path = place.path / "device"
    served = start(device, "legacy-peer", "device", kind, path)
    place.processes.append(served)
    eventually(lambda: os.path.exists(path) or served.poll() is not None, "the device listens", 10)
    status, output, errors = finish(start(driver, "legacy-peer", "driver", kind, path, REQUESTS), 120)
    assert (status, errors) == (0, ""), errors
    assert output == f"driver: {MACHINES[driver]}, {REQUESTS} of {kind}\n"
    assert finish(served, 60) == (0, "", "")
