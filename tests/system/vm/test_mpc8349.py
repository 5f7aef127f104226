# SPDX-License-Identifier: BSD-3-Clause
"""A board in software in the PCI slot of a machine: our driver and a bridge in a real kernel on the one side, a bridge
on the board's processor on the other, over the native link and in the layout of 2009; traffic, kills of everybody,
resets of the board, unplugging, bad interrupts.

VOP_SEED repeats a run; VOP_LONG in the environment makes it long."""
import contextlib
import hashlib
import os
import random
import re
import time

import pytest

from lib.board import (FILE_PORT, NATIVE, PAIR, SYSFS, BoardSide, HostSide, Model, Pings, join,
                       wait_answer)
from lib.netns import Namespace
from lib.vm import LONG

SEED = int(os.environ.get("VOP_SEED") or random.randrange(1 << 32))
SCHEMES = [NATIVE, PAIR]
SOME = SCHEMES if LONG else SCHEMES[:1]  # what tests/unit tries for both, too
KILLS = 10 if LONG else 1
PINGS = 20


class World:
    """The model, the machine with its bridge, the board's bridge in a namespace."""

    def __init__(self, boot, place):
        self.boot, self.place = boot, place
        self.namespace = Namespace("board")
        self.model = self.host = self.board = None
        self.generation = 0
        self.start()

    def start(self):
        """A board in the slot of a machine that is booted."""
        self.generation += 1
        self.model = Model(self.place, f"board{self.generation}")
        self.board = BoardSide(self.model, self.namespace, self.place)
        self.start_machine()

    def start_machine(self):
        self.host = HostSide(self.model, lambda **options: self.boot("host", **options)).wait_boot()

    def join(self, scheme=NATIVE):
        return join(self.host, self.board, scheme)

    def check(self):
        """Pings without loss, and a file each way."""
        host, board = self.host, self.board
        wait_answer(host)
        assert host.ping(PINGS)[0] == 0
        data = os.urandom(1 << 20)
        with board.serve(data):
            there = host.machine.eventually(
                f"nc -w 5 10.99.0.2 {FILE_PORT} </dev/null >/tmp/fetched && md5sum </tmp/fetched", "a file", 20)
        assert there.split()[0] == hashlib.md5(data).hexdigest()
        sent = host.machine.run("dd if=/dev/urandom bs=64k count=2 2>/dev/null | tee /tmp/new | md5sum").split()[0]
        assert hashlib.md5(board.fetch(FILE_PORT)).hexdigest() == sent

    def stop_bridges(self):
        if self.host and self.host.bridge and self.host.machine.is_running():
            self.host.stop_bridge("KILL")
        if self.board and self.board.bridge:
            self.board.kill_bridge()

    def end(self):
        if self.board and self.board.bridge:
            self.board.bridge.kill()
        if self.host:
            self.host.machine.kill()
        if self.model:
            self.model.kill()
        self.namespace.remove()


