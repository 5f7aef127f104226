# SPDX-License-Identifier: BSD-3-Clause
"""The interface that vop-bridge opens or makes: its properties, its namespace, and what is left of it at the end."""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import pytest

from lib.bridge import Bridge, eventually, pause, run
from lib.traffic import Flood, ping, tcp_transfer

TUNSETIFF = 0x400454ca
IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 2, 0x100, 0x1000, 0x4000


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
    namespace.ip("route", "add", "10.1.0.0/16", "via", "10.99.0.2", "dev", "vop0")
    namespace.ip("link", "property", "add", "dev", "vop0", "altname", "joes")
    words = ["--link", f"shm:{tmp_path}/link.sock", "--listen", "--tap", "vop0"]
    prefix = ["setpriv", "--bounding-set", "-net_admin,-sys_admin"]
    bridge = Bridge(*words, "--netns", namespace.name, "--mac", "02:00:00:00:00:ac", "--mtu", 1400, "--txqueuelen", 333,
                    "--master", "br0", "--address", "10.99.0.1/24", "--address", "fd99::1/64", "--persist",
                    "--route", "10.1.0.0/16 via 10.99.0.2", "--altname", "joes",
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
    for option, value in (("--route", "10.1.0.0/16 via 10.99.0.3"), ("--altname", "janes")):
        other = Bridge(*words, option, value, namespace=namespace, log=tmp_path / "other", prefix=prefix)
        assert other.process.wait(5) == 1
        assert re.search(f"{option} {value}: .*CAP_NET_ADMIN", other.text()), other.text()


def test_failed_start_leaves_nothing(alone, tmp_path):
    status, _, _ = run("--link", f"shm:{tmp_path}/no/such.sock", "--listen", "--tap", "vop0", "--persist", "--netns",
                       alone.namespace.name)
    assert status == 1
    assert alone.namespace.link("vop0") is None


@pytest.mark.parametrize("how", ["name", "path", "pid", "descriptor"])
def test_netns(alone, tmp_path, how):
    """The interface is in the namespace; the link's socket, and the process, stay here."""
    namespace = alone.namespace
    inside = subprocess.Popen(["ip", "netns", "exec", namespace.name, "sleep", "60"])
    try:
        eventually(lambda: os.stat(f"/proc/{inside.pid}/ns/net").st_ino == os.stat(namespace.path).st_ino, "inside")
        where = {"name": namespace.name, "path": namespace.path, "pid": inside.pid, "descriptor": "fd:7"}[how]
        prefix = ["sh", "-c", f'exec "$0" "$@" 7<{namespace.path}'] if how == "descriptor" else []
        bridge = alone("--netns", where, "--address", "10.1.2.3/24", inside=False, prefix=prefix)
    finally:
        inside.kill()
        inside.wait()
    assert "10.1.2.3/24" in namespace.ip("address", "show", "dev", "vop0")
    assert not os.path.exists("/sys/class/net/vop0")
    assert os.stat(f"/proc/{bridge.pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino
    assert bridge.stop() == 0
    assert namespace.link("vop0") is None


@pytest.mark.parametrize("where, reason", [("fd:77", "no such descriptor is open"), ("fd:x", "no such descriptor"),
                                           ("fd:0", "not a network namespace")])
def test_netns_of_a_wrong_descriptor(root, where, reason):
    status, _, err = run("--link", "shm:/tmp/vop-test-unused.sock", "--tap", "vop0", "--netns", where)
    assert status == 1 and f"--netns {where}: " in err and reason in err


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
    assert "carrier" not in a.text() + b.text()  # there is none any more


# ---- Routes and names ----

def test_routes_and_altnames(alone):
    namespace = alone.namespace
    routes = ["10.50.0.0/16 via 10.1.2.9", "default via 10.1.2.9", "10.51.0.0/16", "fd50::/48 via fd01::9",
              "default via fd01::9"]
    words = [word for route in routes for word in ("--route", route)]
    bridge = alone("--address", "10.1.2.3/24", "--address", "fd01::5/64", *words, "--altname", "to-the-board",
                   "--altname", "x" * 100)

    def there():
        lines = namespace.ip("-4", "route") + namespace.ip("-6", "route")
        return [re.search(rf"^{re.escape(route)} dev vop0", lines, re.M) is not None for route in routes]

    assert all(there())
    assert namespace.link("to-the-board")["ifname"] == namespace.link("x" * 100)["ifname"] == "vop0"
    interface = bridge.status()["interface"]
    assert interface["altnames"] == ["to-the-board", "x" * 100] and interface["state"] == "up"
    namespace.ip("link", "set", "vop0", "down")
    eventually(lambda: bridge.status()["interface"]["state"] == "down", "down")
    assert not any(there())
    namespace.ip("link", "set", "vop0", "up")
    eventually(lambda: all(there()), lambda: f"routes again: {there()} {bridge.text()}")
    assert bridge.stop() == 0


@pytest.mark.parametrize("words, line", [
    (["--route", "10.5.0.0/16 via 10.7.0.1"], r"--route 10.5.0.0/16 via 10.7.0.1: .*reaches this gateway; .*--address"),
    (["--route", "10.6.0.0/16"], r"--route 10.6.0.0/16: there is a route to it already"),
    (["--altname", "lo"], r"--altname lo: another interface has this name")])
def test_what_cannot_be(namespaces, words, line):
    namespace = namespaces("a")
    namespace.ip("route", "add", "10.6.0.0/16", "dev", "lo")
    status, _, err = run("--link", "shm:/tmp/vop-test-unused.sock", "--tap", "vop0", "--netns", namespace.name, *words)
    assert status == 1 and re.search(line, err), err
    assert namespace.link("vop0") is None


def test_advice_about_the_queue(alone):
    bridge = alone("--log-level", "info", "--offload", "none")
    assert re.search(r"TAP vop0: its queue of 1000 frames is short .*--txqueuelen \d{4} ", bridge.text())
    bridge.kill()
    for words in ((), ("--offload", "none", "--txqueuelen", "10000")):
        bridge = alone("--log-level", "info", *words)
        assert "is short" not in bridge.text()
        bridge.kill()


# ---- Descriptors of a TAP ----

def open_queues(namespace, count, flags=IFF_TAP | IFF_NO_PI | IFF_VNET_HDR):
    """As a program would that passes them on. The interface goes with the last of them."""
    fds = []
    with namespace.inside():
        for _ in range(count):
            fds.append(os.open("/dev/net/tun", os.O_RDWR))
            more = IFF_MULTI_QUEUE if count > 1 else 0
            fcntl.ioctl(fds[-1], TUNSETIFF, struct.pack("16sH22x", b"vop0", flags | more))
    return fds


@pytest.fixture
def place_of_nobody():
    directory = tempfile.mkdtemp(prefix="vop-test-")
    os.chown(directory, 65534, 65534)
    yield directory
    shutil.rmtree(directory)


@pytest.mark.parametrize("count, flags", [
    (1, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), (2, IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), (1, IFF_TAP | IFF_NO_PI)],
    ids=["one", "two", "bare"])
def test_descriptors_without_privilege(namespaces, tmp_path, as_nobody, place_of_nobody, count, flags):
    """Nobody, who owns nothing and has no capability, carries frames of a TAP that somebody else has opened."""
    a, b = namespaces("a", "b")
    link = f"shm:{place_of_nobody}/link.sock"
    fds = open_queues(a, count, flags)
    bridges = []
    try:
        a.ip("address", "add", "10.99.0.1/24", "dev", "vop0")
        a.ip("link", "set", "vop0", "up")
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all"]
        bridges.append(Bridge("--link", link, "--listen", "--socket-mode", "0666", "--tap-fd", ",".join(map(str, fds)),
                              namespace=a, log=tmp_path / "a.log", prefix=nobody, pass_fds=fds))
        for session in range(1, 3):  # its broker has no more rights than it has, and finds the next peer all the same
            bridges.append(Bridge("--link", link, "--tap", "vop0", "--address", "10.99.0.2/24", namespace=b,
                                  log=tmp_path / "b.log"))
            bridges[0].wait_line("link up", session, 15.0)
            eventually(lambda: a.has_carrier("vop0") and b.has_carrier("vop0"), lambda: [x.text() for x in bridges])
            assert ping(a, "10.99.0.2") == 0
            if session == 1:
                bridges.pop().kill()
                bridges[0].wait_line("link down")
        status = pathlib.Path(f"/proc/{bridges[0].pid}/status").read_text()
        assert bridges[0].opener() != bridges[0].pid and re.search(r"^NoNewPrivs:\t1\nSeccomp:\t2$", status, re.M)
        tcp_transfer(a, b, "10.99.0.2", 1 << 20)
        tcp_transfer(b, a, "10.99.0.1", 1 << 20)
        assert ("without IFF_VNET_HDR" in bridges[0].text()) is not bool(flags & IFF_VNET_HDR)
        assert bridges[0].stop() == 0
        assert a.link("vop0") is not None  # we have it open, too
    finally:
        for bridge in bridges:
            bridge.kill()
        for fd in fds:
            os.close(fd)


def test_descriptors_find_their_namespace(namespaces, tmp_path):
    """Whoever may enter it needs no --netns."""
    namespace = namespaces("a")
    fds = open_queues(namespace, 1)
    bridge = Bridge("--link", f"shm:{tmp_path}/link.sock", "--listen", "--tap-fd", fds[0], "--mtu", 1400, "--address",
                    "10.1.2.3/24", log=tmp_path / "log", pass_fds=fds)
    try:
        eventually(lambda: "UP" in namespace.link("vop0")["flags"], bridge.text)
        assert namespace.link("vop0")["mtu"] == 1400
        assert bridge.status()["interface"]["name"] == "vop0"
        assert bridge.stop() == 0
    finally:
        bridge.kill()
        os.close(fds[0])


@pytest.mark.parametrize("flags, words, line", [
    (IFF_TAP, [], "has a protocol header"),
    (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, ["--tap", "vop7"], "its interface is vop0, not vop7"),
    (IFF_TAP | IFF_NO_PI, ["--offload", "csum"], "no virtio header before its frames")])
def test_descriptors_that_will_not_do(namespaces, flags, words, line):
    fds = open_queues(namespaces("a"), 1, flags)
    status, _, err = run("--link", "shm:/tmp/vop-test-unused.sock", "--tap-fd", fds[0], *words, pass_fds=fds)
    os.close(fds[0])
    assert status == 1 and line in err, err


def test_other_queues_of_the_same(namespaces):
    """They would get a part of the frames."""
    fds = open_queues(namespaces("a"), 2)
    status, _, err = run("--link", "shm:/tmp/vop-test-unused.sock", "--tap-fd", fds[0], pass_fds=fds)
    for fd in fds:
        os.close(fd)
    assert status == 1 and "another program has 1 more queues of it" in err, err


# ---- What others do to it ----

def rename(namespace, name, new):
    namespace.ip("link", "set", name, "down")
    namespace.ip("link", "set", name, "name", new)
    namespace.ip("link", "set", new, "up")


def test_rename(pair):
    """The log, the status and the control socket have the new name; later changes are about the same interface."""
    a, b = pair.start()
    namespace = pair.namespace["a"]
    sockets = os.listdir("/run/vop-bridge")
    assert f"vop0.{a.pid}.sock" in sockets
    rename(namespace, "vop0", "uplink")
    a.wait_line("TAP vop0: it is called uplink now")
    eventually(lambda: namespace.has_carrier("uplink"), a.text)
    assert a.status()["interface"]["name"] == "uplink"
    sockets = os.listdir("/run/vop-bridge")
    assert f"uplink.{a.pid}.sock" in sockets and f"vop0.{a.pid}.sock" not in sockets
    namespace.ip("address", "replace", "10.99.0.1/24", "dev", "uplink")
    eventually(lambda: ping(namespace, "10.99.0.2", count=1) == 0, "ping", 5.0)
    namespace.ip("link", "set", "uplink", "mtu", 1400)
    eventually(lambda: pair.namespace["b"].link("vop0")["mtu"] == 1400, "the peer follows")
    namespace.ip("link", "del", "uplink")
    assert a.process.wait(5) == 1
    assert "TAP uplink: it was deleted" in a.text()
    assert f"uplink.{a.pid}.sock" not in os.listdir("/run/vop-bridge")


def test_moved_to_another_namespace(pair, namespaces):
    """The bridge goes on with it there, under the name that it has there."""
    a = pair.start_side("a", inside=False)
    pair.start_side("b")
    pair.wait_up()
    there = namespaces("c")
    pair.namespace["a"].ip("link", "set", "vop0", "netns", there.name, "name", "moved")
    a.wait_line("TAP moved: somebody has moved it to another network namespace")
    eventually(lambda: not pair.namespace["b"].has_carrier("vop0"), "it is down, and so is the peer's carrier")
    there.ip("address", "add", "10.99.0.1/24", "dev", "moved")
    there.ip("link", "set", "moved", "up", "mtu", 1400)
    eventually(lambda: there.has_carrier("moved"), pair.logs)
    eventually(lambda: ping(there, "10.99.0.2", count=1) == 0, "ping", 5.0)
    eventually(lambda: pair.namespace["b"].link("vop0")["mtu"] == 1400, "the peer follows")
    assert a.status()["interface"]["name"] == "moved"
    assert a.stop() == 0
    assert there.link("moved") is None


def test_more_changes_than_can_be_heard(pair):
    """While the bridge stands still the kernel has to leave messages out: then it looks, and sees how things are."""
    a, _ = pair.start()
    namespace = pair.namespace["a"]
    pause(a.pid)
    changes = "\n".join(f"link set vop0 mtu {1000 + i % 500}" for i in range(1000)) + "\nlink set vop0 mtu 1357\n"
    subprocess.run(["ip", "-n", namespace.name, "-batch", "-"], input=changes, text=True, check=True)
    a.signal(signal.SIGCONT)
    eventually(lambda: pair.namespace["b"].link("vop0")["mtu"] == 1357, pair.logs, 5.0)
    assert ping(namespace, "10.99.0.2") == 0
    namespace.ip("link", "set", "vop0", "mtu", 1400)
    eventually(lambda: pair.namespace["b"].link("vop0")["mtu"] == 1400, "it still hears")
    assert a.text().count("link up") == 1


# ---- Deleted, and made again ----

AGAIN = ["--on-tap-loss", "recreate"]


@pytest.mark.parametrize("queues", [1, 2])
def test_made_again(pair, queues):
    """With all that the options say; the session goes on, and the peer's carrier tells of it."""
    wishes = [*AGAIN, "--queues", queues, "--mtu", 1400, "--txqueuelen", 333, "--altname", "again", "--route",
              "10.50.0.0/16 via 10.99.0.2"]
    a, b = pair.start(both=["--queues", queues], a=wishes)
    namespace, before = pair.namespace["a"], pair.namespace["a"].link("vop0")
    flood = Flood(pair.namespace["b"], namespace, "10.99.0.2", "10.99.0.1")
    files = len(a.files())
    try:
        for count in range(1, 4):
            index = namespace.link("vop0")["ifindex"]
            namespace.ip("link", "del", "vop0")
            a.wait_line("TAP vop0: it was made again", count)
            eventually(lambda: pair.is_up() and namespace.link("vop0")["ifindex"] != index, pair.logs, 5.0)
            eventually(lambda: ping(namespace, "10.99.0.2", count=1) == 0, "ping", 5.0)
    finally:
        flood.close()
    now = namespace.link("vop0")
    for same in ("address", "mtu", "txqlen", "altnames"):
        assert now[same] == before[same], same
    assert "10.50.0.0/16 via 10.99.0.2" in namespace.ip("route")
    assert a.status()["queues"] == queues
    assert a.text().count("link up") == b.text().count("link up") == 1
    eventually(lambda: len(a.files()) == files, lambda: f"{files} files became {a.files()}")
    tcp_transfer(namespace, pair.namespace["b"], "10.99.0.2", 1 << 20)
    assert a.stop() == 0
    assert namespace.link("vop0") is None


def test_made_again_once_it_can_be(pair):
    """As long as another interface has its name, that is tried again and again. A peer may come and go meanwhile."""
    a, b = pair.start(a=AGAIN)
    namespace = pair.namespace["a"]
    pause(a.pid)
    namespace.ip("link", "del", "vop0")
    namespace.ip("link", "add", "vop0", "type", "bridge")
    a.signal(signal.SIGCONT)
    a.wait_line("--tap vop0: there is an interface of this name and it is not a TAP")
    assert a.status()["interface"]["state"] == "lost"
    eventually(lambda: not pair.namespace["b"].has_carrier("vop0"), "the peer hears of it")
    assert b.stop() == 0
    a.wait_line("link down")
    pair.start_side("b")
    a.wait_line("link up", 2)  # with what was announced at first; then it is told what is now
    eventually(lambda: not pair.namespace["b"].has_carrier("vop0"), "the new peer hears of it")
    namespace.ip("link", "del", "vop0")
    eventually(pair.is_up, pair.logs, 10.0)
    eventually(lambda: ping(namespace, "10.99.0.2", count=1) == 0, "ping", 5.0)


def test_made_again_as_it_was_persistent(pair):
    """One that an administrator has made stays at the end, also in its second life."""
    namespace = pair.namespace["a"]
    namespace.ip("tuntap", "add", "dev", "vop0", "mode", "tap")
    namespace.ip("link", "set", "vop0", "address", "02:00:00:00:00:ad")
    a, _ = pair.start(a=AGAIN)
    namespace.ip("link", "del", "vop0")
    a.wait_line("it was made again")
    eventually(pair.is_up, pair.logs)
    assert a.stop() == 0
    assert namespace.link("vop0")["address"] == "02:00:00:00:00:ad"


def test_descriptors_are_not_made_again():
    status, _, err = run("--link", "shm:/tmp/vop-test-unused.sock", "--tap-fd", 3, *AGAIN)
    assert status == 2 and "only they can make again" in err
