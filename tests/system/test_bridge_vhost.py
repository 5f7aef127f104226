# SPDX-License-Identifier: BSD-3-Clause
"""A front end of vhost-user that cuts its memory short while the bridge uses it: the bridge says so, and serves the
next one."""
import array
import os
import pathlib
import socket
import struct
import threading

import pytest

from lib.bridge import SANITIZED, Bridge, eventually

SIZE = 1 << 16
USER = 0x7f0000000000
VERSION_1 = 1 << 32
ENTRIES = 16


class Front:
    """A machine whose driver has two split rings, without a buffer in them."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        eventually(lambda: self.socket.connect_ex(str(path)) == 0, "the bridge listens", 10)
        self.memory = os.memfd_create("machine")
        os.ftruncate(self.memory, SIZE)
        self.kicks = [os.eventfd(0) for _ in range(2)]
        self.calls = [os.eventfd(0) for _ in range(2)]
        self.send(3)  # SET_OWNER
        self.send(1)  # GET_FEATURES
        offered = struct.unpack("<IIIQ", self.socket.recv(20, socket.MSG_WAITALL))[3]
        assert offered & VERSION_1
        self.send(2, struct.pack("<Q", VERSION_1))
        self.send(5, struct.pack("<IIQQQQ", 1, 0, 0, SIZE, USER, 0), self.memory)  # SET_MEM_TABLE
        for index in range(2):
            self.start(index)

    def send(self, request, payload=b"", *fds):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([struct.pack("<III", request, 1, len(payload)) + payload], rights)

    def start(self, index):
        ring = USER + index * 0x4000
        self.send(8, struct.pack("<II", index, ENTRIES))  # SET_VRING_NUM
        self.send(10, struct.pack("<II", index, 0))  # SET_VRING_BASE
        self.send(9, struct.pack("<IIQQQQ", index, 0, ring, ring + 0x2000, ring + 0x1000, 0))  # SET_VRING_ADDR
        self.send(13, struct.pack("<Q", index), self.calls[index])  # SET_VRING_CALL
        self.send(12, struct.pack("<Q", index), self.kicks[index])  # SET_VRING_KICK

    def close(self):
        self.socket.close()
        for fd in (self.memory, *self.kicks, *self.calls):
            os.close(fd)


@pytest.fixture
def bridge(namespaces, tmp_path):
    bridge = Bridge("--link", f"vhost-user:{tmp_path}/card", "--tap", "vop0", namespace=namespaces("host"),
                    log=tmp_path / "bridge.log")
    try:
        yield bridge
    finally:
        bridge.stop()


def test_memory_cut_short(bridge, tmp_path):
    for count in (1, 2):
        front = Front(tmp_path / "card")
        try:
            bridge.wait_line("link up", count)
            os.ftruncate(front.memory, 0)
            os.eventfd_write(front.kicks[1], 1)
            bridge.wait_line("link down: .*has cut a file of its memory short", count)
        finally:
            front.close()


def test_busy_directory(bridge, tmp_path):
    """Somebody writes to files beside the socket all the time, and makes some: the bridge serves its front end."""
    is_over = threading.Event()

    def write():
        with (tmp_path / "log").open("wb", buffering=0) as file:
            while not is_over.is_set():
                for _ in range(100):
                    file.write(b"x")
                (tmp_path / "other").touch()
                (tmp_path / "other").unlink()

    writers = [threading.Thread(target=write, daemon=True)]
    for writer in writers:
        writer.start()
    try:
        front = Front(tmp_path / "card")
        bridge.wait_line("link up")
        front.close()
        bridge.wait_line("link down")
    finally:
        is_over.set()
        for writer in writers:
            writer.join()


def test_many_connects(bridge, tmp_path):
    """A thousand front ends, one after the other, leave no descriptor and no memory behind."""
    def used():
        status = pathlib.Path(f"/proc/{bridge.pid}/status").read_text()
        rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return len(os.listdir(f"/proc/{bridge.pid}/fd")), rss

    def connect(count):
        for _ in range(count):
            Front(tmp_path / "card").close()
        eventually(lambda: used()[0] <= descriptors, lambda: (descriptors, used()), 30)

    front = Front(tmp_path / "card")
    bridge.wait_line("link up")
    front.close()
    bridge.wait_line("link down")
    descriptors, _ = used()
    connect(100)
    memory = used()[1]
    connect(900)
    if not SANITIZED:  # AddressSanitizer keeps what was freed
        assert used()[1] < memory + 1024, f"KiB: {memory}, then {used()[1]}"
