# SPDX-License-Identifier: BSD-3-Clause
"""Two machines joined by ivshmem: the library and the bridge across them, lost interrupts, and ends that are killed.

VOP_KILLS is the number of kills, VOP_SEED repeats a run; VOP_LONG in the environment makes it long.
"""
import os
import pathlib
import random
import re
import tempfile

import pytest

from ivshmem_server import IvshmemServer
from lib.echo import one_line, run
from lib.vm import LONG, SERIES
from lib.vmlink import DOORBELL, PLAIN, TWIN, Side, devices, join

SIZE = 16 << 20
KILLS = int(os.environ.get("VOP_KILLS") or (100 if LONG else 5))
SEED = int(os.environ.get("VOP_SEED") or random.randrange(1 << 32))
WATCHDOG = 0.1  # seconds: PROTOCOL.md, Looking by oneself


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with IvshmemServer(tmp_path_factory.mktemp("ivshmem") / "server", SIZE) as server:
        yield server


@pytest.fixture(scope="module")
def memory():
    """A file of the host that both machines have as their plain device."""
    fd, name = tempfile.mkstemp(prefix="vop-vm.", dir="/dev/shm")
    os.ftruncate(fd, SIZE)
    os.close(fd)
    try:
        yield pathlib.Path(name)
    finally:
        os.unlink(name)


@pytest.fixture(scope="module", params=SERIES)
def series(request):
    return request.param


@pytest.fixture(scope="module")
def start(boot, server, memory, series):
    """start(0) begins to boot machine a."""
    return lambda number: Side(number, boot("ab"[number], series, **devices(server, (memory, SIZE))))


@pytest.fixture(scope="module")
def both(start):
    """[a, b]; a test that kills one puts another in its place."""
    both = [start(0), start(1)]
    return [side.wait_boot() for side in both]


@pytest.fixture
def sides(both):
    """The same; a test leaves no bridge behind."""
    yield both
    for side in both:
        if side.bridge:
            side.stop_bridge()


@pytest.fixture
def bridges(sides):
    """The same, joined by bridges."""
    join(sides)
    return sides


# ---- The library ----

@pytest.mark.parametrize("slot", [DOORBELL, PLAIN])
@pytest.mark.parametrize("first", ["server", "client"])
def test_echo(sides, slot, first):
    serving, asking = sides if first == "server" else reversed(sides)
    call = f"echo_client '{asking.link_on(slot)}' one two three"
    number = asking.machine.send(call) if first == "client" else None
    with serving.machine.running(f"echo_server '{serving.link_on(slot)}'", "/tmp/server"):
        said = asking.machine.run(call) if first == "server" else asking.machine.answer(number)[1]
    assert said.splitlines() == ["one", "two", "three"]


def test_a_link_has_one_process_in_a_machine(sides):
    a, _ = sides
    with a.machine.running(f"echo_server '{a.link_on(DOORBELL)}'", "/tmp/server") as pid:
        a.machine.eventually(f"ls -l /proc/{pid}/fd | grep -q uio", "the server has the device")
        status, text = a.machine.status(f"echo_client '{a.link_on(DOORBELL)}' hello")
    assert status == 1 and "another process has /dev/uio" in one_line(text)
    status, text = a.machine.status("echo_client ivshmem:0000:00:1f.0 hello")
    assert status == 1 and "no such PCI device" in one_line(text)


def test_a_side_has_one_device_in_a_machine(sides):
    """Two devices with the same memory: whoever lives on one keeps the other from its side, and only from that."""
    a, b = sides
    with b.machine.running(f"echo_server {b.link_on(PLAIN)}", "/tmp/server"):
        assert b.machine.run(f"echo_client '{b.link_on(TWIN)}?side=0' one").split() == ["one"]
        for other in (b.link_on(TWIN), a.link_on(TWIN).replace("?side=0", "?side=1")):
            machine = b.machine if other == b.link_on(TWIN) else a.machine
            status, text = machine.status(f"echo_client '{other}' two")
            assert status == 1 and "side 1 is in use, by another machine or another device" in one_line(text)
        assert a.machine.run(f"echo_client '{a.link_on(PLAIN)}' three").split() == ["three"]


