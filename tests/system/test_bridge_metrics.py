# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of vop-bridge: what is in them, over each way to get at them, and that nobody who does holds it up."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from lib.bridge import BIN, SLOW, Bridge, eventually
from lib.exposition import parse
from lib.netns import root_of_project
from lib.traffic import ping

PORT = 9177
COUNT = 40  # pings


class Connection(http.client.HTTPConnection):
    """At a Unix socket, or at a port in a namespace."""

    def __init__(self, where):
        super().__init__("localhost", timeout=30 * SLOW)
        self.where = where

    def connect(self):
        self.sock = dial(self.where)


def dial(where):
    """`where` is a path, or a namespace and an address."""
    if isinstance(where, pathlib.Path):
        client, address = socket.socket(socket.AF_UNIX), str(where)
    else:
        namespace, address = where
        client = namespace.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    client.connect(address)  # waits for its turn, which a Unix socket that has a timeout does not
    client.settimeout(30 * SLOW)
    return client


def fetch(where, method="GET", target="/metrics"):
    """(status, headers, text)"""
    with contextlib.closing(Connection(where)) as connection:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def metrics_of(where):
    status, headers, text = fetch(where)
    assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(text)


@pytest.fixture
def bridges(pair, tmp_path):
    """a has its metrics at a Unix socket, b at a port of its namespace."""
    pair.start(a=["--metrics", f"unix:{tmp_path}/metrics.sock"], b=["--metrics", f"tcp:127.0.0.1:{PORT}"],
               both=["--control", tmp_path / "control", "--queues", "2"])
    pair.where = {"a": tmp_path / "metrics.sock", "b": (pair.namespace["b"], ("127.0.0.1", PORT))}
    yield pair
    for bridge in pair.bridge.values():
        if bridge.process.poll() is None:
            bridge.stop()
    assert not (tmp_path / "metrics.sock").exists() and not list(tmp_path.glob(".*.new"))


def test_values(bridges):
    """Frames and bytes, each way, on both sides: as the kernel has counted them, and as SIGUSR1 says. Then states."""
    assert ping(bridges.namespace["a"], "10.99.0.2", count=COUNT) == 0

    def differences():
        found = []
        for side, other in ("ab", "ba"):
            metrics = metrics_of(bridges.where[side])
            kernel = bridges.namespace[side].statistics("vop0")
            for ours, its in (("tx", "tx"), ("rx", "rx")):  # what the kernel sends is what the bridge sends on
                for name, what in (("frames", "packets"), ("bytes", "bytes")):
                    found.append((metrics[f"vop_bridge_{name}_total"].value(direction=ours), kernel[its][what]))
            found.append((metrics["vop_bridge_frames_total"].value(direction="rx"),
                          metrics_of(bridges.where[other])["vop_bridge_frames_total"].value(direction="tx")))
        return [pair for pair in found if pair[0] != pair[1]]

    eventually(lambda: not differences(), differences, 10)
    for side in "ab":
        metrics, counters = metrics_of(bridges.where[side]), bridges.bridge[side].counters()
        assert metrics["vop_bridge_frames_total"].value(direction="tx") >= COUNT
        assert metrics["vop_bridge_dropped_frames_total"].value(direction="rx") == 0
        assert metrics["vop_bridge_dropped_frames_total"].value(direction="tx", reason="stale") == counters["tx_stale"]
        assert 0 < metrics["vop_bridge_kicks_total"].value() <= counters["kicks"]
    metrics = metrics_of(bridges.where["a"])
    single = {name: metrics[f"vop_bridge_{name}"].value(interface="vop0") for name in (
        "link_up", "carrier", "sessions_total", "mtu_bytes", "queues", "queues_open", "steering_fallback")}
    assert single == {"link_up": 1, "carrier": 1, "sessions_total": 1, "mtu_bytes": 1500, "queues": 2,
                      "queues_open": 2, "steering_fallback": single["steering_fallback"]}
    assert metrics["vop_bridge_info"].value(role="listen", link=f"shm:{bridges.socket}", netns="") == 1
    assert abs(metrics["process_start_time_seconds"].value() - time.time()) < 300 * SLOW
    assert {dict(key)["queue"] for key in metrics["vop_bridge_queue_depth_frames"].samples} == {"0", "1"}
    if "vop_bridge_steered_frames_total" in metrics:
        assert metrics["vop_bridge_steered_frames_total"].value() > 0
    bridges.bridge["b"].stop()
    eventually(lambda: metrics_of(bridges.where["a"])["vop_bridge_link_up"].value() == 0, "the link is down")
    metrics = metrics_of(bridges.where["a"])
    assert metrics["vop_bridge_carrier"].value() == 0
    assert not metrics["vop_bridge_queue_depth_frames"].samples


