# SPDX-License-Identifier: BSD-3-Clause
"""Two machines and the model of a board between them: the host is one of x86 with our driver and a bridge, the board's
processor is a big-endian PowerPC with Linux' own UIO driver, and a program of the library alone.

Only VOP_LONG in the environment has it run: its emulator is not Debian 12's, and its kernel has to be built
(tests/system/vm/build_board)."""
import time

import pytest

from lib.board import NATIVE, PAIR, POWERPC_BIN, BoardMachine, HostSide, Model, wait_answer
from lib.vm import LONG, PLACE

SCHEMES = [NATIVE, PAIR]
KILLS = 3
PINGS = 100


@pytest.fixture(scope="module", autouse=True)
def wanted():
    if not LONG:
        pytest.skip("two machines, one of them for a kernel of our own: a long test")
    if not (PLACE / "board/config").exists():
        why = PLACE / "board/unavailable"
        pytest.skip("no PowerPC machine: " + (why.read_text().strip() if why.exists() else
                                              f"tests/system/vm/build_board {PLACE}/board 6.1"))
    missing = [program for program in BoardMachine.PROGRAMS if not (POWERPC_BIN / program).exists()]
    if missing:
        pytest.skip(f"no {' and '.join(missing)} in {POWERPC_BIN}: build the preset powerpc")


class World:
    """The model, the host's machine, and that of the board, which carries one kind of link at a time."""

    def __init__(self, boot, place):
        self.boot, self.place = boot, place
        self.model = Model(place)
        self.host = self.board = self.scheme = None
        self.boards = 0
        self.start_host()

    def start_host(self):
        self.host = HostSide(self.model, lambda **options: self.boot("host", **options)).wait_boot()

    def start_board(self, scheme):
        self.boards += 1
        self.scheme = scheme
        self.board = BoardMachine(self.model, self.place, scheme, f"powerpc{self.boards}")

    def stop_board(self):
        if self.board:
            self.board.kill()
        self.board = None

    def stop_bridge(self, signal="TERM"):
        if self.host.bridge:
            self.host.stop_bridge(signal)

    def join(self, scheme):
        """Starts what is not there, and ends when a ping is answered: seconds."""
        if self.board and self.scheme != scheme:
            self.stop_bridge()
            self.stop_board()
        if not self.board:
            self.start_board(scheme)
        begin = time.monotonic()
        if not self.host.bridge:
            self.host.start_bridge(scheme)
        self.host.wait_carrier(1, 60)
        wait_answer(self.host)
        return time.monotonic() - begin

    def check(self):
        lost, times = self.host.ping(PINGS)
        print(f"{self.scheme}: {PINGS} pings, {lost} % lost, {1e3 * sum(times) / len(times):.1f} ms each")
        assert lost == 0
        assert self.host.machine.complaints() == []
        assert self.board.is_running()

    def end(self):
        self.stop_board()
        self.host.machine.kill()
        self.model.kill()


@pytest.fixture(scope="module")
def everything(boot, tmp_path_factory):
    world = World(boot, tmp_path_factory.mktemp("machines"))
    yield world
    world.end()


@pytest.fixture
def world(everything):
    yield everything
    if everything.board:
        print(everything.board.says()[-3000:])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_traffic(world, scheme):
    print(f"a ping is answered {world.join(scheme):.1f} s after the board was switched on")
    assert "big-endian" in world.board.says()
    before = world.model.counts()
    world.check()
    after = world.model.counts()
    print({name: after[name] - before[name] for name in after})
    assert after["core_interrupts"] > before["core_interrupts"] and after["intx"] > before["intx"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_kills(world, scheme):
    """Of the bridge, of the board's machine, and of the host's: both sides find each other again."""
    def kill_bridge():
        world.stop_bridge("KILL")

    def kill_board():
        world.stop_board()
        world.host.wait_carrier(0)

    def kill_host():
        world.host.machine.kill()
        world.start_host()

    for kill in [kill_bridge, kill_board] * KILLS + [kill_host]:
        world.join(scheme)
        kill()
        print(f"{kill.__name__}: an answer {world.join(scheme):.1f} s after its successor was started")
        world.check()
