# SPDX-License-Identifier: BSD-3-Clause
"""What the model of a board answers to a machine that has it as a vfio-user device: a short talk as QEMU begins it. The
machine itself is a long test, tests/system/vm/test_mpc8349_machines.py."""
import json
import socket
import struct

import pytest

from lib.board import BLOCK, Model

HEAD = struct.Struct("=HHIII")  # id, command, size with this head, flags, error
REPLY, ERROR = 1, 0x20
VERSION, DEVICE_GET_INFO, REGION_GET_INFO, IRQ_GET_INFO, REGION_READ, REGION_WRITE = 1, 4, 5, 7, 9, 10
CONFIG_REGION = 7
ACCESS = struct.Struct("=QII")  # offset, region, count


class Machine:
    """Sends one message at a time."""

    def __init__(self, model):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(model.machine))
        self.answers = self.socket.makefile("rb")
        self.messages = 0

    def ask(self, command, body, flags=REPLY):
        self.messages += 1
        self.socket.sendall(HEAD.pack(self.messages, command, HEAD.size + len(body), 0, 0) + body)
        number, echoed, size, answered, _ = HEAD.unpack(self.answers.read(HEAD.size))
        assert (number, echoed, answered) == (self.messages, command, flags)
        return self.answers.read(size - HEAD.size)

    def read(self, region, offset, count):
        answer = self.ask(REGION_READ, ACCESS.pack(offset, region, count))
        assert answer[:ACCESS.size] == ACCESS.pack(offset, region, count)
        return answer[ACCESS.size:]


@pytest.fixture
def machine(tmp_path):
    model = Model(tmp_path)
    machine = Machine(model)
    yield machine
    machine.socket.close()
    model.kill()


def test_version(machine):
    answer = machine.ask(VERSION, struct.pack("=HH", 0, 1) + b'{"capabilities": {}}\0')
    assert struct.unpack_from("=HH", answer) == (0, 1)
    assert "max_data_xfer_size" in json.loads(answer[4:].rstrip(b"\0"))["capabilities"]


def test_device(machine):
    answer = machine.ask(DEVICE_GET_INFO, struct.pack("=5I", 20, *4 * [0]))
    argsz, flags, regions, irqs = struct.unpack_from("=4I", answer)
    assert argsz >= 16 and flags & 2 and regions == 9 and irqs == 5  # a PCI device
    sizes = [struct.unpack("=4IQQ", machine.ask(REGION_GET_INFO, struct.pack("=4IQQ", 32, 0, region, 0, 0, 0)))[4]
             for region in range(3)]
    assert sizes == [1 << 20, BLOCK, 1 << 28]
    assert struct.unpack("=4I", machine.ask(IRQ_GET_INFO, struct.pack("=4I", 16, 0, 0, 0)))[3] == 1


def test_registers(machine):
    assert machine.read(CONFIG_REGION, 0, 4) == struct.pack("<HH", 0x1957, 0x0086)
    assert len(machine.read(CONFIG_REGION, 0, 256)) == 256
    assert machine.read(0, 0, 4) != b"\xff" * 4  # the board's own registers
    machine.ask(REGION_WRITE, ACCESS.pack(0x10, CONFIG_REGION, 4) + b"\xff" * 4)
    assert struct.unpack("<I", machine.read(CONFIG_REGION, 0x10, 4))[0] & ~0xf == 0xfff00000  # how large BAR 0 is


def test_wrong_access(machine):
    for offset, region, count in ((0, 0, 3), (1, 0, 4), (0, 5, 4), (1 << 40, 0, 4), (0, CONFIG_REGION, 4096)):
        assert machine.ask(REGION_READ, ACCESS.pack(offset, region, count), REPLY | ERROR) == b""
