# SPDX-License-Identifier: BSD-3-Clause
"""The interface that vop-bridge opens or makes: its properties, its namespace, and what is left of it at the end."""
import os
import re
import signal
import subprocess
import time

import pytest

from lib.bridge import Bridge, eventually, run
from lib.traffic import ping


@pytest.fixture
def alone(namespaces, tmp_path):
    """Starts one listening bridge in a namespace, or from here with --netns."""
    namespace = namespaces("a")
    started = []

    def start(*words, inside=True, prefix=()):
        bridge = Bridge("--link", f"shm:{tmp_path}/link.sock", "--listen", "--tap", "vop0", *words,
                        namespace=namespace if inside else None, log=tmp_path / f"{len(started)}.log", prefix=prefix)
        started.append(bridge)

        def is_up_or_ended():
            link = namespace.link("vop0")
            return (link and "UP" in link["flags"]) or bridge.process.poll() is not None

        eventually(is_up_or_ended,
                   lambda: f"interface up: {bridge.text()}")
        eventually(lambda: os.path.exists(tmp_path / "link.sock") or bridge.process.poll() is not None, "the socket")
        assert bridge.process.poll() is None, bridge.text()
        return bridge

    start.namespace = namespace
    try:
        yield start
    finally:
        for bridge in started:
            if bridge.process.poll() is None:
                bridge.kill()


def test_properties(alone):
    alone("--mtu", 1400, "--mac", "02:00:00:00:00:aa", "--txqueuelen", 333, "--address", "10.1.2.3/24", "--address",
          "10.1.3.3/16", "--address", "fd01::5/64")
    link = alone.namespace.link("vop0")
    assert link["mtu"] == 1400
    assert link["address"] == "02:00:00:00:00:aa"
    assert link["txqlen"] == 333
    assert link["linkinfo"]["info_data"]["vnet_hdr"] is True
    assert link["linkinfo"]["info_data"]["multi_queue"] is (len(os.sched_getaffinity(0)) > 1)
    assert "UP" in link["flags"] and "LOWER_UP" not in link["flags"]  # no peer, no carrier
    text = alone.namespace.ip("address", "show", "dev", "vop0")
    for address in ("10.1.2.3/24", "10.1.3.3/16", "fd01::5/64"):
        assert f" {address} " in text
    assert "tentative" not in text.split("fd01::5")[1].split("\n")[0]


def test_made_up_address_is_the_same_again(alone):
    """So that the neighbour tables of the other side stay right when this one is started again."""
    addresses = []
    for _ in range(2):
        bridge = alone()
        addresses.append(alone.namespace.link("vop0")["address"])
        assert bridge.stop() == 0
    assert addresses[0] == addresses[1] and int(addresses[0][:2], 16) & 3 == 2
    other = Bridge("--link", "shm:/tmp/vop-test-other.sock", "--tap", "vop0", namespace=alone.namespace,
                   log="/dev/null")
    try:
        eventually(lambda: alone.namespace.link("vop0"), "interface")
        eventually(lambda: "UP" in alone.namespace.link("vop0")["flags"], "up")
        assert alone.namespace.link("vop0")["address"] != addresses[0]
    finally:
        other.kill()


def test_silent_on_success(alone):
    bridge = alone()
    assert bridge.stop() == 0
    assert bridge.text() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_removes_all(alone, tmp_path, number):
    bridge = alone()
    bridge.signal(number)
    assert bridge.process.wait(2) == 0
    assert alone.namespace.link("vop0") is None
    assert not os.path.exists(tmp_path / "link.sock")


def test_signals_that_end_nothing(alone):
    """SIGHUP under nohup, and signals that others take for a request."""
    bridge = alone(prefix=["nohup"])
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGXFSZ):
        bridge.signal(number)
    time.sleep(0.1)
    assert bridge.process.poll() is None
    assert bridge.stop() == 0


def test_full_log_file(alone, tmp_path):
    """A log that may not grow any more is no reason to end."""
    bridge = alone(prefix=["prlimit", "--fsize=100", "--"])
    before = len(bridge.text())
    for _ in range(3):
        bridge.signal(signal.SIGUSR1)
        time.sleep(0.1)
    assert before < len(bridge.text()) == 100
    assert bridge.stop() == 0
    assert not os.path.exists(tmp_path / "link.sock")


def test_standard_streams_closed(alone):
    """They become /dev/null, so that neither the TAP nor the link gets what is meant for them."""
    bridge = alone("--verbose", prefix=["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-'])
    for number in range(3):
        assert os.path.samefile(f"/proc/{bridge.pid}/fd/{number}", "/dev/null")
    bridge.signal(signal.SIGUSR1)
    assert bridge.stop() == 0
    assert bridge.text() == ""


def test_kill_removes_interface(alone):
    alone().kill()
    assert alone.namespace.link("vop0") is None


def test_persist(alone):
    """The interface stays with its properties, and the next bridge opens it and sets what outlives a user anew."""
    bridge = alone("--persist", "--mac", "02:00:00:00:00:ab", "--offload", "none")
    index = alone.namespace.link("vop0")["ifindex"]
    assert bridge.stop() == 0
    link = alone.namespace.link("vop0")
    assert link["ifindex"] == index and link["address"] == "02:00:00:00:00:ab"
    assert "tcp-segmentation-offload: off" in alone.namespace.run("ethtool", "-k", "vop0")
    bridge = alone()
    assert alone.namespace.link("vop0")["ifindex"] == index
    assert "tcp-segmentation-offload: on" in alone.namespace.run("ethtool", "-k", "vop0")
    assert bridge.stop() == 0
    assert alone.namespace.link("vop0")["ifindex"] == index  # what was there before, stays


def test_made_by_administrator(alone):
    """An interface of `ip tuntap`, without a virtio header even, is used and left."""
    alone.namespace.ip("tuntap", "add", "dev", "vop0", "mode", "tap")
    bridge = alone("--address", "10.1.2.3/24")
    assert alone.namespace.link("vop0")["linkinfo"]["info_data"]["vnet_hdr"] is True
    bridge.kill()
    assert alone.namespace.link("vop0") is not None


def test_owner_needs_no_capability(namespaces, tmp_path):
    """Who owns a TAP that is configured already needs no CAP_NET_ADMIN; its carrier follows the peer all the same."""
    a, b = namespaces("a", "b")
    words = ["--link", f"shm:{tmp_path}/link.sock", "--tap", "vop0"]
    a.ip("tuntap", "add", "dev", "vop0", "mode", "tap", "user", os.geteuid())
    a.ip("address", "add", "10.99.0.1/24", "dev", "vop0")
    a.ip("link", "set", "vop0", "up")
    bridges = [Bridge(*words, "--listen", namespace=a, log=tmp_path / "a.log",
                      prefix=["setpriv", "--bounding-set", "-net_admin"])]
    try:
        eventually((tmp_path / "link.sock").exists, bridges[0].text)
        status = open(f"/proc/{bridges[0].pid}/status").read()
        assert not int(status.split("CapEff:")[1].split()[0], 16) & 1 << 12
        bridges.append(Bridge(*words, "--address", "10.99.0.2/24", namespace=b, log=tmp_path / "b.log"))
        eventually(lambda: a.has_carrier("vop0") and b.has_carrier("vop0"), lambda: [x.text() for x in bridges])
        eventually(lambda: ping(a, "10.99.0.2", count=1) == 0, "ping", 5.0)
    finally:
        for bridge in bridges:
            bridge.kill()


def test_owner_may_name_what_is_there(namespaces, tmp_path):
    """Options that ask for what the interface has already need no capability; others are refused."""
    namespace = namespaces("a")
    namespace.ip("link", "add", "br0", "type", "bridge")
    namespace.ip("tuntap", "add", "dev", "vop0", "mode", "tap", "user", os.geteuid())
    namespace.ip("link", "set", "vop0", "address", "02:00:00:00:00:ac", "mtu", 1400, "txqueuelen", 333, "master", "br0",
                 "up")
    namespace.ip("address", "add", "10.99.0.1/24", "dev", "vop0")
    namespace.ip("address", "add", "fd99::1/64", "dev", "vop0")
    words = ["--link", f"shm:{tmp_path}/link.sock", "--listen", "--tap", "vop0"]
    prefix = ["setpriv", "--bounding-set", "-net_admin,-sys_admin"]
    bridge = Bridge(*words, "--netns", namespace.name, "--mac", "02:00:00:00:00:ac", "--mtu", 1400, "--txqueuelen", 333,
                    "--master", "br0", "--address", "10.99.0.1/24", "--address", "fd99::1/64", "--persist",
                    namespace=namespace, log=tmp_path / "log", prefix=prefix)
    try:
        eventually(lambda: (tmp_path / "link.sock").exists() or bridge.process.poll() is not None, bridge.text)
        assert bridge.process.poll() is None, bridge.text()
    finally:
        bridge.stop()
    for address in ("10.99.0.1/16", "10.99.0.3/24", "fd99::1/48"):
        other = Bridge(*words, "--address", address, namespace=namespace, log=tmp_path / "other", prefix=prefix)
        assert other.process.wait(5) == 1
        assert f"--address {address}: " in other.text()


def test_failed_start_leaves_nothing(alone, tmp_path):
    status, _, _ = run("--link", f"shm:{tmp_path}/no/such.sock", "--listen", "--tap", "vop0", "--persist", "--netns",
                       alone.namespace.name)
    assert status == 1
    assert alone.namespace.link("vop0") is None


@pytest.mark.parametrize("how", ["name", "path", "pid"])
def test_netns(alone, tmp_path, how):
    """The interface is in the namespace; the link's socket, and the process, stay here."""
    namespace = alone.namespace
    inside = subprocess.Popen(["ip", "netns", "exec", namespace.name, "sleep", "60"])
    try:
        eventually(lambda: os.stat(f"/proc/{inside.pid}/ns/net").st_ino == os.stat(namespace.path).st_ino, "inside")
        where = {"name": namespace.name, "path": namespace.path, "pid": inside.pid}[how]
        bridge = alone("--netns", where, "--address", "10.1.2.3/24", inside=False)
    finally:
        inside.kill()
        inside.wait()
    assert "10.1.2.3/24" in namespace.ip("address", "show", "dev", "vop0")
    assert not os.path.exists("/sys/class/net/vop0")
    assert os.stat(f"/proc/{bridge.pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
    assert bridge.stop() == 0
    assert namespace.link("vop0") is None


@pytest.mark.parametrize("how", ["name", "path", "link"])
@pytest.mark.parametrize("is_replaced", [False, True], ids=["deleted", "replaced"])
def test_deleted_namespace_ends_the_bridge(alone, tmp_path, how, is_replaced):
    """Else it would live on without a name, and its addresses would go on to answer the peer."""
    namespace = alone.namespace
    (tmp_path / "link").symlink_to(namespace.path)
    where = {"name": namespace.name, "path": namespace.path, "link": tmp_path / "link"}[how]
    bridge = alone("--netns", where, "--persist", inside=False)
    subprocess.run(["ip", "netns", "add", f"{namespace.name}-other"], check=True)  # another name is not ours
    subprocess.run(["ip", "netns", "del", f"{namespace.name}-other"], check=True)
    time.sleep(0.1)
    assert bridge.process.poll() is None, bridge.text()
    subprocess.run(["ip", "netns", "del", namespace.name], check=True)
    if is_replaced:
        subprocess.run(["ip", "netns", "add", namespace.name], check=True)
    assert bridge.process.wait(3) == 1
    assert re.fullmatch(rf"vop-bridge: --netns .*{namespace.name}: it was deleted; .*\n", bridge.text())
    assert not os.path.exists(tmp_path / "link.sock")


def test_deleted_namespace_is_kept(pair):
    pair.start_side("a")
    kept = pair.start_side("b", "--on-netns-loss", "keep", inside=False)
    pair.wait_up()
    subprocess.run(["ip", "netns", "del", pair.namespace["b"].name], check=True)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    assert kept.stop() == 0
    pair.bridge["a"].wait_line("link down")


def test_two_from_one_namespace(namespaces, tmp_path):
    """Both bridges run here and reach into two namespaces."""
    a, b = namespaces("a", "b")
    bridges = [Bridge("--link", f"shm:{tmp_path}/link.sock", *more, "--tap", "vop0", "--netns", namespace.name,
                      log=tmp_path / f"{namespace.name}.log")
               for namespace, more in ((a, ["--address", "10.99.0.1/24", "--listen"]),
                                       (b, ["--address", "10.99.0.2/24"]))]
    try:
        eventually(lambda: a.has_carrier("vop0") and b.has_carrier("vop0"), lambda: [x.text() for x in bridges])
        assert ping(a, "10.99.0.2") == 0
    finally:
        for bridge in bridges:
            bridge.kill()


def test_master(pair):
    """The interface is a port of a bridge, and traffic goes through that."""
    for side, number in (("a", 1), ("b", 2)):
        namespace = pair.namespace[side]
        namespace.ip("link", "add", "br0", "type", "bridge")
        namespace.ip("address", "add", f"10.88.0.{number}/24", "dev", "br0")
        namespace.ip("link", "set", "br0", "up")
    pair.start(both=["--master", "br0"])
    assert pair.namespace["a"].link("vop0")["master"] == "br0"
    for namespace in pair.namespace.values():  # whose carrier follows that of its port, a moment later
        eventually(lambda: namespace.has_carrier("br0"), "carrier of br0")
    assert ping(pair.namespace["a"], "10.88.0.2") == 0


def test_deleted_interface_ends_the_bridge(pair):
    """With and without a peer: a clear line and status 1."""
    a, b = pair.start()
    pair.namespace["a"].ip("link", "del", "vop0")
    assert a.process.wait(3) == 1
    assert "vop0: it was deleted" in a.text()
    b.wait_line("link down")
    pair.namespace["b"].ip("link", "del", "vop0")
    assert b.process.wait(3) == 1
    assert "vop0: it was deleted" in b.text()