def test_echo_of_the_host_in_a_machine(sides, memory, place):
    _, b = sides
    with b.machine.running(f"echo_server {b.link_on(PLAIN)}", "/tmp/server"):
        assert run("echo_client", f"ivshmem:{memory}", "hello") == (0, "hello\n", "")


def test_echo_of_a_machine_in_the_host(sides, memory, place):
    _, b = sides
    place.start("echo_server", f"ivshmem:{memory}")
    assert b.machine.run(f"echo_client {b.link_on(PLAIN)} hello again").split() == ["hello", "again"]


# ---- Bridges ----

def test_traffic(bridges):
    a, b = bridges
    assert a.ping(b)[0] == 0
    b.serve_iperf()
    assert a.iperf(b) > 0 and a.iperf(b, "-R") > 0
    for here, there in ((a, b), (b, a)):
        sent, received = here.fetch_new_file(there)
        assert sent == received


def test_lost_and_invented_interrupts(bridges, server):
    """What a lost interrupt costs ends with the watchdog's next look. A host that is busy elsewhere costs time, too,
    but hardly three times in turn, while a stall of ours would be there each time."""
    a, b = bridges
    worst = []
    server.trouble(period=1)
    try:
        for _ in range(3):
            lost, invented = server.lost, server.invented
            percent, times = a.ping(b, 500, 0.01)
            assert percent == 0
            assert server.lost - lost >= 3 and server.invented - invented >= 3
            worst.append(max(times))
            if worst[-1] < 2 * WATCHDOG:
                break
    finally:
        server.trouble(None)
    print(f"longest way there and back: {worst} s")
    assert min(worst) < 2 * WATCHDOG
    sent, received = a.fetch_new_file(b)
    assert sent == received


@pytest.mark.parametrize("slot, number", [(DOORBELL, 1), (PLAIN, 0)] + LONG * [(DOORBELL, 0), (PLAIN, 1)])
def test_unplugged_during_traffic(sides, server, memory, slot, number):
    """Nobody dies of it; the same bridges go on when the device is back. Side 0 listens, side 1 connects."""
    here, there = sides[number], sides[1 - number]
    join(sides, slot)
    bridges = [side.bridge for side in sides]
    here.start_load(there)
    there.start_load(here)
    here.machine.eventually("[ $(cat /sys/class/net/vop0/statistics/rx_bytes) -gt 1000000 ]", "traffic flows")
    said = len(here.bridge_says())
    here.unplug(slot)
    for side in (here, there):
        side.wait_carrier(0)
        side.stop_load()
    here.machine.run("sleep 1")  # time for whom it would make spin or talk
    down, why = here.bridge_says()[said:]
    assert down.startswith("vop-bridge: link down") and "broke" not in down
    assert re.search(r"device is gone|no such PCI device|no driver has it|losing it", why), why
    here.plug(slot, server, (memory, SIZE))
    for side in sides:
        side.wait_carrier(1)
    for one, other in (sides, reversed(sides)):
        sent, received = one.fetch_new_file(other)
        assert sent == received
    assert here.ping(there)[0] == 0
    assert [side.bridge for side in sides] == bridges


def test_kills(sides, start, series):
    """Whichever end is killed, and however, the other one notices, waits, and goes on with its successor."""
    dice = random.Random(SEED)
    print(f"VOP_SEED={SEED}")
    join(sides)
    for number in range(KILLS if series == SERIES[0] else min(KILLS, 5)):
        victim = dice.choice(sides)
        survivor = sides[1 - victim.number]
        for side in sides:
            side.start_load(sides[1 - side.number])
        survivor.machine.run(f"usleep {dice.randrange(300000)}")
        if number % 5 in (1, 3):
            victim.machine.kill()
            survivor.wait_carrier(0)
            victim = sides[victim.number] = start(victim.number).wait_boot()
        else:
            victim.stop_bridge("KILL")
            survivor.wait_carrier(0)
        join(sides)
        for side in sides:
            if side.load:
                side.stop_load()
        for here, there in (sides, reversed(sides)):
            sent, received = here.fetch_new_file(there, 16)
            assert sent == received, f"kill {number}"
        assert survivor.ping(victim)[0] == 0
