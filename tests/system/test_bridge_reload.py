# SPDX-License-Identifier: BSD-3-Clause
"""Reloading the configuration of a running vop-bridge: what changes, what does not, and that no frame is lost."""
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from lib.bridge import BIN, SLOW, Bridge, eventually, render, settings_of
from lib.traffic import SO_RCVBUFFORCE, ping

RATE = 10000  # datagrams a second, each way
RELOADS = 6


class Configured:
    """Side a of a pair, with a configuration file."""

    def __init__(self, pair):
        self.pair = pair
        self.namespace = pair.namespace["a"]
        self.path = pair.directory / "a.conf"
        self.control = pair.directory / "control"
        self.settings = {"link": f"shm:{pair.socket}", "listen": True, "tap": "vop0", "control": str(self.control),
                         "address": ["10.99.0.1/24", "fd99::1/64"]}

    def write(self, **changes):
        """Underscores stand for dashes; None takes a setting out."""
        self.settings.update(settings_of(changes))
        self.settings = {name: value for name, value in self.settings.items() if value is not None}
        self.path.write_text(render(self.settings))

    def start(self, *words, prefix=()):
        self.bridge = Bridge("--config", self.path, *words, namespace=self.namespace, prefix=prefix,
                             log=self.pair.directory / "a.log")
        self.pair.bridge["a"] = self.bridge
        self.pair.start_side("b")
        self.pair.wait_up(15)

    def vop(self, *words):
        done = subprocess.run([BIN / "vop", "bridge", *words, "--control", self.control], text=True,
                              capture_output=True, timeout=60 * SLOW)
        return done.returncode, done.stdout, done.stderr

    def reload(self):
        """What changed, what needs a restart, what failed: sets of names."""
        status, out, err = self.vop("reload", "--json")
        assert status == 0, err
        answer, = json.loads(out)
        return tuple(set(answer[name]) for name in ("changed", "restart", "failed"))

    def addresses(self):
        found = json.loads(self.namespace.ip("-j", "address", "show", "dev", "vop0"))[0]["addr_info"]
        return {f"{entry['local']}/{entry['prefixlen']}" for entry in found if entry["scope"] == "global"}

    def routes(self):
        found = json.loads(self.namespace.ip("-j", "route", "show", "dev", "vop0"))
        return {(entry["dst"], entry.get("gateway")) for entry in found if entry.get("protocol") != "kernel"}


@pytest.fixture
def side(pair):
    side = Configured(pair)
    side.write()
    yield side
    for bridge in pair.bridge.values():
        if bridge.process.poll() is None:
            bridge.stop()


def test_interface(side):
    side.write(mtu=1400, altname=["one", "two"], route=["10.1.0.0/16 via 10.99.0.2", "10.2.0.0/16"], txqueuelen=600)
    side.start()
    side.namespace.ip("link", "add", "br0", "type", "bridge")
    side.namespace.ip("address", "add", "10.97.0.1/24", "dev", "vop0")  # by somebody else: it stays
    side.write(mtu=1300, altname=["two", "three"], txqueuelen=700, mac="02:00:00:00:00:77",
               address=["10.98.0.1/24", "10.99.0.3/24", "fd99:0::1/64"],  # the same as before, otherwise written
               route=["10.1.0.0/16 via 10.99.0.4", "10.3.0.0/16"])
    assert side.reload() == ({"mtu", "altname", "txqueuelen", "mac", "address", "route"}, set(), set())
    link = side.namespace.link("vop0")
    assert (link["mtu"], link["txqlen"], link["address"]) == (1300, 700, "02:00:00:00:00:77")
    assert set(link["altnames"]) == {"two", "three"}
    assert side.addresses() == {"10.97.0.1/24", "10.98.0.1/24", "10.99.0.3/24", "fd99::1/64"}
    assert side.routes() == {("10.1.0.0/16", "10.99.0.4"), ("10.3.0.0/16", None)}
    eventually(lambda: side.pair.namespace["b"].link("vop0")["mtu"] == 1300, side.pair.logs)  # which connects
    side.write(master="br0", route=None, altname=None, mtu=None)
    assert side.reload() == ({"master", "route", "altname", "mtu"}, set(), set())
    link = side.namespace.link("vop0")
    assert link["master"] == "br0" and "altnames" not in link and link["mtu"] == 1300
    side.write(master=None)
    assert side.reload() == ({"master"}, set(), set())
    assert "master" not in side.namespace.link("vop0") and side.routes() == set()
    assert side.reload() == (set(), set(), set())
    assert ping(side.pair.namespace["b"], "10.99.0.3") == 0


def test_first_address_of_a_network(side):
    """With it the kernel takes the others of the network, and their routes, away."""
    side.write(address=["10.99.0.1/24", "10.99.0.3/24"], route=["10.1.0.0/16 via 10.99.0.2"])
    side.start()
    side.write(address=["10.99.0.3/24"])
    assert side.reload() == ({"address"}, set(), set())
    assert side.addresses() == {"10.99.0.3/24"} and side.routes() == {("10.1.0.0/16", "10.99.0.2")}


def test_service(side):
    side.start("--queues", "2")
    path = side.control / f"vop0.{side.bridge.pid}.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    side.write(control_mode="0660", control_uid="nobody", log_level="debug", log_format="journald", drain_ms=5,
               on_peer_loss="hold", on_tap_loss="recreate", persist=True, carrier="on", spin_us=0, affinity="0",
               capture_dir=str(side.pair.directory))
    assert side.reload() == ({"control-mode", "control-uid", "log-level", "log-format", "drain-ms", "on-peer-loss",
                              "on-tap-loss", "persist", "carrier", "spin-us", "affinity", "capture-dir"}, set(), set())
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    eventually(lambda: "<5>vop-bridge: reload: changed: " in side.bridge.text(), side.bridge.text)
    tasks = [f"/proc/{side.bridge.pid}/task/{task}" for task in os.listdir(f"/proc/{side.bridge.pid}/task")]
    threads = {open(f"{task}/comm").read().strip(): int(task.rpartition("/")[2]) for task in tasks}
    assert os.sched_getaffinity(threads["vop-queue-0"]) == {0}
    assert side.namespace.link("vop0")["linkinfo"]["info_data"]["persist"]
    if os.geteuid() == 0:  # a third user can open the socket, and is not answered
        side.write(control_mode="0666")
        side.reload()
        for directory in (side.control, *side.control.parents[:3]):
            directory.chmod(0o755)
        done = subprocess.run(["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups", BIN / "vop", "bridge",
                               "status", "--control", side.control], text=True, capture_output=True)
        assert done.returncode == 1 and re.search("not served|Broken pipe", done.stderr), done.stderr
    side.write(affinity=None, persist=None)
    assert side.reload() == ({"affinity", "persist"}, set(), set())
    assert os.sched_getaffinity(threads["vop-queue-0"]) == os.sched_getaffinity(0)
    assert not side.namespace.link("vop0")["linkinfo"]["info_data"]["persist"]
    side.pair.bridge["b"].stop()
    eventually(lambda: "link down" in side.bridge.text(), side.bridge.text)
    assert side.namespace.has_carrier("vop0")
    side.write(carrier="follow")
    assert side.reload() == ({"carrier"}, set(), set())
    assert not side.namespace.has_carrier("vop0")


def test_needs_a_restart(side):
    """It is said each time, and nothing of it is in force."""
    side.start()
    side.write(slots=2048, peer_uid=0, steer="kernel", queues=16, offload="csum", mtu=1400)
    needed = {"slots", "peer-uid", "steer", "queues", "offload"}
    assert side.reload() == ({"mtu"}, needed, set())
    assert side.reload() == (set(), needed, set())
    assert "start the bridge again for these, which are as before: peer-uid, slots" in side.bridge.text()
    status, out, _ = side.vop("reload")
    assert status == 0 and "needs a restart: peer-uid, slots, offload, queues, steer" in out


def test_queues_in_use(side):
    side.write(queues=2)
    side.start()
    side.write(queues=1)
    assert side.reload() == ({"queues"}, set(), set())
    assert json.loads(side.vop("status", "vop0", "--json")[1])[0]["queues"] == 1


def test_refused_as_a_whole(side):
    side.start()
    side.write(mtu=1400, slots=3, mac="x")
    before = side.namespace.link("vop0")
    status, out, err = side.vop("reload")
    assert (status, out) == (1, "")
    assert f"{side.path}:7: slots 3: not a power of two; take 256, 512, 1024, .... Mistakes: 2; all is as before" in err
    assert side.namespace.link("vop0") == before
    side.path.unlink()
    assert "No such file" in side.vop("reload")[2]
    side.write(mtu=1400, slots=None, mac=None)
    assert side.reload() == ({"mtu"}, set(), set())


