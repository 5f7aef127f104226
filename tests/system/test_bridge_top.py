# SPDX-License-Identifier: BSD-3-Clause
"""vop bridge top: in a terminal, which is a pseudo-terminal here, and in lines."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from lib.bridge import BIN, SLOW, pause
from lib.traffic import ping

VOP = BIN / "vop"


class Terminal:
    """A program in a terminal of its own: what it draws, as text without places and colours."""

    def __init__(self, *words, lines=24, columns=120):
        self.master, slave = pty.openpty()
        self.text = ""
        self.resize(lines, columns)
        self.process = subprocess.Popen([VOP, "bridge", "top", *map(str, words)], stdin=slave, stdout=slave,
                                        stderr=slave, env={**os.environ, "TERM": "xterm"}, start_new_session=True)
        os.close(slave)

    def resize(self, lines, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGWINCH)

    def press(self, keys):
        """And has all drawn anew, not only what has changed."""
        self.text = ""
        os.write(self.master, f"{keys}\f".encode())

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return
            self.text += re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|\([0AB]|[=>])", " ", data.decode(errors="replace"))

    def wait(self, pattern, seconds=10):
        end = time.monotonic() + seconds * SLOW
        while not re.search(pattern, self.text):
            self.press("")
            self.read(0.3)
            assert time.monotonic() < end and self.process.poll() is None, f"{pattern!r}: {self.text!r}"

    def wait_end(self):
        end = time.monotonic() + 10 * SLOW
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < end, self.text
        return self.process.returncode

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def bridges(pair, tmp_path):
    pair.control = ["--control", tmp_path / "control"]
    pair.start(both=[*pair.control, "--queues", "2"])
    yield pair


def lines_of(*words):
    return subprocess.run([VOP, "bridge", "top", *map(str, words)], text=True, capture_output=True, timeout=60 * SLOW,
                          stdin=subprocess.DEVNULL)


def test_live(bridges):
    """It shows both bridges and each queue; resized, sorted and scrolled; one bridge goes and another comes; q."""
    names = {side: f"vop0.{bridges.bridge[side].pid}" for side in "ab"}
    terminal = Terminal("--interval", "0.2", *bridges.control)
    try:
        terminal.wait(r"BRIDGE +QUEUE")
        for side in "ab":
            terminal.wait(rf"{names[side]} +all +up")
            terminal.wait(rf"{names[side]} +1 +up")
        terminal.press("s")
        terminal.wait("by tx_frames")
        terminal.press("\x1bOD\x1bOD")  # to the left, twice: round the end
        terminal.wait("by kicks")
        terminal.press("\x1bOB")
        terminal.wait(r"IMBAL\s+vop0\.\d+ +\d")  # the first line is out of sight
        terminal.press("\x1bOA")
        for size in ((5, 20), (1, 1), (40, 200)):
            terminal.resize(*size)
            terminal.read()
        terminal.wait(r"BRIDGE +QUEUE")
        bridges.bridge["b"].kill()
        terminal.wait(rf"{names['a']} +all +down")
        again = bridges.start_side("b")
        terminal.wait(rf"vop0\.{again.pid}")
        terminal.press("q")
        assert terminal.wait_end() == 0
    finally:
        terminal.close()


def test_the_terminal_goes(bridges):
    """It ends, too, also if it does not hear the signal."""
    terminal = Terminal(*bridges.control)
    try:
        terminal.wait(r"BRIDGE +QUEUE")
        os.close(terminal.master)
        terminal.process.wait(10 * SLOW)
        terminal.master = os.open("/dev/null", os.O_RDONLY)
    finally:
        terminal.close()


def test_lines(bridges):
    """Numbers are those of the traffic: 50 pings a second are as many frames each way."""
    name = f"vop0.{bridges.bridge['a'].pid}"
    top = subprocess.Popen([VOP, "bridge", "top", name, "--json", "--count", "2", "--interval", "1",
                            *map(str, bridges.control)], text=True, stdout=subprocess.PIPE)
    with top:
        assert ping(bridges.namespace["a"], "10.99.0.2", count=100) == 0
        answers = [json.loads(line) for line in top.stdout]
    assert top.returncode == 0 and len(answers) == 2
    for bridge, in answers:
        assert bridge["bridge"] == name and bridge["link"] == "up" and len(bridge["queues"]) == 2
        assert bridge["imbalance"] >= 1 and bridge["total"]["depth"] >= 0
        for word in "tx_frames", "rx_bytes", "kicks":
            assert abs(sum(queue[word] for queue in bridge["queues"]) - bridge["total"][word]) < 1
    assert sum(bridge["total"]["tx_frames"] for bridge, in answers) >= 20
    done = lines_of("--once", "--interval", "0.1", *bridges.control)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"^BRIDGE +QUEUE.*\n(vop0\.\d+ .*\n){{6}}\n$", done.stdout), done.stdout
    pause(bridges.bridge["b"].pid)
    with contextlib.ExitStack() as stack:
        stack.callback(bridges.bridge["b"].signal, signal.SIGCONT)
        done = lines_of("--once", "--interval", "0.1", *bridges.control)
    assert done.returncode == 0 and "stands still" in done.stdout and f"{name} " in done.stdout
    done = lines_of("--once", "--interval", "0.1", "vop7", *bridges.control)
    assert done.returncode == 1 and "vop7: no such bridge" in done.stderr


@pytest.mark.parametrize("words, said", [("--interval 0", "--interval 0: not a number of seconds"),
                                         ("--interval x", "--interval x: not a number of seconds"),
                                         ("--count 0", "--count 0: not a number from 1")])
def test_wrong_usage(words, said):
    done = lines_of(*words.split())
    assert done.returncode == 2 and said in done.stderr
