# SPDX-License-Identifier: BSD-3-Clause
"""Running vop-bridge: alone, or two of them around a link."""
import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from lib.netns import root_of_project

BIN = pathlib.Path(os.environ.get("VOP_BIN", root_of_project() / "build/release/bin")).resolve()
KILLS = int(os.environ.get("VOP_KILLS") or (250 if os.environ.get("VOP_LONG") else 10))  # of each side
SANITIZED = bool(os.environ.get("VOP_SANITIZED"))
SLOW = 5 if SANITIZED else 1  # stretches deadlines


def program(name="vop-bridge"):
    path = BIN / name
    assert path.exists(), f"{path} is missing: build first (cmake --preset release && cmake --build --preset release)"
    return str(path)


def eventually(condition, what, seconds=2.0):
    """Waits until condition() is true, and returns how long that took."""
    begin = time.monotonic()
    while not condition():
        waited = time.monotonic() - begin
        assert waited < seconds * SLOW, f"not within {seconds * SLOW} s: {what() if callable(what) else what}"
        time.sleep(0.003)
    return time.monotonic() - begin


def pause(pid):
    """Stops a process, and ends when each of its threads stands still: the signal reaches them one after the other."""
    def states():
        try:
            return {(task / "stat").read_text().rpartition(") ")[2][0] for task in tasks.iterdir()}
        except (FileNotFoundError, ProcessLookupError):  # of a thread that ended meanwhile
            return set()

    tasks = pathlib.Path(f"/proc/{pid}/task")
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: states() == {"T"}, "it stands still")


def process_cpu(pid):
    """Processor seconds of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def files_of(pid):
    """What a process has open, but for what it closes meanwhile."""
    found = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(entry))
    return sorted(found)


def mappings_of(pid):
    found = collections.Counter()
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, *_, name = line.split(maxsplit=5)
        if not name.isdigit() and not name.startswith("["):  # of what has no name the last word is the inode, 0
            begin, end = (int(word, 16) for word in addresses.split("-"))
            found[name] += end - begin
    return found


def settings_of(words):
    """As a configuration file names them: Python's keywords have underscores for dashes."""
    return {name.replace("_", "-"): value for name, value in words.items()}


def render(settings):
    """A configuration file of these settings."""
    return "".join(f"{name} = {json.dumps(value)};\n" for name, value in settings.items())


def run(*words, seconds=10, **options):
    """Runs a bridge that is to end by itself: (status, stdout, stderr)."""
    done = subprocess.run([program(), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=seconds * SLOW, **options)
    return done.returncode, done.stdout, done.stderr


class Bridge:
    """One running vop-bridge. Its lines go to a file, so that it can never block on us."""

    def __init__(self, *words, namespace=None, log, prefix=(), name="vop-bridge", **options):
        self.log = pathlib.Path(log)
        enter = ["setpriv", "--pdeathsig", "KILL"]  # not even SIGKILL of the tests leaves it behind
        enter += [*(["ip", "netns", "exec", namespace.name] if namespace else []), *prefix]
        with self.log.open("a") as stderr:
            self.process = subprocess.Popen([*enter, program(name), *map(str, words)], stdin=subprocess.DEVNULL,
                                            stdout=stderr, stderr=stderr, **options)
        self.pid = self.process.pid

    def text(self):
        return self.log.read_text()

    def wait_line(self, pattern, count=1, seconds=5.0):
        """Waits until that many lines match."""
        def found():
            assert len(re.findall(pattern, self.text())) >= count or self.process.poll() is None, \
                f"ended with {self.process.poll()} instead of {pattern!r}: {self.text()}"
            return len(re.findall(pattern, self.text())) >= count
        return eventually(found, lambda: f"{pattern!r} in {self.text()!r}", seconds)

    def counters(self):
        """Asks with SIGUSR1."""
        before = len(self.text())
        self.process.send_signal(signal.SIGUSR1)
        eventually(lambda: re.search(r"\bspin_hits \d+\n", self.text()[before:]), "counters after SIGUSR1")
        # The one that says what was left out may follow.
        lines = re.findall(r"^vop-bridge: ((?:[a-z_]+ \d+ ?)+)$", self.text()[before:], re.M)
        return {name: int(value) for name, value in re.findall(r"\b([a-z_]+) (\d+)", " ".join(lines))}

    def opener(self):
        """The process that opens its link: its broker, where it has one."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0]) if children else self.pid

    def status(self):
        """What `vop bridge status` knows."""
        done = subprocess.run([program("vop"), "bridge", "status", str(self.pid), "--json"], text=True,
                              capture_output=True, timeout=10 * SLOW)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)[0]

    def has_closed_all(self):
        """What a link has left is closed by threads which are gone then, or wait for more of it."""
        tasks = pathlib.Path(f"/proc/{self.pid}/task")
        try:
            return not any("vop-closer" in (task / "comm").read_text() and "futex" not in (task / "wchan").read_text()
                           for task in tasks.iterdir())
        except FileNotFoundError:  # one has just ended
            return False

    def files(self):
        return files_of(self.pid)

    def mappings(self):
        """Bytes of each file that is mapped, memory shared with others among them. Not how many mappings: the kernel
        shows neighbours of one file as one, so that this depends on where they came to lie."""
        return mappings_of(self.pid)

    def memory(self):
        """Its own, in KiB."""
        return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{self.pid}/status").read_text()).group(1))

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """Ends it without its clean-up, and removes what nobody but the next bridge would."""
        self.process.kill()
        self.process.wait()
        for left in pathlib.Path("/run/vop-bridge").glob(f"*.{self.pid}.sock"):
            left.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there are others, or it was not made
            os.rmdir("/run/vop-bridge")

    def stop(self, seconds=5):
        """Ends it gracefully; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"SIGTERM was not heard within {seconds * SLOW} s: {self.text()}") from None


class Pair:
    """Two namespaces with a bridge each: "a" listens and has 10.99.0.1 and fd99::1, "b" connects, with .2 and ::2."""

    def __init__(self, namespace_a, namespace_b, directory):
        self.namespace = {"a": namespace_a, "b": namespace_b}
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "link.sock"
        self.link = {}  # of each side, for those who want another than by the socket
        self.arguments = {"a": [], "b": []}
        self.bridge = {}

    def start_side(self, side, *more, inside=True, prefix=(), **options):
        """In its namespace, or from here with --netns."""
        number = 1 if side == "a" else 2
        self.arguments[side] = list(more) or self.arguments[side]
        where = [] if inside else ["--netns", self.namespace[side].name]
        link = self.link.get(side) or ["--link", f"shm:{self.socket}", *(["--listen"] if side == "a" else [])]
        self.bridge[side] = Bridge(
            *link, "--tap", "vop0", "--address", f"10.99.0.{number}/24", "--address", f"fd99::{number}/64",
            *self.arguments[side], *where, namespace=self.namespace[side] if inside else None,
            log=self.directory / f"{side}.log", prefix=prefix, **options)
        return self.bridge[side]

    def start(self, a=(), b=(), both=()):
        self.start_side("a", *a, *both)
        self.start_side("b", *b, *both)
        self.wait_up()
        return self.bridge["a"], self.bridge["b"]

    def is_up(self):
        return all(self.namespace[side].has_carrier("vop0") for side in "ab")

    def wait_up(self, seconds=3.0):
        return eventually(self.is_up, lambda: f"carrier on both sides: {self.logs()}", seconds)

    def logs(self):
        return {side: bridge.text() for side, bridge in self.bridge.items()}

    def stop(self):
        for bridge in self.bridge.values():
            if bridge.process.poll() is None:
                bridge.kill()
