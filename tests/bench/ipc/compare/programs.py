# SPDX-License-Identifier: BSD-3-Clause
"""The programs bench-ipc-*: which there are, and one that was started and answers commands."""
import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time

PREFIX = "bench-ipc-"
# Each program, what it stands for, and the package without which it is not built.
PROGRAMS = {
    "ring": ("a ring written by hand", None),
    "kernel": ("pipes, sockets, queues", None),
    "vopipc": ("this library", None),
    "vopipc-static": ("this library, static", None),
    "vopipc-lto": ("this library, optimised with its caller", None),
    "zmq": ("ZeroMQ", "libzmq3-dev"),
    "nng": ("nng", "libnng-dev"),
    "iceoryx": ("iceoryx", "libiceoryx-binding-c-dev and iceoryx"),
    "ucx": ("UCX", "libucx-dev"),
    "rte_ring": ("DPDK rte_ring", "libdpdk-dev"),
    "libfabric": ("libfabric", "libfabric-dev"),
}
OURS, OURS_STATIC, OURS_LTO = "vopipc", "vopipc static", "vopipc LTO"
OURS_FUTEX = "vopipc futex"  # sleepers whose peer is trusted
OWN = (OURS, OURS_STATIC, OURS_LTO, OURS_FUTEX)

START_S = 60
ANSWER_S = 60
END_S = 10


class ProgramError(Exception):
    """A program did not do what it was asked for; the text says what it did."""


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_held():
    """What must not be interrupted: a program that was started and is known to nobody would be left behind. A signal
    takes effect at the end."""
    came = []
    handlers = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def list_carriers(directory, name):
    """What a program carries with, as its --list says."""
    done = subprocess.run([str(directory / (PREFIX + name)), "--list"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=START_S, check=False)
    if done.returncode != 0:
        raise ProgramError(last_line(done.stderr) or f"--list ended with status {done.returncode}")
    return json.loads(done.stdout)


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


class Program:
    """Two processes with an end of a carrier each. They sleep until asked.

    It is in a process group of its own, so that Ctrl-C comes to its parent alone, which then ends it in order.
    """

    def __init__(self, directory, name, carrier, waiting, size_max, cpus):
        self.command = [str(directory / (PREFIX + name)), "--carrier", carrier, "--waiting", waiting,
                        "--size-max", str(size_max)]
        if cpus:
            self.command += ["--cpus", cpus]
        self.unread = b""
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, start_new_session=True)

    def ready(self):
        """Waits until it can be asked; returns the line in which it says so."""
        return self._line(START_S)

    def ask(self, command):
        try:
            os.write(self.process.stdin.fileno(), command.encode() + b"\n")
        except OSError:
            raise ProgramError(self._complaint("has ended")) from None
        answer = self._line(ANSWER_S)
        if "error" in answer:
            raise ProgramError(f"{command}: {answer['error']}")
        return answer

    def _line(self, seconds):
        deadline = time.monotonic() + seconds
        out = self.process.stdout.fileno()
        while b"\n" not in self.unread:
            readable, _, _ = select.select([out], [], [], max(0, deadline - time.monotonic()))
            if not readable:
                raise ProgramError(self._complaint(f"has not answered within {seconds} s"))
            more = os.read(out, 1 << 20)
            if not more:
                raise ProgramError(self._complaint("has ended"))
            self.unread += more
        line, self.unread = self.unread.split(b"\n", 1)
        return json.loads(line)

    def _complaint(self, otherwise):
        """What it wrote to standard error last; a program that has ended needs a moment to do so."""
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            pass
        self.errors.seek(0)
        return last_line(self.errors.read().decode(errors="replace")) or otherwise

    def ask_to_end(self, at_once=False):
        """Its input ends, and so does it. At once: also in the middle of a command."""
        try:
            self.process.stdin.close()
            if at_once:
                self.process.terminate()
        except OSError:
            pass

    def wait(self):
        """Waits for its end; one that does not end is killed, and its sides with it."""
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()
