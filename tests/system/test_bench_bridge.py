# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of bridges in small: its programs count right, it writes what it says, and leaves nothing behind. How
fast anything was is nobody's business here."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

from lib.bridge import BIN, SLOW, eventually
from lib.echo import one_line, program

RUN = pathlib.Path(__file__).resolve().parent.parent / "bench/bridge/run"
NAMED = {"tcp1_cubic_relay_ratio", "tcp1_bbr_relay_ratio", "tcp4_two_queues_ratio", "cpu_relay_ratio",
         "udp64_veth_ratio", "udp1400_veth_ratio", "rr_veth_ratio", "rr_p99_us", "ping_under_tcp_p95_ms", "vxlan_gbps",
         "vxlan_veth_ratio", "udp1400_gso_veth_ratio", "capture_cost_ratio", "capture_headers_cost_ratio"}


def join(a, b):
    """A veth pair with addresses between two namespaces."""
    a.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", b.name)
    for number, namespace in enumerate((a, b), 1):
        namespace.ip("address", "add", f"10.97.0.{number}/24", "dev", "veth0")
        namespace.ip("link", "set", "veth0", "up")


@pytest.mark.parametrize("arguments", [["--size", 64], ["--size", 1400, "--gso"], ["--size", 8]])
def test_every_datagram_is_counted(namespaces, tmp_path, arguments):
    a, b = namespaces("a", "b")
    join(a, b)
    path = tmp_path / "figures.json"
    words = ["--address", "10.97.0.2", "--client-netns", a.name, "--server-netns", b.name, "--rate", 5000, "--ms", 200,
             "--json", path, *arguments]
    done = subprocess.run([program("bench-bridge-datagrams"), *map(str, words)], capture_output=True, text=True,
                          timeout=30 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert 0 < figures["sent"] <= 1000 * SLOW
    assert figures["received"] == figures["sent"]
    assert figures["lost_percent"] == figures["late"] == figures["overflowed"] == 0


def test_lost_datagrams_are_counted(namespaces, tmp_path):
    if not shutil.which("tc"):
        pytest.skip("needs tc")
    a, b = namespaces("a", "b")
    join(a, b)
    a.ip("link", "set", "veth0", "qlen", "10")
    limit = ["tc", "-n", a.name, "qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "1mbit", "burst", "2000",
             "limit", "2000"]
    if subprocess.run(limit, capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel has no tbf")
    path = tmp_path / "figures.json"
    done = subprocess.run([program("bench-bridge-datagrams"), "--address", "10.97.0.2", "--client-netns", a.name,
                           "--server-netns", b.name, "--rate", "1000", "--size", "1000", "--ms", "300", "--json", path],
                          capture_output=True, text=True, timeout=30 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert figures["received"] < figures["sent"] and figures["lost_percent"] > 0 and figures["overflowed"] == 0


@pytest.mark.parametrize("name", ["bench-bridge-datagrams", "bench-bridge-relay-epoll"])
@pytest.mark.parametrize("arguments", [[], ["more"]])
def test_nonsense_is_refused(name, arguments):
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=20 * SLOW, check=False)
    assert done.returncode == 2
    assert "--help" in one_line(done.stderr)


# ---- run ----

def start_run(*arguments):
    return subprocess.Popen([sys.executable, RUN, "--bin", BIN, *map(str, arguments)], stdin=subprocess.DEVNULL,
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def needs(*names):
    for name in names:
        if not shutil.which(name):
            pytest.skip(f"needs {name}: scripts/packages bench")


def run_in_small(tmp_path, paths, keys):
    """Its output, and its figures."""
    needs("iperf3", "ping")
    path = tmp_path / "figures.json"
    process = start_run("--rounds", 1, "--seconds", 1, "--only", *paths, "--works", *keys, "--json", path)
    output, errors = process.communicate(timeout=120 * SLOW)
    assert process.returncode == 0, errors
    return output, json.loads(path.read_text())


def test_run(root, tmp_path):
    """Over ours and what it is compared with; none of others' programs."""
    paths = "veth", "vop", "relay"
    output, figures = run_in_small(tmp_path, paths, ["udp1400_gso", "rr", "ping_under_tcp", "capture"])
    assert NAMED <= set(figures) and figures["left_out"] == []
    captures = figures["raw"].pop("capture")  # over bridges only
    assert captures["vop"]["ratio"] == figures["capture_cost_ratio"] > 0 and not captures["veth"]
    for by_path in figures["raw"].values():
        assert by_path.keys() == set(paths) and all(by_path.values())
    for name in paths:
        assert figures["ratios"]["rr"][name].keys() == {"veth", "relay"}
        assert figures["raw"]["udp1400_gso"][name]["kpps"] > 0
        assert figures["raw"]["rr"][name]["p50_us"] <= figures["raw"]["rr"][name]["p99_us"]
    assert figures["rr_p99_us"] == figures["raw"]["rr"]["vop"]["p99_us"]
    assert figures["rr_veth_ratio"] > 0 and figures["udp64_veth_ratio"] is None
    assert os.uname().nodename not in json.dumps(figures["machine"])
    assert "request/response, p99, us" in output
    if shutil.which("gnuplot"):
        assert (tmp_path / "bridge-bars.png").read_bytes().startswith(b"\x89PNG")


def test_the_other_relay(root, tmp_path):
    if not (BIN / "bench-bridge-relay-uring").exists():
        pytest.skip("built without liburing")
    _, figures = run_in_small(tmp_path, ["veth", "uring"], ["udp64_fixed"])
    for one in figures["left_out"]:
        pytest.skip(one["why"])  # older kernels have no such read
    assert figures["raw"]["udp64_fixed"]["uring"]["kpps"] > 0
    assert figures["raw"]["udp64_fixed"]["uring"]["late"] == 0


def descendants(pid):
    """As far as they live long enough to be seen."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += [int(child), *descendants(child)]
    except OSError:
        pass
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_run_is_interrupted(root, number):
    needs("iperf3", "ping")
    before = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
    process = start_run("--only", "veth", "vop", "--works", "rr", "--seconds", 60)
    eventually(lambda: len(descendants(process.pid)) > 5, "programs start", 20)
    begun = descendants(process.pid)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20 * SLOW)
    assert process.returncode == (-number if number == signal.SIGKILL else 130) and "Traceback" not in errors
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in begun), "all of them end", 10)
    after = set(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else set()
    assert not {name for name in after - before if name in ("a", "b")}


@pytest.mark.parametrize("arguments", [["--only", "drummer"], ["--works", "dance"], ["--rounds", "0"], ["more"],
                                       ["--docs", "--only", "veth"]])
def test_run_refuses_nonsense(arguments):
    process = start_run(*arguments)
    _, errors = process.communicate(timeout=20 * SLOW)
    assert process.returncode == 2 and "run" in errors


def test_run_needs_root(as_nobody):
    done = subprocess.run([sys.executable, RUN, "--bin", BIN], capture_output=True, text=True, timeout=20 * SLOW,
                          check=False, **as_nobody)
    assert done.returncode == 1 and "root" in one_line(done.stderr)