@pytest.fixture(scope="module")
def everything(boot, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root: namespaces and TAP interfaces")
    world = World(boot, tmp_path_factory.mktemp("mpc8349"))
    yield world
    world.end()


@pytest.fixture
def world(everything):
    """The same; a test leaves no bridge behind."""
    yield everything
    everything.stop_bridges()


# ---- Traffic ----

@pytest.mark.parametrize("scheme", SCHEMES)
def test_traffic(world, scheme):
    world.join(scheme)
    world.check()
    assert any(line.startswith(f"vop-bridge: link up: {scheme}:") for line in world.host.says())
    assert world.host.machine.complaints() == []


def test_the_driver_knows_the_board(world):
    run = world.host.machine.run
    assert re.search(r"0000:00:04\.0 +1957:0080 +vop_pci_uio .*MPC8349.* ready", run("vop pci"))
    assert run(f"cat {SYSFS}/interrupts").strip() == "intx 1"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_carrier_follows_the_other_side(world, scheme):
    host, board = world.host, world.board
    world.join(scheme)
    board.namespace.ip("link", "set", "vop0", "down")
    host.wait_carrier(0)
    board.namespace.ip("link", "set", "vop0", "up")
    host.wait_carrier(1)
    host.machine.run("ip link set vop0 down")
    board.wait_carrier(0)
    host.machine.run("ip link set vop0 up")
    board.wait_carrier(1)
    host.stop_bridge()
    board.wait_carrier(0)


@pytest.mark.parametrize("scheme", SOME)
@pytest.mark.parametrize("switches", [["gates_status", "any_raises"], ["wide_odr", "core_sees_om", "irqs_steers"]])
def test_what_is_not_known_of_the_part(world, switches, scheme):
    for name in switches:
        assert world.model.order("set", name, 1) == "ok"
    try:
        world.join(scheme)
        wait_answer(world.host)
        assert world.host.ping(PINGS)[0] == 0
    finally:
        for name in switches:
            world.model.order("set", name, 0)


@pytest.mark.parametrize("scheme", SOME)
def test_lost_and_late_doorbells(world, scheme):
    """Those that are lost cost a look of the watchdog, and no frame."""
    world.join(scheme)
    wait_answer(world.host)
    before = world.model.counts()["lost"]
    for name, value in (("lose", 5), ("late", 3)):
        world.model.order("set", name, value)
    try:
        assert world.host.ping(PINGS)[0] == 0
    finally:
        for name in "lose", "late":
            world.model.order("set", name, 0)
    assert world.model.counts()["lost"] > before


@pytest.mark.parametrize("scheme", SOME)
def test_storm_of_doorbells(world, scheme):
    """A board that rings without end costs the machine no more than its program asks for: an interrupt comes when the
    last one was acknowledged, and traffic goes on."""
    world.join(scheme)
    wait_answer(world.host)
    before = world.model.counts()
    world.model.order("storm", "on")
    begin = time.monotonic()
    try:
        assert world.host.ping(PINGS)[0] == 0
        assert world.host.machine.run("echo alive", 5).strip() == "alive"
    finally:
        world.model.order("storm", "off")
    after = world.model.counts()
    print(f"{after['intx'] - before['intx']} interrupts in {time.monotonic() - begin:.1f} s")
    assert after["intx"] - before["intx"] <= after["register_loads"] - before["register_loads"]
    assert not world.host.machine.complaints()


# ---- Deaths ----

def kill_host_bridge(world):
    world.host.stop_bridge("KILL")


def kill_board_bridge(world):
    world.board.kill_bridge()


def kill_machine(world):
    world.host.machine.kill()
    world.board.wait_carrier(0)
    world.start_machine()


def kill_model(world):
    """The machine lives on with a dead device in its slot, but only another one gets a new board."""
    world.model.kill()
    world.board.wait_carrier(0)
    world.host.wait_carrier(0)
    assert world.host.machine.run("echo alive", 5).strip() == "alive"
    world.board.kill_bridge()
    world.host.machine.kill()
    world.start()


CASES = [(NATIVE, kill_host_bridge), (PAIR, kill_host_bridge), (NATIVE, kill_board_bridge), (PAIR, kill_board_bridge),
         (NATIVE, kill_model)] + LONG * [(PAIR, kill_model), (NATIVE, kill_machine), (PAIR, kill_machine)]


@pytest.mark.parametrize("scheme, kill", CASES)
def test_kills(world, scheme, kill):
    """In the middle of traffic; nothing is accepted twice, and service resumes."""
    dice = random.Random(SEED)
    print(f"VOP_SEED={SEED}")
    for number in range(KILLS):
        world.join(scheme)
        wait_answer(world.host)
        pings = Pings(world.board)
        time.sleep(0.2 + dice.random() / 2)
        kill(world)
        if dice.random() < 0.5 and LONG:
            time.sleep(6)  # silence tells of a death
        begin = time.monotonic()
        world.join(scheme)
        wait_answer(world.host)
        print(f"kill {number}: {time.monotonic() - begin:.2f} s from the start of its successor to an answer")
        answered, twice = pings.stop()
        assert answered > 0 and not twice
        assert world.host.ping(PINGS)[0] == 0
    if LONG:
        world.check()


@pytest.mark.parametrize("scheme", SOME)
def test_reset_of_the_board(world, scheme):
    """All ones, then fresh registers with any masks, and a configuration that the host's kernel has to restore."""
    host, board, model = world.host, world.board, world.model
    model.order("set", "random_reset", 1)
    for _ in range(5 if LONG else 1):
        world.join(scheme)
        bridge = host.bridge
        wait_answer(host)
        host.machine.run(f"cat {SYSFS}/config >/tmp/config")
        board.kill_bridge()  # its processor is reset, too
        model.order("reset")
        host.wait_carrier(0)
        assert host.machine.run(f"dd if={SYSFS}/config bs=4 count=1 2>/dev/null | hexdump -e '\"%x\"'") == "ffffffff"
        model.order("boot")
        host.machine.run(f"dd if=/tmp/config of={SYSFS}/config bs=64 count=1 conv=notrunc 2>/dev/null")
        print(f"up {world.join(scheme):.2f} s after the reset")
        assert host.bridge == bridge
        wait_answer(host)
        assert host.ping(PINGS)[0] == 0
    model.order("set", "random_reset", 0)


# ---- Unplugging ----

@pytest.mark.parametrize("scheme", SCHEMES)
def test_unplugged_during_traffic(world, scheme):
    """Nobody dies of it, and the same bridges go on when the board is back."""
    host, board = world.host, world.board
    world.join(scheme)
    bridges = host.bridge, board.bridge
    for _ in range(5 if LONG else 1):
        wait_answer(host)
        said = len(host.says())
        with contextlib.ExitStack() as stack:
            stack.enter_context(board.serve(os.urandom(64 << 20)))
            load = host.machine.start(f"nc 10.99.0.2 {FILE_PORT} </dev/null >/dev/null", "/dev/null")
            time.sleep(0.3)
            host.unplug()
            host.machine.run(f"kill {load} || true")
        host.wait_carrier(0)
        board.wait_carrier(0)
        assert re.search("device is gone|no such PCI device|was taken away", "\n".join(host.says()[said:]))
        host.plug(world.model)
        print(f"up {world.join(scheme):.2f} s after it was plugged in")
        world.check()
    assert (host.bridge, board.bridge) == bridges
