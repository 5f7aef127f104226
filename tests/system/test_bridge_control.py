# SPDX-License-Identifier: BSD-3-Clause
"""The control socket of vop-bridge, and vop bridge, which uses it."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from lib.bridge import BIN, SLOW, Bridge, eventually, pause, run
from lib.traffic import ping

VOP = BIN / "vop"
GOOD = ["--link", "shm:/run/vop-test-unused.sock", "--tap", "vop0"]


def vop(*words, **options):
    done = subprocess.run([VOP, "bridge", *map(str, words)], text=True, capture_output=True, timeout=60 * SLOW,
                          **options)
    return done.returncode, done.stdout, done.stderr


def vop_json(*words):
    status, out, err = vop(*words, "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.fixture
def control(tmp_path):
    """The directory of the control sockets: at the end nothing is left there."""
    directory = tmp_path / "control"
    yield directory
    assert not directory.exists() or not list(directory.iterdir())


@pytest.fixture
def bridges(pair, control):
    """Two bridges that are up, with their control sockets."""
    pair.start(both=["--control", control])
    yield pair
    for bridge in pair.bridge.values():
        if bridge.process.poll() is None:
            bridge.stop()


def name_of(bridge):
    return f"vop0.{bridge.pid}"


def test_status_and_stats(bridges, control):
    assert ping(bridges.namespace["a"], "10.99.0.2") == 0
    answers = {answer["bridge"]: answer for answer in vop_json("status", "--control", control)}
    a, b = (answers[name_of(bridges.bridge[side])] for side in "ab")
    assert a["link"]["state"] == b["link"]["state"] == "up" and a["link"]["sessions"] == 1
    assert (a["link"]["role"], b["link"]["role"]) == ("listen", "connect")
    assert b["pid"] == bridges.bridge["b"].pid
    assert a["link"]["peer_pid"] == bridges.bridge["b"].opener()
    assert a["interface"]["mac"] == bridges.namespace["a"].link("vop0")["address"]
    assert a["interface"]["mtu"] == bridges.namespace["a"].link("vop0")["mtu"]
    for side in "ab":
        stats, = vop_json("stats", name_of(bridges.bridge[side]), "--control", control)
        # the kernels may send more meanwhile
        later = bridges.bridge[side].counters()
        assert set(stats["total"]) == set(later) and len(stats["queues"]) == a["queues"] == a["queues_max"]
        assert all(stats["total"][counter] <= later[counter] for counter in later)
        assert all(stats["total"][counter] > 0 for counter in ("tx_frames", "kicks", "wakeups"))
        assert stats["link"] == "up" and stats["queues_in_use"] == a["queues"]
        assert len(stats["depth"]) == a["queues"] and min(stats["depth"]) >= 0


def test_for_people(bridges, control):
    status, out, err = vop("list", "--control", control)
    assert (status, err) == (0, "") and re.search(r"^vop0\.\d+ +- +listen +up +\d+ +shm:", out, re.MULTILINE), out
    status, out, err = vop("status", bridges.bridge["a"].pid, "--control", control)
    assert (status, err) == (0, "") and f"peer is process {bridges.bridge['b'].opener()}, sessions 1\n" in out, out
    status, out, err = vop("stats", name_of(bridges.bridge["a"]), "--control", control)
    assert (status, err) == (0, "") and re.search(r"tx_frames +\d+\b", out), out


def test_names(bridges, control):
    """Both have an interface of the same name, in different namespaces."""
    status, out, err = vop("status", "vop0", "--control", control)
    assert status == 1 and out == "" and "2 bridges of that name; say which:" in err
    assert all(name_of(bridge) in err for bridge in bridges.bridge.values())
    status, out, err = vop("status", "vop1", "--control", control)
    assert status == 1 and "vop1: no such bridge; vop bridge list" in err


def test_stop(bridges, control):
    """One by its process, then all. It is gone when the command has ended."""
    assert vop("stop", bridges.bridge["a"].pid, "--control", control) == (0, "", "")
    assert bridges.bridge["a"].process.wait(1) == 0
    assert bridges.namespace["a"].link("vop0") is None
    answer, = vop_json("status", "--control", control)
    assert answer["link"] == {**answer["link"], "state": "down", "peer_pid": None, "sessions": 1}
    assert vop("stop", "--control", control) == (0, "", "")
    assert bridges.bridge["b"].process.wait(1) == 0
    assert not control.exists()
    assert vop("stop", "--control", control)[0] == 0
    assert vop_json("list", "--control", control) == []


def test_killed_bridges_leave_a_file_until_the_next(bridges, control):
    killed = bridges.bridge["b"]
    killed.kill()
    assert (control / f"{name_of(killed)}.sock").exists()
    assert [answer["bridge"] for answer in vop_json("list", "--control", control)] == [name_of(bridges.bridge["a"])]
    bridges.start_side("b")
    bridges.wait_up()
    assert sorted(path.name for path in control.iterdir()) == \
        sorted(f"{name_of(bridge)}.sock" for bridge in bridges.bridge.values())


def test_a_bridge_that_stands_still(bridges, control):
    pause(bridges.bridge["b"].pid)
    try:
        status, out, err = vop("status", "--json", "--control", control)
    finally:
        bridges.bridge["b"].signal(18)
    assert status == 1 and re.fullmatch(rf"vop: bridge {name_of(bridges.bridge['b'])}: .*stands still.*\n", err)
    answers = {answer["bridge"]: answer for answer in json.loads(out)}
    assert "pid" in answers[name_of(bridges.bridge["a"])] and "error" in answers[name_of(bridges.bridge["b"])]


class Nuisance(threading.Thread):
    """A client that does its worst until it is told to end."""

    def __init__(self, path, work):
        super().__init__(daemon=True)
        self.path, self.work, self.is_over = str(path), work, False
        self.start()

    def run(self):
        while not self.is_over:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(0.2)
                client.connect(self.path)
                self.work(client)

    def end(self):
        self.is_over = True
        self.join()


STATUS = b'{"jsonrpc":"2.0","id":1,"method":"status"}\n'


def test_hostile_clients_do_not_stop_frames(bridges, control):
    """Floods of lines, of garbage, of connections, and clients that read nothing: pings pass, others are served."""
    path = control / f"{name_of(bridges.bridge['a'])}.sock"
    before = len(bridges.bridge["a"].files())

    def lines(client):
        for _ in range(200):
            client.sendall(STATUS)
            client.recv(65536)

    def unread(client):
        while True:
            client.sendall(STATUS * 100)

    nuisances = [Nuisance(path, work) for work in (
        lines, lines, unread, lambda client: None, lambda client: client.sendall(b"[" * 20000),
        lambda client: client.sendall(os.urandom(5000) + b"\n"), lambda client: time.sleep(0.2))]
    try:
        for _ in range(3):
            assert ping(bridges.namespace["a"], "10.99.0.2", count=20) == 0
            answer, = vop_json("status", name_of(bridges.bridge["a"]), "--control", control)
            assert answer["link"]["state"] == "up"
    finally:
        for nuisance in nuisances:
            nuisance.end()
    eventually(lambda: len(bridges.bridge["a"].files()) == before, bridges.bridge["a"].files, 20)


def test_two_hundred_at_once(bridges, control):
    path = str(control / f"{name_of(bridges.bridge['a'])}.sock")
    before = len(bridges.bridge["a"].files())
    failures = []

    def ask():
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.settimeout(30 * SLOW)
                client.sendall(STATUS)
                assert json.loads(client.makefile().readline())["result"]["pid"] == bridges.bridge["a"].pid
        except (OSError, ValueError, AssertionError) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    eventually(lambda: len(bridges.bridge["a"].files()) == before, bridges.bridge["a"].files)


def test_who_may_use_it(namespaces, control, tmp_path, as_nobody):
    """By default only the same user; with a mode, whoever it lets in; with a user, that one."""
    namespace = namespaces("a")
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)
    bridge = None
    try:
        for words, right, mode in (([], 1, 0o600), (["--control-mode", "0666"], 0, 0o666),
                                   (["--control-uid", "nobody"], 0, 0o666), (["--control-uid", "daemon"], 1, 0o666)):
            bridge = Bridge("--link", f"shm:{tmp_path}/x.sock", "--listen", "--tap", "vop0", "--control", control,
                            *words, namespace=namespace, log=tmp_path / "log")
            eventually(control.exists, bridge.text)
            eventually(lambda: list(control.glob("vop0.*")), bridge.text)
            path, = control.glob("vop0.*")
            assert path.stat().st_mode & 0o777 == mode
            status, _, err = vop("status", "--control", control, **as_nobody)
            assert status == right, err
            assert vop("status", "--control", control)[0] == 0
            assert bridge.stop() == 0
    finally:
        if bridge:
            bridge.stop()


def test_the_directory_of_a_user(as_nobody, tmp_path, namespaces):
    """Who may not write below /run has a socket in XDG_RUNTIME_DIR, and does without if there is none."""
    namespace = namespaces("a")
    namespace.ip("tuntap", "add", "dev", "vop0", "mode", "tap", "user", "nobody", "vnet_hdr")
    namespace.ip("link", "set", "vop0", "up")
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, 65534, 65534)
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)
    become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env"]
    link = ["--link", f"shm:{own}/x.sock", "--listen", "--tap", "vop0"]
    for setting, found in ((f"XDG_RUNTIME_DIR={own}", True), ("--unset=XDG_RUNTIME_DIR", False)):
        bridge = Bridge(*link, namespace=namespace, log=own.parent / f"{found}.log", prefix=[*become, setting])
        try:
            eventually((own / "x.sock").exists, bridge.text)
            directory = own / "vop-bridge"
            assert directory.exists() == found
            if found:
                assert directory.stat().st_mode & 0o777 == 0o700
                assert vop("status", f"vop0.{bridge.pid}", env={"XDG_RUNTIME_DIR": str(own)})[0] == 0
            else:
                bridge.wait_line(r"control socket in /run/vop-bridge: .*--control")
        finally:
            bridge.stop()
        assert not (own / "vop-bridge").exists()


@pytest.mark.parametrize("words, pattern", [
    (["--control", "here"], r"--control here: neither an absolute path nor none"),
    (["--control-mode", "rw"], r"--control-mode rw: not an octal number"),
    (["--control-uid", "no-such-user"], r"--control-uid no-such-user: no such user"),
    (["--control", "none", "--control-uid", "root"],
     r"--control-uid root: there is no control socket for it, by --control none")])
def test_wrong_options(words, pattern):
    status, out, err = run(*GOOD, *words)
    assert (status, out) == (2, "") and re.search(pattern, err), err


def test_a_directory_that_does_not_do(namespaces, tmp_path):
    """What was asked for by name must work: the bridge ends, and leaves nothing."""
    namespace = namespaces("a")
    for directory, pattern in ((tmp_path / "a/b", "No such file"), (tmp_path / ("x" * 100), "107 bytes"),
                               (pathlib.Path("/proc"), "")):
        bridge = Bridge("--link", f"shm:{tmp_path}/x.sock", "--listen", "--tap", "vop0", "--control", directory,
                        namespace=namespace, log=tmp_path / "log")
        assert bridge.process.wait(5 * SLOW) == 1
        assert re.search(rf"control socket in .*{pattern}", bridge.text())
        assert namespace.link("vop0") is None and not list(tmp_path.glob("x*"))


@pytest.mark.parametrize("words, said", [
    ("bridge", "say what to do: list"), ("bridge fly", "fly: nothing that can be done; it is list"),
    ("bridge list --what", "unrecognized option")])
def test_wrong_usage(words, said):
    done = subprocess.run([VOP, *words.split()], text=True, capture_output=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr
