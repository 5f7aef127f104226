# SPDX-License-Identifier: BSD-3-Clause
"""vop-bridge under a service manager: what it says of itself, the watchdog, sockets that are passed, and the units."""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from lib.bridge import BIN, SLOW, Bridge, eventually, program
from lib.manager import Manager, setting, unit
from lib.traffic import ping

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


@pytest.fixture
def manager(tmp_path, request):
    made = Manager(getattr(request, "param", tmp_path / "notify"))
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("manager", [f"@vop-test-{os.getpid()}"], ids=["abstract"], indirect=True)
def test_abstract_name(pair, manager):
    a = pair.start_side("a", inside=False, **manager.start())
    manager.wait_for("^READY=1$")
    assert a.stop() == 0
    manager.wait_for("^STOPPING=1$")


def test_says_how_it_is(pair, manager):
    """Ready when the interface is there and the socket listens, whether or not there is a peer."""
    a = pair.start_side("a", **manager.start())
    manager.wait_for("^READY=1$")
    assert pair.namespace["a"].link("vop0")
    assert stat.S_ISSOCK(pair.socket.stat().st_mode)
    assert manager.hear(5 * SLOW) == f"STATUS=vop0: waiting for a peer by shm:{pair.socket}"
    pair.start_side("b")
    pair.wait_up()
    assert "link up" in manager.wait_for("^STATUS=.*link up")
    assert "NOTIFY_SOCKET" not in a.text()
    pair.bridge["b"].stop()
    manager.wait_for("^STATUS=.*waiting")
    a.signal(signal.SIGTERM)
    manager.wait_for("^STOPPING=1$")
    assert a.stop() == 0
    assert manager.said.count("READY=1") == 1 and "WATCHDOG=1" not in manager.said


def test_reload(pair, manager, tmp_path):
    """Who waits for a reload hears that it began and that it is over, whether or not the file was taken."""
    config = tmp_path / "a.conf"
    config.write_text("mtu = 1400;\n")
    a = pair.start_side("a", "--config", str(config), **manager.start())
    manager.wait_for("^READY=1$")
    for text, mtu in ("mtu = 1300;\n", 1300), ("mtu = 20;\n", 1300):
        config.write_text(text)
        a.signal(signal.SIGHUP)
        assert re.search(r"^MONOTONIC_USEC=\d+$", manager.wait_for("^RELOADING=1\n"), re.MULTILINE)
        manager.wait_for("^READY=1$")
        assert pair.namespace["a"].link("vop0")["mtu"] == mtu


def thread_of(pid, name):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"no thread {name}")


def ptrace(request, tid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, tid, None, None) != 0:
        pytest.skip(f"ptrace: {ctypes.get_errno()}: this system lets nobody stop a single thread")


@contextlib.contextmanager
def hanging(tid):
    """One thread stands still, as in an endless loop; all the others go on."""
    ptrace(PTRACE_SEIZE, tid)
    ptrace(PTRACE_INTERRUPT, tid)
    state = pathlib.Path(f"/proc/{tid}/stat")
    eventually(lambda: state.read_text().rsplit(")", 1)[1].split()[0] == "t", "the thread stands still")
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, tid)


@pytest.mark.parametrize("thread", ["vop-queue-0", "vop-queue-1", "vop-bridge"])
def test_watchdog_notices_one_thread(pair, manager, thread):
    """It hears of an idle bridge, and of one with a session; and nothing while a single thread hangs."""
    patience = 0.4
    a = pair.start_side("a", "--queues", 2, **manager.start(watchdog_us=int(patience * 1e6)))
    manager.wait_for("^WATCHDOG=1$")
    pair.start_side("b", "--queues", 2)
    pair.wait_up()
    manager.wait_for("^WATCHDOG=1$")
    with hanging(thread_of(a.pid, thread)):
        while manager.hear(patience * 2):  # what was said before; but then it is silent
            assert manager.said.count("WATCHDOG=1") < 40
    manager.wait_for("^WATCHDOG=1$")
    assert a.stop() == 0


def test_watchdog_of_another_process(pair, manager):
    start = manager.start(watchdog_us=1000)
    start["env"]["WATCHDOG_PID"] = "1"
    a = pair.start_side("a", **start)
    manager.wait_for("^READY=1$")
    while manager.hear(0.1):
        pass
    assert "WATCHDOG=1" not in manager.said
    assert a.stop() == 0


@pytest.mark.parametrize("name, value, pattern", [
    ("NOTIFY_SOCKET", "/no/such/socket", "NOTIFY_SOCKET=/no/such/socket: No such file or directory; .*unset"),
    ("WATCHDOG_USEC", "soon", "WATCHDOG_USEC=soon: not a number"),
])
def test_wrong_variables(namespaces, manager, tmp_path, name, value, pattern):
    start = manager.start()
    start["env"][name] = value
    namespace = namespaces("a")
    bridge = Bridge("--link", f"shm:{tmp_path}/s", "--listen", "--tap", "vop0", namespace=namespace,
                    log=tmp_path / "log", **start)
    assert bridge.process.wait(10 * SLOW) == 1
    bridge.wait_line(pattern)
    assert namespace.link("vop0") is None


# ---- Sockets that are passed ----


