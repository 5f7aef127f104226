# SPDX-License-Identifier: BSD-3-Clause
"""Ways for frames between two network namespaces, `a` and `b`: how each is set up."""
import json
import os
import pathlib
import shutil
import subprocess
import time

from compare.works import last_line

START_S = 10
MTU = 1500


class PathError(Exception):
    """A path could not be set up; the text says why."""


def command(*words, check=True):
    done = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise PathError(f"{' '.join(map(str, words))}: {last_line(done.stderr)}")
    return done.stdout


class Place:
    """Both namespaces, and where programs and files are."""

    def __init__(self, programs, directory, congestion):
        self.programs, self.directory = programs, directory
        self.congestion = congestion  # where a work does not name one
        self.scratch = directory / "figures.json"
        self.processes = []

    @staticmethod
    def inside(side):
        return ["ip", "netns", "exec", side]

    def start(self, name, *words):
        """Starts a program that stays; what it says is in a file. Its input has no end: vde_switch would end there."""
        with (self.directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=log,
                                       stderr=subprocess.STDOUT)
        process.log = self.directory / f"{name}.log"
        self.processes.append(process)
        return process

    def open(self):
        for side in "ab":
            command("ip", "netns", "add", side)
            command("ip", "-n", side, "link", "set", "lo", "up")
        self.start("iperf", *self.inside("b"), "iperf3", "-s")

    def close(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until(is_so, what, processes=()):
    for _ in range(START_S * 50):
        if is_so():
            return
        for process in processes:
            if process.poll() is not None:
                raise PathError(last_line(process.log.read_text()) or f"{what}: the program has ended")
        time.sleep(0.02)
    raise PathError(f"{what}: not within {START_S} s")


class Path:
    """One way. `name` is also that of the interface at both ends."""

    title = package = program = None
    pings = True
    carries_vxlan = True
    captures = False
    vxlan_address = None

    def __init__(self, number):
        self.address = f"10.98.{number}.2"
        self.number = number
        self.carriers = []
        self.carrier_pids = []

    def cpu_s(self):
        """Seconds of processor time that the carriers have taken until now."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.carrier_pids)

    def start(self, place, suffix, *words):
        process = place.start(f"{self.name}{suffix}", *words)
        self.carriers.append(process)
        self.carrier_pids.append(process.pid)
        return process

    def wait_for_interface(self, side):
        wait_until(lambda: command("ip", "-n", side, "link", "show", self.name, check=False),
                   f"interface {self.name}", self.carriers)

    def configure(self):
        """Addresses and MTU, for interfaces that are there."""
        for number, side in enumerate("ab", 1):
            self.wait_for_interface(side)
            command("ip", "-n", side, "address", "add", f"10.98.{self.number}.{number}/24", "dev", self.name)
            command("ip", "-n", side, "link", "set", self.name, "mtu", MTU, "up")

    def open_vxlan(self):
        for number, side in enumerate("ab", 1):
            name = f"x{self.name}"[:15]
            command("ip", "-n", side, "link", "add", name, "type", "vxlan", "id", self.number, "dstport", 4789,
                    "local", f"10.98.{self.number}.{number}", "remote", f"10.98.{self.number}.{3 - number}", "dev",
                    self.name)
            command("ip", "-n", side, "address", "add", f"10.99.{self.number}.{number}/24", "dev", name)
            command("ip", "-n", side, "link", "set", name, "up")
        self.vxlan_address = f"10.99.{self.number}.2"

    def open(self, place):
        self.set_up(place)
        if self.pings:
            wait_until(lambda: " 0% packet loss" in command(
                *place.inside("a"), "ping", "-c", 1, "-W", 1, self.address, check=False), "an answer to ping",
                self.carriers)
        if self.carries_vxlan:
            self.open_vxlan()


class Veth(Path):
    name, title = "veth", "veth pair"

    def set_up(self, place):
        command("ip", "-n", "a", "link", "add", self.name, "type", "veth", "peer", "name", self.name, "netns", "b")
        self.configure()


class Bridges(Path):
    name, title, program = "vop", "vop-bridge", "vop-bridge"
    options = ()
    captures = True

    def set_up(self, place):
        for number, side in enumerate("ab", 1):
            self.start(place, f"-{side}", *place.inside(side), place.programs / "vop-bridge", "--link",
                       f"shm:{place.directory}/{self.name}.sock", *(["--listen"] if side == "a" else []), "--tap",
                       self.name, "--address", f"10.98.{self.number}.{number}/24", "--mtu", MTU, "--control",
                       place.directory / f"control-{side}", "--capture-dir", place.directory / "captures",
                       *self.options)

    def ask_capture(self, place, *words):
        """The answer of vop bridge capture, of the side that sends."""
        return json.loads(command(place.programs / "vop", "bridge", "capture", self.name, *words, "--json", "--control",
                                  place.directory / "control-a"))[0]


class BridgesOneQueue(Bridges):
    name, title = "vop1", "vop-bridge, 1 queue"
    options = ("--queues", 1)


class BridgesTwoQueues(Bridges):
    name, title = "vop2", "vop-bridge, 2 queues"
    options = ("--queues", 2)


class Relay(Path):
    name, title, program = "relay", "epoll relay", "bench-bridge-relay-epoll"
    queues = 1

    def set_up(self, place):
        self.start(place, "", place.programs / self.program, "--tap", self.name, "--netns-a", "a", "--netns-b", "b",
                   "--queues", self.queues)
        self.configure()


class RelayTwoQueues(Relay):
    name, title, queues = "relay2", "epoll relay, 2 queues", 2


class UringRelay(Relay):
    name, title, program = "uring", "io_uring relay", "bench-bridge-relay-uring"


class PairOfRelays(Relay):
    """Of two processes; the second is a child of the first."""

    name, title, program = "pair", "pair of relays", "bench-bridge-relay-pair"

    def set_up(self, place):
        super().set_up(place)
        first = self.carriers[0].pid
        child = int(pathlib.Path(f"/proc/{first}/task/{first}/children").read_text())
        self.carrier_pids = [first, child]


class Socat(Path):
    name, title, package, program = "socat", "socat", "socat", "socat"

    def set_up(self, place):
        """It makes both interfaces where it is; one is moved."""
        one, other = (f"TUN,tun-type=tap,tun-name={name},iff-no-pi" for name in (self.name, "socat-b"))
        self.start(place, "", *place.inside("a"), "socat", "-b", 70000, one, other)
        self.wait_for_interface("a")
        wait_until(lambda: command("ip", "-n", "a", "link", "show", "socat-b", check=False), "interface socat-b",
                   self.carriers)
        command("ip", "-n", "a", "link", "set", "socat-b", "netns", "b", "name", self.name)
        self.configure()


class Vde(Path):
    name, title, package, program = "vde", "vde", "vde2", "vde_switch"

    def set_up(self, place):
        sock = place.directory / "vde"
        self.start(place, "-a", *place.inside("a"), "vde_switch", "-s", sock, "-t", self.name, "-f", "/dev/null",
                   "--nostdin")
        wait_until((sock / "ctl").exists, "the switch", self.carriers)
        self.start(place, "-b", *place.inside("b"), "vde_plug2tap", "-s", sock, self.name)
        self.configure()


class Pasta(Path):
    """It ends TCP and UDP itself, and goes on with sockets in b. The gateway's address stands for b."""

    name, title, package, program = "pasta", "pasta", "passt", "pasta"
    pings = carries_vxlan = False

    def set_up(self, place):
        if "default" not in command("ip", "-n", "b", "route"):  # it wants to see a way out
            command("ip", "-n", "b", "route", "add", "default", "via", "10.98.1.1", check=False)
        self.start(place, "", *place.inside("b"), "pasta", "--foreground", "--quiet", "--runas", 0, "--config-net",
                   "--netns", "/run/netns/a", "-a", f"10.98.{self.number}.1", "-n", 24, "-g", self.address, "--mtu",
                   MTU, "-I", self.name, "-t", "none", "-u", "none", "-T", "none", "-U", "none")
        self.wait_for_interface("a")
        wait_until(lambda: self.address in command("ip", "-n", "a", "route"), "a route to pasta", self.carriers)


OURS, FLOOR, RELAY = Bridges.name, Veth.name, Relay.name
ALL = [Veth, Bridges, BridgesOneQueue, Relay, RelayTwoQueues, UringRelay, PairOfRelays, Socat, Vde, Pasta]
if len(os.sched_getaffinity(0)) != 2:  # else that is the default
    ALL.insert(3, BridgesTwoQueues)
TWO_QUEUES = BridgesTwoQueues.name if BridgesTwoQueues in ALL else OURS
BY_NAME = {path.name: path for path in ALL}


def why_not(path, programs):
    """None, or why there cannot be such a path here."""
    if path.program and not (programs / path.program).exists() and not shutil.which(path.program):
        return f"there is no {path.program}" + (f"; package {path.package} has it" if path.package else "")
    return None
