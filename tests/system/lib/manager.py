# SPDX-License-Identifier: BSD-3-Clause
"""The part of a service manager: hears what a service says of itself, and passes it descriptors, as systemd would."""
import os
import pathlib
import re
import socket
import sys
import time

from lib.bridge import SLOW
from lib.netns import root_of_project

# In the process that becomes the service: LISTEN_PID is its own, and what was passed begins at 3.
BECOME = """
import os, sys
fds = [int(word) for word in sys.argv[1].split(",") if word]
moved = [os.dup(fd) for fd in fds]  # beyond them all, so that none is overwritten
if fds:
    os.environ["LISTEN_PID"] = str(os.getpid())
moved = [os.dup2(fd, 200 + number) for number, fd in enumerate(moved)]
for number, fd in enumerate(moved):
    os.dup2(fd, 3 + number)
os.closerange(3 + len(fds), 256)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """One service of it, which is started by Bridge(*words, log=..., **manager.start())."""

    def __init__(self, name):
        """At a path, or at an abstract name of this network namespace, behind '@'."""
        self.name = str(name)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(self.name.replace("@", "\0", 1) if self.name[0] == "@" else self.name)
        self.passed = []  # (name, socket), in order
        self.said = []

    def listen(self, name, kind, path):
        """A socket that the service is to get."""
        made = socket.socket(socket.AF_UNIX, kind)
        made.bind(str(path))
        made.listen(64)
        self.passed.append((name, made))
        return made

    def start(self, watchdog_us=None):
        environment = {**os.environ, "NOTIFY_SOCKET": self.name}
        fds = [passed.fileno() for _, passed in self.passed]
        if watchdog_us:
            environment["WATCHDOG_USEC"] = str(watchdog_us)
        if fds:
            environment["LISTEN_FDS"] = str(len(fds))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in self.passed)
        prefix = (sys.executable, "-c", BECOME, ",".join(map(str, fds)))
        return {"prefix": prefix, "env": environment, "pass_fds": fds}

    def hear(self, seconds=0.0):
        """The next message, or None after so long."""
        self.notify.settimeout(seconds or 0.001)
        try:
            message = self.notify.recv(4096).decode()
        except TimeoutError:
            return None
        self.said.append(message)
        return message

    def wait_for(self, pattern, seconds=10.0):
        """Hears until a message matches."""
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            message = self.hear(0.1)
            if message and re.search(pattern, message):
                return message
        raise AssertionError(f"the service has not said {pattern!r}: {self.said}")

    def close(self):
        self.notify.close()
        for _, passed in self.passed:
            passed.close()


def unit(kind, program):
    """The text of the unit that is installed, as though `program` were installed."""
    text = (root_of_project() / f"bridge/systemd/vop-bridge@.{kind}.in").read_text()
    return text.replace("@VOP_BINDIR@", str(pathlib.Path(program).parent)).replace("@VOP_DOCDIR@", "/usr/share/doc/x")


def setting(text, name):
    """What a unit says of `name`."""
    return re.search(rf"^{name}=(.*)$", text, re.MULTILINE).group(1)