def test_other_ways_to_look_at_the_text(bridges, tmp_path):
    """The control socket has the same, the manual each metric and no other, and promtool nothing to say."""
    path, = (tmp_path / "control").glob(f"*.{bridges.bridge['a'].pid}.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"metrics"}\n')
        result = json.loads(client.makefile().readline())["result"]
    assert result["type"].startswith("text/plain; version=0.0.4")
    names = set(metrics_of(bridges.where["a"]))
    assert names == set(parse(result["text"]))
    table = (root_of_project() / "docs/METRICS.md").read_text()
    assert names == set(re.findall(r"^\| `(\w+)` \| (?:counter|gauge) \| .* \|$", table, re.MULTILINE))
    if promtool := shutil.which("promtool"):
        done = subprocess.run([promtool, "check", "metrics"], input=result["text"], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_requests(bridges):
    where = bridges.where["b"]
    assert fetch(where, target="/")[0] == 404 and fetch(where, target="/metrics?x=y")[0] == 200
    status, headers, _ = fetch(where, "POST")
    assert status == 405 and headers["Allow"] == "GET, HEAD"
    status, headers, text = fetch(where, "HEAD")
    assert status == 200 and int(headers["Content-Length"]) > 1000 and text == ""
    with contextlib.closing(Connection(where)) as connection:  # one after another
        for _ in range(3):
            connection.request("GET", "/metrics")
            parse(connection.getresponse().read().decode())
    with dial(where) as client:  # at once, and a last one
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 3 + b"GET / HTTP/1.0\r\n\r\n")
        text = client.makefile().read()
    assert text.count("HTTP/1.1 200 OK") == 3 and text.count("HTTP/1.1 404") == 1
    for request, status in ((b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: " + b"y" * 20000, 431)):
        with dial(where) as client, contextlib.suppress(ConnectionError):
            client.sendall(request)
            assert client.recv(100).startswith(b"HTTP/1.1 %d " % status)


class Nuisance(threading.Thread):
    """A client that does its worst until it is told to end."""

    def __init__(self, where, work):
        super().__init__(daemon=True)
        self.where, self.work, self.is_over = where, work, False
        self.start()

    def run(self):
        while not self.is_over:
            with contextlib.suppress(OSError), dial(self.where) as client:
                client.settimeout(0.2)
                self.work(client)

    def end(self):
        self.is_over = True
        self.join()


def test_hostile_clients_do_not_stop_frames(bridges):
    """Slow ones, garbage, huge headers, floods, who reads nothing: pings pass, and others are served. So are 150 at
    once."""
    before = {side: len(bridges.bridge[side].files()) for side in "ab"}

    def slow(client):
        for byte in b"GET /metrics HTTP/1.1\r\n":
            client.sendall(bytes([byte]))
            time.sleep(0.02)

    def unread(client):
        while True:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 50)

    works = (slow, unread, lambda client: None, lambda client: client.sendall(os.urandom(5000)),
             lambda client: client.sendall(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 5000),
             lambda client: (client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n"), client.recv(65536)))
    nuisances = [Nuisance(bridges.where[side], work) for side in "ab" for work in works]
    try:
        for _ in range(3):
            assert ping(bridges.namespace["a"], "10.99.0.2", count=20) == 0
            for side in "ab":
                assert metrics_of(bridges.where[side])["vop_bridge_link_up"].value() == 1
    finally:
        for nuisance in nuisances:
            nuisance.end()
    for side, bridge in bridges.bridge.items():
        eventually(lambda: len(bridge.files()) == before[side], bridge.files, 20)
    clients = [dial(bridges.where["b"]) for _ in range(150)]  # more than have a place
    for client in clients:
        client.sendall(b"GET /metrics HTTP/1.1\r\n")
    eventually(lambda: len(bridges.bridge["b"].files()) >= before["b"] + 64, bridges.bridge["b"].files, 5)
    time.sleep(0.2)
    assert len(bridges.bridge["b"].files()) <= before["b"] + 64 + 1  # who is to have the next place
    for client in clients:
        client.sendall(b"Connection: close\r\n\r\n")
    for client in clients:
        with client:
            head, _, body = client.makefile().read().partition("\n\n")
            assert head.startswith("HTTP/1.1 200") and parse(body)
    eventually(lambda: len(bridges.bridge["b"].files()) == before["b"], bridges.bridge["b"].files)


def alone(namespace, tmp_path, *words):
    return Bridge("--link", f"shm:{tmp_path}/x.sock", "--listen", "--tap", "vop0", "--control", "none", *words,
                  namespace=namespace, log=tmp_path / "log")


def test_sockets(namespaces, tmp_path, as_nobody):
    """A dead one is replaced, a living one and a file are not; its mode is that of the control socket."""
    namespace, path = namespaces("a"), tmp_path / "m.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    first = Bridge("--link", f"shm:{tmp_path}/y.sock", "--listen", "--tap", "vop1", "--control", tmp_path / "control",
                   "--control-mode", "0640", "--metrics", f"unix:{path}", namespace=namespace, log=tmp_path / "first")
    try:
        eventually(lambda: path.stat().st_mode & 0o777 == 0o640, first.text, 5)
        assert metrics_of(path)["vop_bridge_link_up"].value(interface="vop1") == 0
        second = alone(namespace, tmp_path, "--metrics", f"unix:{path}")
        assert second.process.wait(5 * SLOW) == 1 and f"metrics at {path}: somebody listens there" in second.text()
        assert fetch(path)[0] == 200
        first.kill()
        assert path.exists()  # and refuses
        first = Bridge("--link", f"shm:{tmp_path}/y.sock", "--listen", "--tap", "vop1", "--control",
                       tmp_path / "control", "--control-uid", "nobody", "--metrics", f"unix:{path}",
                       namespace=namespace, log=tmp_path / "first")
        eventually(lambda: path.stat().st_mode & 0o777 == 0o666, first.text, 5)
        assert fetch(path)[0] == 200
    finally:
        first.stop()
    assert not path.exists()
    path.write_text("mine")
    third = alone(namespace, tmp_path, "--metrics", f"unix:{path}")
    assert third.process.wait(5 * SLOW) == 1 and "it is no socket" in third.text() and path.read_text() == "mine"


def test_ports(namespaces, tmp_path):
    """IPv6, one that is taken, and one that was just used."""
    namespace = namespaces("a")
    where = (namespace, ("::1", PORT))
    for _ in range(2):
        bridge = alone(namespace, tmp_path, "--metrics", f"tcp:[::1]:{PORT}")
        try:
            eventually(lambda: (tmp_path / "x.sock").exists(), bridge.text, 5)
            assert fetch(where)[0] == 200
            listening = namespace.run("ss", "-Hltn")
            assert f"[::1]:{PORT}" in listening and len(listening.splitlines()) == 1
            second = Bridge("--link", f"shm:{tmp_path}/z.sock", "--listen", "--tap", "vop1", "--control", "none",
                            "--metrics", f"tcp:[::1]:{PORT}", namespace=namespace, log=tmp_path / "second")
            assert second.process.wait(5 * SLOW) == 1
            assert f"metrics at port {PORT}: Address already in use; take another one" in second.text()
        finally:
            assert bridge.stop() == 0


@pytest.mark.parametrize("value", ["tcp:0.0.0.0:9100", "tcp:10.0.0.1:9100", "tcp:[::]:9100", "tcp:localhost:9100"])
def test_other_hosts_are_not_served(value):
    done = subprocess.run([BIN / "vop-bridge", "--link", "shm:/run/x.sock", "--tap", "vop0", "--metrics", value],
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == 2 and "only this host can be served: write it as in tcp:127.0.0.1:9100" in done.stderr
