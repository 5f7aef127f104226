# SPDX-License-Identifier: BSD-3-Clause
"""A server for ivshmem-doorbell devices of QEMU, in a thread of the tests, which can lose and invent interrupts.

The protocol is that of QEMU's docs/specs/ivshmem-spec: numbers of 8 bytes, little-endian, some with a file descriptor.
A client hears version 0, its own number, -1 with the memory, then each peer's number with an eventfd a vector, its own
last. Later: a number with eventfds is a new peer, one without is a peer gone.

QEMU's own server hands every client the eventfds of the others and is out of the way. This one gives each pair of
clients eventfds of their own and stands between: what a client writes to them is forwarded, or not.

It never says that a peer is gone. QEMU 7.2 frees what it has of such a peer, and frees it again when the device is
unplugged: its heap is corrupt then. Machines see nothing of that message.
"""
import array
import itertools
import os
import selectors
import socket
import struct
import threading
import time


def _send(connection, number, fd=None):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
    connection.sendmsg([struct.pack("<q", number)], rights)


class _Client:
    def __init__(self, number, connection, vectors):
        self.number = number
        self.connection = connection
        self.bells = [_eventfd() for _ in range(vectors)]  # what makes QEMU interrupt this client's machine
        self.lines = {}  # peer's number: eventfds that this peer rings, for us to forward

    def close(self):
        for fd in self.bells + [fd for line in self.lines.values() for fd in line]:
            os.close(fd)
        self.connection.close()


def _eventfd():
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


class IvshmemServer:
    """with IvshmemServer(path, size) as server: ..., and machines use path as their chardev."""

    def __init__(self, path, size, vectors=2):
        self.path, self.size, self.vectors = str(path), size, vectors
        self.forwarded = self.lost = self.invented = 0
        self._trouble_period = None
        self._next_loss = self._next_invention = 0.0
        self._clients = {}
        self._numbers = itertools.count()  # none twice: QEMU 7.2 corrupts its heap when a number comes again
        self._memory = os.memfd_create("ivshmem")
        os.ftruncate(self._memory, size)
        self._wake = _eventfd()
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake, selectors.EVENT_READ, lambda: os.eventfd_read(self._wake))
        self._thread = threading.Thread(target=self._run, name="ivshmem-server")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        for client in self._clients.values():
            client.close()
        self._selector.close()
        self._listener.close()
        os.close(self._wake)
        os.close(self._memory)
        os.unlink(self.path)

    def memory(self):
        """The shared memory, for a look from outside (a new file descriptor)."""
        return os.dup(self._memory)

    def trouble(self, period):
        """From now on loses one interrupt and invents one for each client in each period (seconds); None ends it."""
        self._next_loss = time.monotonic()
        self._next_invention = time.monotonic() + (period or 0)
        self._trouble_period = period
        os.eventfd_write(self._wake, 1)

    def _run(self):
        while not self._stopping:
            timeout = max(0.0, self._next_invention - time.monotonic()) if self._trouble_period else None
            for key, _ in self._selector.select(timeout):
                if self._selector.get_map().get(key.fd) == key:  # not closed by what was done before it
                    key.data()
            if self._trouble_period and time.monotonic() >= self._next_invention:
                self._next_invention += self._trouble_period
                self._invent()

    def _invent(self):
        for client in self._clients.values():
            for bell in client.bells:
                os.eventfd_write(bell, 1)
            self.invented += 1

    def _accept(self):
        connection, _ = self._listener.accept()
        number = next(self._numbers)
        new = _Client(number, connection, self.vectors)
        _send(connection, 0)
        _send(connection, number)
        _send(connection, -1, self._memory)
        for peer in self._clients.values():
            self._introduce(new, peer)
            self._introduce(peer, new)
        for bell in new.bells:
            _send(connection, number, bell)
        self._clients[number] = new
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._hear(new))

    def _introduce(self, client, peer):
        """Gives the client a line to each of the peer's vectors."""
        client.lines[peer.number] = [_eventfd() for _ in peer.bells]
        for line, bell in zip(client.lines[peer.number], peer.bells):
            self._selector.register(line, selectors.EVENT_READ,
                                    lambda line=line, bell=bell: self._forward(line, bell))
            _send(client.connection, peer.number, line)

    def _forward(self, line, bell):
        try:
            os.eventfd_read(line)
        except BlockingIOError:
            return
        if self._trouble_period and time.monotonic() >= self._next_loss:
            self._next_loss = time.monotonic() + self._trouble_period
            self.lost += 1
            return
        os.eventfd_write(bell, 1)
        self.forwarded += 1

    def _hear(self, client):
        """Clients say nothing, so this is the end of one."""
        try:
            if client.connection.recv(64):
                return
        except ConnectionError:
            pass
        del self._clients[client.number]
        self._selector.unregister(client.connection)
        for line in client.lines.values():
            self._cut(line)
        for peer in self._clients.values():
            self._cut(peer.lines[client.number])
            for fd in peer.lines.pop(client.number):
                os.close(fd)
        client.close()

    def _cut(self, line):
        for fd in line:
            self._selector.unregister(fd)
