# SPDX-License-Identifier: BSD-3-Clause
"""Live migration of a machine whose network card is vop-bridge, over vhost-user: from one QEMU to another, each with a
bridge of its own, while a stream fills its memory. What the bridge writes there reaches the other QEMU by the log of
dirty pages: without it, what was received would be lost."""
import contextlib
import hashlib
import os
import threading
import time

import pytest

from lib.bridge import Bridge, eventually
from lib.vm import LONG, SLOW
from test_vhost import CARD, MODULES

MEMORY = 160
HOST, GUEST = "10.98.1.1", "10.98.1.2"
PORT = 5002
SIZE = 24 << 20
KINDS = {"split": "packed=off", "packed": "packed=on,disable-legacy=on"}


class Place:
    """One of the two: a bridge whose TAP is a port of a switch, and a QEMU."""

    def __init__(self, boot, namespace, directory, name, kind, words=()):
        self.socket = directory / name
        self.machine = None
        packed = "&packed" if kind == "packed" else ""
        self.bridge = Bridge("--link", f"vhost-user:{self.socket}?connect{packed}", "--tap", f"vop-{name}", "--control",
                             "none", namespace=namespace, log=directory / f"{name}.log")
        try:
            eventually(lambda: namespace.link(f"vop-{name}"), "the TAP is there", 10)
            namespace.ip("link", "set", f"vop-{name}", "master", "switch", "up")
            self.machine = boot(f"net-{name}", devices=[f"{CARD},{KINDS[kind]}"], memory=MEMORY, words=[
                "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on", "-machine", "memory-backend=ram",
                "-chardev", f"socket,id=card,path={self.socket},server=on", "-netdev",
                "vhost-user,id=net,chardev=card", *words])
        except BaseException:
            self.end()
            raise

    def end(self):
        if self.machine:
            self.machine.kill()
        self.bridge.stop()


def migrate(source, target, place):
    """Moves the machine; returns what QEMU says of it."""
    source.monitor.execute("migrate", uri=f"unix:{place}/migration")
    end = time.monotonic() + 60 * SLOW
    while (said := source.monitor.execute("query-migrate"))["status"] != "completed":
        assert said["status"] != "failed" and time.monotonic() < end, said
        time.sleep(0.05)
    eventually(lambda: target.monitor.execute("query-status")["status"] == "running", "the machine goes on", 20)
    return said


@pytest.mark.parametrize("kind", KINDS if LONG else ["packed"])
def test_migration(boot, namespaces, tmp_path, kind):
    namespace = namespaces("host")
    namespace.ip("link", "add", "switch", "type", "bridge", "forward_delay", "0")
    namespace.ip("addr", "add", f"{HOST}/24", "dev", "switch")
    namespace.ip("link", "set", "switch", "up")
    sent = os.urandom(SIZE)
    listener = namespace.socket()
    listener.bind((HOST, PORT))
    listener.listen(1)
    listener.settimeout(30 * SLOW)
    half = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60 * SLOW)
            connection.sendall(sent[:SIZE // 2])
            half.set()  # what is on its way now fills buffers and the machine's memory
            connection.sendall(sent[SIZE // 2:])

    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        source = Place(boot, namespace, tmp_path, "a", kind)
        stack.callback(source.end)
        target = Place(boot, namespace, tmp_path, "b", kind, ["-incoming", f"unix:{tmp_path}/migration"])
        stack.callback(target.end)
        source.machine.wait_boot()
        source.machine.load_modules(*MODULES)
        source.machine.run(f"ip addr add {GUEST}/24 dev eth0 && ip link set eth0 up")
        source.machine.eventually(f"ping -c 1 -W 1 {HOST}", "ping")
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        source.machine.start(f"nc {HOST} {PORT}", "/tmp/data")
        assert half.wait(60 * SLOW)
        said = migrate(source.machine, target.machine, tmp_path)
        print(f"{kind}: the machine stood still for {said['downtime']} ms, {said['ram']['transferred'] >> 20} MiB")
        target.machine.eventually(f"[ $(wc -c </tmp/data) = {SIZE} ]", "all is received", 20)
        server.join(10 * SLOW)
        there = target.machine.run("md5sum </tmp/data", 30).split()[0]
        assert there == hashlib.md5(sent).hexdigest()
        target.machine.run(f"ping -c 5 -i 0.1 -W 5 {HOST}", 20)