def test_socket_of_the_link(pair, manager):
    """It is there before the bridge, and stays while that is killed and started again."""
    manager.listen("link", socket.SOCK_SEQPACKET, pair.socket)
    inode = pair.socket.stat().st_ino
    pair.start_side("b")
    for link in ([], ["--link", f"shm:{pair.socket}"]):
        pair.link["a"] = link or ["--listen"]
        a = pair.start_side("a", **manager.start())
        manager.wait_for("^READY=1$")
        pair.wait_up(5.0)
        assert ping(pair.namespace["a"], "10.99.0.2", count=1) == 0
        a.kill()
        pair.bridge["b"].wait_line("link down", 1)
    assert pair.socket.stat().st_ino == inode
    a = pair.start_side("a", **manager.start())
    pair.wait_up(5.0)
    assert a.stop() == 0
    assert pair.socket.stat().st_ino == inode


def test_socket_of_the_control(pair, manager, tmp_path):
    path = tmp_path / "vop0.sock"
    manager.listen("control", socket.SOCK_STREAM, path)
    a = pair.start_side("a", **manager.start())
    manager.wait_for("^READY=1$")
    shown = subprocess.run([BIN / "vop", "bridge", "status", "--control", tmp_path, "vop0"], capture_output=True,
                           text=True, check=True)
    assert str(a.pid) in shown.stdout
    assert a.stop() == 0
    assert path.exists()


def test_socket_of_the_metrics(pair, manager, tmp_path):
    path = tmp_path / "metrics"
    manager.listen("metrics", socket.SOCK_STREAM, path)
    a = pair.start_side("a", **manager.start())
    manager.wait_for("^READY=1$")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10 * SLOW)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := client.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 200") and b"# TYPE " in answer, answer[:500]
    assert a.stop() == 0


def test_queue_of_a_tap(pair, manager):
    """It is the manager's interface, which is there before the bridge and after it."""
    request = struct.pack("16sH", b"vop0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
    with pair.namespace["a"].inside():
        queue = os.fdopen(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK), "rb+", buffering=0)
    fcntl.ioctl(queue, TUNSETIFF, request)
    manager.passed.append(("tap", queue))
    before = pair.namespace["a"].link("vop0")["ifindex"]
    a = pair.start_side("a", **manager.start())
    pair.start_side("b")
    pair.wait_up(5.0)
    assert ping(pair.namespace["a"], "10.99.0.2", count=1) == 0
    assert a.stop() == 0
    assert pair.namespace["a"].link("vop0")["ifindex"] == before


@pytest.mark.parametrize("name, pattern", [
    ("lnik", "descriptor 3 of the service manager, lnik: no name that is known here; .*link, control"),
    ("control", "descriptor 3 of the service manager, control: not a listening Unix socket of type SOCK_STREAM"),
])
def test_wrong_socket(namespaces, manager, tmp_path, name, pattern):
    manager.listen(name, socket.SOCK_SEQPACKET, tmp_path / "s")
    bridge = Bridge("--link", f"shm:{tmp_path}/s", "--tap", "vop0", namespace=namespaces("a"),
                    log=tmp_path / "log", **manager.start())
    assert bridge.process.wait(10 * SLOW) == 2
    bridge.wait_line(pattern)


def test_systemd_socket_activate(pair):
    """The program of systemd that plays the service manager: the bridge is started by who connects first."""
    if not shutil.which("systemd-socket-activate"):
        pytest.skip("systemd-socket-activate is not installed")
    pair.link["a"] = []
    a = pair.start_side("a", prefix=("systemd-socket-activate", "--seqpacket", "--fdname=link", "-l", pair.socket))
    eventually(pair.socket.exists, a.text)
    assert pair.namespace["a"].link("vop0") is None
    pair.start_side("b")
    pair.wait_up(5.0)
    assert ping(pair.namespace["a"], "10.99.0.2", count=1) == 0


# ---- The units ----


@pytest.mark.parametrize("kind", ["service", "socket"])
def test_unit_is_right(tmp_path, kind):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root: systemd-analyze makes a directory in /run")
    for each in ("service", "socket"):
        (tmp_path / f"vop-bridge@.{each}").write_text(unit(each, program()))
    name = tmp_path / f"vop-bridge@lab.{kind}"
    (tmp_path / f"vop-bridge@.{kind}").rename(name)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", name], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    if kind == "service":
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", name], capture_output=True, text=True,
                              check=False)
        print(done.stdout.strip().splitlines()[-1])
        assert "Overall exposure level" in done.stdout, done.stderr


def test_units_fit_together():
    """The name that the one gives the socket is one that the program knows; both mean one path and one name."""
    service, sock = unit("service", "/usr/bin/vop-bridge"), unit("socket", "/usr/bin/vop-bridge")
    assert setting(service, "Type") == "notify"
    assert setting(service, "ExecStart") == "/usr/bin/vop-bridge --config /etc/vop-bridge/%i.conf"
    assert setting(sock, "FileDescriptorName") == "link"
    directory = pathlib.Path(setting(sock, "ListenSequentialPacket")).parent
    assert directory.name in setting(service, "RuntimeDirectory").split()
    assert not re.search("@[A-Z]", service.replace("@NAME", "") + sock.replace("@NAME", ""))  # all of it is filled in