def test_refused_by_the_kernel(side):
    """One of them, which is named, and tried again the next time; the others are in force."""
    side.start()
    side.write(master="br9", mtu=1400)
    assert side.reload() == ({"mtu"}, set(), {"master"})
    text = side.bridge.text()
    assert "--master br9: " in text and "as before, since it could not be done: master" in text
    side.namespace.ip("link", "add", "br9", "type", "bridge")
    assert side.reload() == ({"master"}, set(), set())


def test_command_line_stays(side):
    side.start("--mtu", "1350")
    side.write(mtu=1400)
    assert side.reload() == (set(), set(), set())
    assert side.namespace.link("vop0")["mtu"] == 1350


def test_signal(side):
    side.start()
    side.write(mtu=1400)
    side.bridge.signal(signal.SIGHUP)
    side.bridge.wait_line("reload: changed: mtu")
    assert side.namespace.link("vop0")["mtu"] == 1400
    side.bridge.signal(signal.SIGHUP)
    side.bridge.wait_line("reload: all is as before")
    side.write(mtu=14)
    side.bridge.signal(signal.SIGHUP)
    side.bridge.wait_line("reload: mistakes: 1; all is as before")
    side.pair.bridge["b"].signal(signal.SIGHUP)  # which has none
    side.pair.bridge["b"].wait_line("there is nothing to reload: it was started without --config")
    assert side.pair.bridge["b"].process.poll() is None and side.pair.is_up()


def test_nohup(side):
    side.start(prefix=["nohup"])
    side.write(mtu=1400)
    side.bridge.signal(signal.SIGHUP)
    time.sleep(0.1)
    assert side.bridge.process.poll() is None and side.namespace.link("vop0")["mtu"] != 1400
    assert side.reload() == ({"mtu"}, set(), set())  # that it can


class Stream:
    """Numbered datagrams from one namespace to the other, in bursts of a hundredth of a second: RATE each second, or
    fewer where the machine is slow, for a longer burst might overflow the queues of kernels."""

    def __init__(self, sender, receiver, address):
        self.server = receiver.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        self.server.bind((address, 0))
        self.server.settimeout(0.2)
        self.client = sender.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.connect(self.server.getsockname())
        self.is_over, self.is_sent = threading.Event(), threading.Event()
        self.sent = 0
        self.seen = set()
        self.threads = [threading.Thread(target=target) for target in (self.receive, self.send)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.is_over.is_set():
            for number in range(self.sent, self.sent + RATE // 100):
                self.client.send(struct.pack("!I", number))
                self.sent = number + 1
            time.sleep(0.01)

    def receive(self):
        """Until all are there, or nothing comes any more."""
        quiet = 0
        while (not self.is_sent.is_set() or len(self.seen) < self.sent) and quiet < 25 * SLOW:
            try:
                self.seen.add(struct.unpack("!I", self.server.recv(64))[0])
                quiet = 0
            except TimeoutError:
                quiet += 1

    def missing(self):
        """Ends it; how many did not arrive, and the first of them."""
        self.is_over.set()
        self.threads[1].join()
        self.is_sent.set()
        self.threads[0].join()
        self.server.close()
        self.client.close()
        lost = sorted(set(range(self.sent)) - self.seen)
        return len(lost), lost[:5]


def test_no_frame_is_lost(side):
    """While all changes that can change while frames flow."""
    side.write(txqueuelen=20000, mtu=1500)
    side.start()
    side.pair.namespace["b"].ip("link", "set", "vop0", "txqueuelen", "20000")
    assert ping(side.pair.namespace["b"], "10.99.0.1") == 0
    streams = [Stream(side.pair.namespace["b"], side.namespace, "10.99.0.1"),
               Stream(side.namespace, side.pair.namespace["b"], "10.99.0.2")]
    try:
        for i in range(RELOADS):
            time.sleep(0.2)
            side.write(mtu=1300 + i, altname=[f"n{i}"], spin_us=i, affinity=f"{i % 2}",
                       address=["10.99.0.1/24", "fd99::1/64", f"10.{i}.0.1/24"], route=[f"10.{i}.1.0/24"],
                       log_level=("info", "debug")[i % 2], drain_ms=i, on_peer_loss=("hold", "drop")[i % 2])
            changed, restart, failed = side.reload()
            assert {"mtu", "altname", "spin-us", "address", "route"} <= changed, changed
            assert (restart, failed) == (set(), set())
        time.sleep(0.2)
    finally:
        missing = [stream.missing() for stream in streams]
    assert missing == [(0, []), (0, [])], side.pair.logs()
