# SPDX-License-Identifier: BSD-3-Clause
"""Running the echo programs: starting and ending them, counting what they hold."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from lib.bridge import BIN, SANITIZED, SLOW, eventually

KILLS = int(os.environ.get("VOP_KILLS") or (500 if os.environ.get("VOP_LONG") else 20))


def program(name):
    path = BIN / name
    assert path.exists(), f"{path} is missing: build first (cmake --preset release && cmake --build --preset release)"
    return str(path)


def start(*command, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([program(command[0]), *map(str, command[1:])], text=True, **options)


def finish(process, seconds):
    """Waits for a process to end by itself; returns (status, output, errors)."""
    try:
        output, errors = process.communicate(timeout=seconds * SLOW)
    except subprocess.TimeoutExpired:
        stack = pathlib.Path(f"/proc/{process.pid}/wchan").read_text()
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(f"{process.args} did not end within {seconds} s (in {stack}): {output!r} {errors!r}")
    return process.returncode, output, errors


def run(*command, seconds=20, **options):
    return finish(start(*command, **options), seconds)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def one_line(text):
    """The text of a message that is exactly one line."""
    assert text.endswith("\n") and text.count("\n") == 1, f"not exactly one line: {text!r}"
    return text.strip()


def holdings(pid):
    """What a process holds that could leak: open files, shared mappings, all mappings (without a sanitizer's own)."""
    proc = pathlib.Path(f"/proc/{pid}")
    maps = (proc / "maps").read_text().splitlines()
    shared = sum("memfd:" in line for line in maps)
    return len(os.listdir(proc / "fd")), shared, shared if SANITIZED else len(maps)


def holds_again(process, before, seconds=2.0):
    """Waits until a process holds as many files and shared mappings as it did before."""
    eventually(lambda: holdings(process.pid)[:2] == before[:2], lambda: f"leak: {before} {holdings(process.pid)}",
               seconds)


def count_in(path):
    """The number that a crash-peer keeps in this file; 0 before it has one."""
    data = path.read_bytes() if path.exists() else b""
    return int.from_bytes(data, "little")


def listening(path):
    """A server has this socket and it listens: /proc/net/unix says so with the flag __SO_ACCEPTCON."""
    pattern = re.compile(rf"^\S+: \S+ \S+ 00010000 .* {re.escape(str(path))}$", re.MULTILINE)
    return bool(pattern.search(pathlib.Path("/proc/net/unix").read_text()))


class Place:
    """A directory for sockets with a short path, and every process started through it ends with it."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="vop-echo."))
        self.socket = self.path / "echo.sock"
        self.link = f"shm:{self.socket}"
        self.processes = []

    def start(self, *command, **options):
        self.processes.append(start(*command, **options))
        return self.processes[-1]

    def server(self, name="echo_server", **options):
        """A server that listens."""
        server = self.start(name, self.link, **options)
        eventually(lambda: listening(self.socket) or server.poll() is not None, "server listens", 10)
        assert server.poll() is None, finish(server, 1)
        return server

    def client(self):
        """A client that echoes its standard input line by line."""
        return self.start("echo_client", self.link, stdin=subprocess.PIPE)

    def kill(self, *processes):
        """Ends processes, if they have not ended, and forgets them."""
        for process in processes:
            process.kill()
        for process in processes:
            if process.stdin:
                process.stdin = None  # what is still buffered for it goes nowhere
            process.communicate()
        self.processes = [process for process in self.processes if process not in processes]

    def close(self):
        self.kill(*self.processes)
        shutil.rmtree(self.path)


def echoes(client, text):
    """Sends one line through a client and checks what comes back; raises BrokenPipeError if the client has ended."""
    client.stdin.write(text + "\n")
    client.stdin.flush()
    assert client.stdout.readline() == text + "\n"


def serves_many(place, server):
    """Fifty clients at once get their lines back, and leave nothing behind."""
    before = holdings(server.pid)
    clients = [place.client() for _ in range(50)]
    for turn in range(3):
        for number, client in enumerate(clients):
            echoes(client, f"client {number} turn {turn}")
    for client in clients:
        client.stdin.close()
        assert client.wait(10) == 0
    holds_again(server, before)
