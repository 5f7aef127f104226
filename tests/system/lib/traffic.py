# SPDX-License-Identifier: BSD-3-Clause
"""Traffic whose content is verified, between two namespaces and within this process."""
import hashlib
import os
import random
import re
import socket
import threading
import time

from lib.bridge import SLOW

SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ping(namespace, address, count=5, size=56):
    """Returns the percentage lost."""
    text = namespace.run("ping", "-n", "-q", "-c", count, "-i", "0.02", "-W", 2 * SLOW, "-s", size, address,
                         check=False)
    return float(re.search(r"([\d.]+)% packet loss", text).group(1))


def tcp_transfer(sender, receiver, address, size, seconds=60):
    """Sends random bytes over TCP and compares digests; returns bytes per second."""
    block = os.urandom(1 << 20)
    digests = {}
    server = receiver.socket(family_of(address), socket.SOCK_STREAM)
    client = sender.socket(family_of(address), socket.SOCK_STREAM)
    with server, client:
        server.settimeout(seconds)
        client.settimeout(seconds)
        server.bind((address, 0))
        server.listen(1)

        def receive():
            connection, _ = server.accept()
            digest = hashlib.blake2b()
            with connection:
                connection.settimeout(seconds)
                while data := connection.recv(1 << 20):
                    digest.update(data)
            digests["received"] = digest.hexdigest()

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        begin = time.monotonic()
        client.connect(server.getsockname()[:2])
        digest = hashlib.blake2b()
        left = size
        while left:
            # Pieces of odd lengths at odd offsets: segments of every size.
            start = random.randrange(len(block) // 2)
            piece = memoryview(block)[start:start + min(left, random.randrange(1, len(block) // 2))]
            client.sendall(piece)
            digest.update(piece)
            left -= len(piece)
        client.shutdown(socket.SHUT_WR)
        thread.join(seconds)
        assert digests.get("received") == digest.hexdigest(), "TCP: what arrived is not what was sent"
    return size / (time.monotonic() - begin)


def udp_echo(near, far, address, sizes, seconds=5, attempts=3):
    """Sends datagrams of these sizes and gets each back, unchanged. A datagram may be lost, rarely; never changed."""
    server = far.socket(family_of(address), socket.SOCK_DGRAM)
    client = near.socket(family_of(address), socket.SOCK_DGRAM)
    with server, client:
        server.bind((address, 0))
        server.settimeout(seconds)
        client.settimeout(seconds)
        client.connect(server.getsockname()[:2])
        for size in sizes:
            data = os.urandom(size)
            for attempt in range(attempts):
                client.send(data)
                try:
                    there, peer = server.recvfrom(65536)
                    assert there == data, f"UDP: {size} bytes arrived changed"
                    server.sendto(there, peer)
                    back = client.recv(65536)
                    assert back == data, f"UDP: {size} bytes came back changed"
                    break
                except TimeoutError:
                    assert attempt + 1 < attempts, f"UDP: {size} bytes were lost {attempts} times"


class Numbers:
    """Numbered datagrams from one side of a pair to the other. Whom the sender asks for has answered before, and is not
    asked again."""

    def __init__(self, pair, sender, receiver):
        self.to = f"10.99.0.{1 if receiver == 'a' else 2}"
        assert ping(pair.namespace[sender], self.to) == 0
        lladdr = pair.namespace[receiver].link("vop0")["address"]
        pair.namespace[sender].ip("neigh", "replace", self.to, "lladdr", lladdr, "nud", "permanent", "dev", "vop0")
        self.receiver = pair.namespace[receiver].socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        self.receiver.bind(("", 4444))
        self.sender = pair.namespace[sender].socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.number = 0

    def send(self, count):
        for _ in range(count):
            self.sender.sendto(self.number.to_bytes(4, "little"), (self.to, 4444))
            self.number += 1

    def receive(self, count=None, patience=5.0):
        """As many as that, or all that come within the time."""
        got = []
        self.receiver.settimeout(patience * SLOW)
        try:
            while count is None or len(got) < count:
                got.append(int.from_bytes(self.receiver.recv(64), "little"))
        except TimeoutError:
            pass
        return got

    def close(self):
        self.sender.close()
        self.receiver.close()


class EchoService:
    """A UDP echo in a namespace, and a client that asks it whether the path is there."""

    def __init__(self, far, near, address):
        self.server = far.socket(family_of(address), socket.SOCK_DGRAM)
        self.server.bind(("", 0))
        self.server.settimeout(0.2)
        self.client = near.socket(family_of(address), socket.SOCK_DGRAM)
        self.client.settimeout(0.01)
        self.target = (address, self.server.getsockname()[1])
        self.number = 0
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.stopping:
            try:
                data, peer = self.server.recvfrom(65536)
                self.server.sendto(data, peer)
            except OSError:
                continue

    def answers(self):
        """One question; True if its answer came."""
        self.number += 1
        question = self.number.to_bytes(8, "little")
        try:
            self.client.sendto(question, self.target)
            while True:
                answer = self.client.recv(64)
                if answer == question:
                    return True
        except OSError:
            return False

    def close(self):
        self.stopping = True
        self.thread.join()
        self.server.close()
        self.client.close()


class Flood:
    """UDP in both directions as fast as Python can, to have frames in flight at any moment."""

    def __init__(self, near, far, near_address, far_address, size=1400):
        self.stopping = False
        self.threads = []
        self.sockets = []
        for source, target in ((near, far_address), (far, near_address)):
            sock = source.socket(family_of(target), socket.SOCK_DGRAM)
            self.sockets.append(sock)
            thread = threading.Thread(target=self._send, args=(sock, (target, 9), os.urandom(size)), daemon=True)
            thread.start()
            self.threads.append(thread)

    def _send(self, sock, target, data):
        while not self.stopping:
            try:
                for _ in range(20):
                    sock.sendto(data, target)
            except OSError:
                pass
            time.sleep(0.002)

    def close(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()
        for sock in self.sockets:
            sock.close()
