# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces that go away again, and sockets inside them without a process inside them."""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import socket
import subprocess

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_living = {}


def command(*words, check=True):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def remove_all():
    """At the end of the run, however it came about."""
    for namespace in list(_living.values()):
        namespace.remove()


def remove_stale():
    """Removes what a run left behind that was killed with SIGKILL."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        found = re.match(r"vopt-(\d+)-", name)
        if found and not os.path.exists(f"/proc/{found.group(1)}"):
            _delete(name)


def _delete(name):
    """Kills who is inside, and deletes it."""
    for pid in command("ip", "netns", "pids", name, check=False).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    command("ip", "netns", "del", name, check=False)


class Namespace:
    """A namespace named vopt-<pid>-<name>, with lo up."""

    def __init__(self, name):
        self.name = f"vopt-{os.getpid()}-{name}"
        _living[self.name] = self
        command("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def remove(self):
        if _living.pop(self.name, None):
            _delete(self.name)

    @property
    def path(self):
        return f"/run/netns/{self.name}"

    def ip(self, *words, check=True):
        return command("ip", "-n", self.name, *words, check=check)

    def run(self, *words, check=True):
        return command("ip", "netns", "exec", self.name, *words, check=check)

    def link(self, name):
        """What `ip -d link show` knows about an interface, or None if there is none."""
        text = self.ip("-d", "-j", "link", "show", "dev", name, check=False)
        return json.loads(text)[0] if text.strip() else None

    def has_carrier(self, name):
        link = self.link(name)
        return bool(link) and "LOWER_UP" in link["flags"]

    def statistics(self, name):
        return json.loads(self.ip("-s", "-j", "link", "show", "dev", name))[0]["stats64"]

    @contextlib.contextmanager
    def inside(self):
        """This thread is in the namespace for the duration."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                if _libc.setns(before, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(there)
            os.close(before)

    def socket(self, *arguments):
        """A socket that lives in the namespace."""
        with self.inside():
            return socket.socket(*arguments)


def root_of_project():
    return pathlib.Path(__file__).resolve().parents[3]
