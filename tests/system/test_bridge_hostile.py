# SPDX-License-Identifier: BSD-3-Clause
"""A bridge whose peer lies, in frames, in rings and in the handshake, or comes and goes: it serves the next one as the
first, no wrong frame reaches the kernel, each one is counted, and nothing is left of any of them.

The peer is hostile-net, which knows the protocol from its document alone. What reaches the kernel another instance of
it counts, on the interface.
"""
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from lib.bridge import SANITIZED, SLOW, Bridge, eventually, program, render, settings_of

LONG = bool(os.environ.get("VOP_LONG"))
SECONDS = 30 if LONG else 1  # of wrong frames, and of lies
RELOAD_SECONDS = 30 if LONG else 2  # of each of them, while the bridge is reloaded
CONNECTS = 1000 if LONG else 200
MAC = "02:99:00:00:00:01"  # where the frames go


def numbers(text):
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text)}


class Place:
    """A bridge that listens, in a namespace, and the programs that try it."""

    def __init__(self, namespace, directory):
        self.namespace, self.socket = namespace, directory / "link.sock"
        self.log = directory / "bridge.log"
        self.bridge = None
        self.started = []

    def start(self, *words):
        self.bridge = Bridge("--link", f"shm:{self.socket}", "--listen", "--tap", "vop0", "--mac", MAC, "--queues", 2,
                             "--address", "10.99.0.1/24", "--address", "fd99::1/64", *words, namespace=self.namespace,
                             log=self.log)
        eventually(lambda: self.socket.exists() and self.namespace.link("vop0"), self.bridge.text, 5.0)
        return self.bridge

    def begin(self, *words, inside=False):
        enter = ["setpriv", "--pdeathsig", "KILL"]
        enter += ["ip", "netns", "exec", self.namespace.name] if inside else []
        process = subprocess.Popen([*enter, program("hostile-net"), *map(str, words)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        return process

    def finish(self, process, seconds):
        out, err = process.communicate(timeout=seconds * SLOW)
        assert process.returncode == 0, (err, self.bridge.text()[-2000:])
        return numbers(out)

    def run(self, mode, amount, seconds):
        """Lets the peer do this; the seed is printed, so that a failure can be had again."""
        seed = random.getrandbits(63)
        print(f"hostile-net {mode} {self.socket} {seed} {amount}")
        return self.finish(self.begin(mode, self.socket, seed, amount), seconds)

    @contextlib.contextmanager
    def watched(self):
        """What comes out of the interface meanwhile; the counts are there afterwards."""
        watch, found = self.begin("watch", "vop0", inside=True), {}
        assert watch.stdout.readline() == "watching\n", watch.stderr.read()
        try:
            yield found
        finally:
            watch.terminate()
            found.update(self.finish(watch, 20))

    def settle(self):
        """What the last peer has left is closed."""
        eventually(self.bridge.has_closed_all, "the closer is done", 10.0)

    def held(self):
        """What it has without a peer: files, mappings of files, BPF's among them, and memory of its own, in KiB."""
        eventually(lambda: "NO-CARRIER" in self.namespace.link("vop0")["flags"], "carrier off", 5.0)
        self.settle()
        return self.bridge.files(), self.bridge.mappings(), self.bridge.memory()

    def stop(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.bridge and self.bridge.process.poll() is None:
            self.bridge.kill()


@pytest.fixture
def place(namespaces, tmp_path):
    made = Place(namespaces("a"), tmp_path)
    try:
        yield made
    finally:
        made.stop()


def expect_nothing_left(place, before):
    files, mappings, memory = before
    after = ()

    def is_as_before():
        nonlocal after
        after = place.held()
        return after[:2] == (files, mappings)

    eventually(is_as_before, lambda: f"{after[:2]} == {before[:2]}", 10.0)
    print(f"memory of its own: {memory} KiB before, {after[2]} KiB after")
    assert SANITIZED or after[2] < memory + 2048


def expect_counted(place, sent, arrived, counted):
    dropped = counted["rx_malformed"] + counted["rx_unsupported"]
    refused = counted["rx_errors"] + counted["rx_down"]
    assert sent["good"] > 100 and sent["evil"] > 100 and sent["either"] > 10
    assert counted["rx_frames"] + dropped + refused == sent["good"] + sent["evil"] + sent["either"]
    assert sent["evil"] <= dropped <= sent["evil"] + sent["either"]
    assert refused <= sent["either"]
    assert arrived["evil"] == 0
    if not arrived["missed"]:
        assert arrived["good"] == sent["good"]
        assert arrived["either"] <= sent["either"]
    statistics = place.namespace.statistics("vop0")["rx"]
    assert statistics["packets"] + statistics["dropped"] <= counted["rx_frames"]


def test_wrong_frames(place):
    """Counted here, at the bridge, and behind the interface: all three agree."""
    bridge = place.start()
    with place.watched() as arrived:
        sent = place.run("frames", SECONDS, SECONDS + 30)
    counted = bridge.counters()
    print(sent, arrived, {name: value for name, value in counted.items() if name.startswith("rx")})
    expect_counted(place, sent, arrived, counted)
    assert bridge.stop() == 0


def test_lies(place):
    bridge = place.start()
    place.run("connects", 20, 30)  # memory that is got once
    before = place.held()
    lied = place.run("lies", SECONDS, SECONDS + 60)
    print(f"{lied['sessions']} sessions ended with a lie")
    assert bridge.process.poll() is None, bridge.text()[-2000:]
    place.run("connects", 1, 30)
    expect_nothing_left(place, before)
    assert bridge.stop() == 0


def test_many_connects(place):
    bridge = place.start()
    place.run("connects", 20, 30)
    before = place.held()
    assert any("bpf" in name for name in before[0]) or "steer" in bridge.text()  # what would leak
    begin = time.monotonic()
    assert place.run("connects", CONNECTS, CONNECTS)["sessions"] == CONNECTS
    print(f"{CONNECTS} connects in {time.monotonic() - begin:.1f} s")
    expect_nothing_left(place, before)
    assert bridge.stop() == 0


class Reloads:
    """Changes of the configuration file, and whether they are in force."""

    def __init__(self, place, directory):
        self.place, self.path, self.control = place, directory / "a.conf", directory / "control"
        self.settings = {}
        self.turns = itertools.count(1)
        self.write()

    def write(self, **settings):
        """Underscores stand for dashes."""
        self.settings = settings_of(settings)
        self.path.write_text(render(self.settings))

    def turn(self):
        """The next one, by the signal or by a client. Queues go and come as well."""
        turn = next(self.turns)
        self.write(mtu=1490 + turn % 10, altname=[f"n{turn}"], route=[f"10.{turn % 250}.1.0/24"], drain_ms=turn,
                   on_peer_loss=("hold", "drop")[turn % 2], affinity=("0", "0-1")[turn % 2], spin_us=turn % 50,
                   queues=1 + turn // 2 % 2, log_level=("info", "notice")[turn % 2])
        if turn % 2:
            self.place.bridge.signal(signal.SIGHUP)  # its line in the log may be one of those that are left out
        else:
            done = subprocess.run([program("vop"), "bridge", "reload", "--control", self.control, "--json"], text=True,
                                  capture_output=True, timeout=60)
            assert done.returncode == 0, done.stderr
            answer, = json.loads(done.stdout)
            assert {"mtu", "altname", "route", "drain-ms"} <= set(answer["changed"]), answer
            assert answer["restart"] == answer["failed"] == [], answer
        eventually(self.is_in_force, lambda: f"{self.settings} in force", 10.0)

    def is_in_force(self):
        link = self.place.namespace.link("vop0")
        routes = json.loads(self.place.namespace.ip("-j", "route", "show", "dev", "vop0"))
        return (link["mtu"] == self.settings["mtu"] and link.get("altnames") == self.settings["altname"]
                and [r["dst"] for r in routes if r.get("protocol") != "kernel"] == self.settings["route"])


def reload_until(place, reloads, peer):
    """Not so often that nothing else is done."""
    while peer.poll() is None:
        reloads.turn()
        assert place.bridge.process.poll() is None, place.bridge.text()[-2000:]
        time.sleep(0.02)
    print(f"{next(reloads.turns) - 1} reloads")


def test_wrong_frames_and_reloads(place, tmp_path):
    reloads = Reloads(place, tmp_path)
    bridge = place.start("--config", reloads.path, "--control", reloads.control)
    with place.watched() as arrived:
        peer = place.begin("frames", place.socket, random.getrandbits(63), RELOAD_SECONDS)
        reload_until(place, reloads, peer)
        sent = place.finish(peer, 30)
    counted = bridge.counters()
    print(sent, arrived, {name: value for name, value in counted.items() if name.startswith("rx")})
    expect_counted(place, sent, arrived, counted)
    assert bridge.stop() == 0


def test_lies_and_reloads(place, tmp_path):
    """What is written over while the bridge looks at it may be right after all, but is counted."""
    reloads = Reloads(place, tmp_path)
    bridge = place.start("--config", reloads.path, "--control", reloads.control)
    place.run("connects", 20, 30)
    reloads.turn()  # memory that is got once
    before = place.held()
    with place.watched() as arrived:  # else the kernel drops what nobody wants
        peer = place.begin("lies", place.socket, random.getrandbits(63), RELOAD_SECONDS)
        reload_until(place, reloads, peer)
        print(f"{place.finish(peer, 60)['sessions']} sessions ended with a lie")
    place.run("connects", 1, 30)
    assert reloads.is_in_force()
    expect_nothing_left(place, before)
    statistics = place.namespace.statistics("vop0")["rx"]
    counted = bridge.counters()
    print(arrived, statistics, {name: value for name, value in counted.items() if name.startswith("rx")})
    assert statistics["packets"] <= counted["rx_frames"]
    assert bridge.stop() == 0


def test_killed_peers(place):
    """kill -9 in the middle of frames."""
    place.start()
    place.run("connects", 20, 30)
    before = place.held()
    for _ in range(40 if LONG else 5):
        peer = place.begin("frames", place.socket, random.getrandbits(63), 60)
        time.sleep(random.random() * 0.2)
        peer.kill()
        peer.communicate()
    place.run("connects", 1, 30)
    expect_nothing_left(place, before)


@pytest.mark.parametrize("then", ["exit", "recreate"])
def test_interface_is_deleted_meanwhile(place, then):
    """It ends with a reason, or goes on with a new one, whatever the peer does."""
    bridge = place.start("--on-tap-loss", then)
    peer = place.begin("frames", place.socket, random.getrandbits(63), 60)
    eventually(lambda: place.namespace.statistics("vop0")["rx"]["packets"] > 100, bridge.text, 10.0)
    before = place.namespace.link("vop0")["ifindex"]
    place.namespace.ip("link", "del", "vop0")
    if then == "exit":
        assert bridge.process.wait(5 * SLOW) == 1
        assert re.search("TAP vop0: it was deleted; ", bridge.text())
    else:
        def is_back():
            link = place.namespace.link("vop0")
            return (link and link["ifindex"] != before
                    and place.namespace.statistics("vop0")["rx"]["packets"] > 100)
        eventually(is_back, bridge.text, 10.0)
        assert peer.poll() is None, peer.stderr.read()
        assert bridge.stop() == 0


def test_steering_is_no_ones_but_its_own(place):
    """BPF objects go with the bridge."""
    bridge = place.start()
    if not any("bpf" in name for name in bridge.files()):
        pytest.skip("no steering program is loaded here")
    infos = [path.read_text() for path in pathlib.Path(f"/proc/{bridge.pid}/fdinfo").iterdir()]
    maps = {int(found) for info in infos for found in re.findall(r"map_id:\s+(\d+)", info)}
    assert maps
    place.run("connects", 5, 30)
    assert bridge.stop() == 0
    eventually(lambda: not maps & map_ids(), f"maps {maps} are gone", 5.0)


def map_ids():
    """Of this machine, by the kernel's own list."""
    done = subprocess.run(["/usr/sbin/bpftool", "-j", "map", "list"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"bpftool: {done.stderr.strip()}")
    return {int(found) for found in re.findall(r'"id":\s*(\d+)', done.stdout)}
