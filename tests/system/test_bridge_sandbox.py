# SPDX-License-Identifier: BSD-3-Clause
"""The sandbox: what every thread has given up, that all options work in it, and what happens without its broker."""
import contextlib
import os
import pathlib
import re
import subprocess
import time

import pytest

from lib.bridge import SANITIZED, eventually, files_of, mappings_of, program, run
from lib.traffic import ping

NO_CAPABILITY = "0" * 16
SESSIONS = 100  # with each side
SESSIONS_MIN = SESSIONS if os.environ.get("VOP_LONG") else 13


def facts(pid, task=None):
    """The lines of /proc/PID/status."""
    path = pathlib.Path(f"/proc/{pid}/task/{task or pid}/status")
    return dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


def threads(pid):
    return [entry.name for entry in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def broker_of(bridge):
    children = pathlib.Path(f"/proc/{bridge.pid}/task/{bridge.pid}/children").read_text().split()
    assert len(children) == 1, children
    return int(children[0])


def wait_closed(bridge):
    """The last stage is entered when the link is open."""
    bridge.wait_line("stage seccomp is entered\n", 2)  # the broker's, and its own


def check_thread(status, uid):
    assert status["Uid"].split() == [str(uid)] * 4 and status["Gid"].split() == [str(uid)] * 4, status["Name"]
    for capabilities in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
        assert status[capabilities] == NO_CAPABILITY, (status["Name"], capabilities)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status["Name"]


@pytest.mark.parametrize("user", ["nobody", None])
def test_every_thread(pair, user):
    words = ["--log-level", "debug", "--queues", "2", *(["--user", user] if user else [])]
    for bridge in pair.start(both=words):
        wait_closed(bridge)
        assert len(threads(bridge.pid)) >= 4  # control loop, log, two queues
        for task in threads(bridge.pid):
            check_thread(facts(bridge.pid, task), 65534 if user else 0)
        broker = facts(broker_of(bridge))
        assert broker["Name"] == "vop-broker" and broker["NoNewPrivs"] == "1" and broker["Seccomp"] == "2"
        assert int(broker["CapEff"], 16) == 1 << 12 | 1 << 1  # CAP_NET_ADMIN, CAP_DAC_OVERRIDE
        assert broker["CapBnd"] == broker["CapAmb"] == NO_CAPABILITY
        if not SANITIZED:
            count = int(re.search(r"sandbox: (\d+) system calls:", bridge.text()).group(1))
            assert 20 < count <= 30
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_off(pair):
    a, _ = pair.start(both=["--sandbox", "off"])
    assert facts(a.pid)["Seccomp"] == "0"
    assert not pathlib.Path(f"/proc/{a.pid}/task/{a.pid}/children").read_text()
    status, _, text = run("--link", f"shm:{pair.directory}/x", "--tap", "vop9", "--sandbox", "off", "--user", "nobody")
    assert status == 1 and "leave one of them out" in text


def test_sessions(pair):
    """Either side is started again and again: the other one finds it, by its broker."""
    pair.start(both=["--user", "nobody"])
    for side in "ababab":
        pair.bridge[side].kill()
        pair.start_side(side)
        pair.wait_up(6.0)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    for side in "ab":
        assert pair.bridge[side].stop() == 0
    assert not pair.socket.exists()


def objects_of(pid):
    """BPF's, by their numbers."""
    found = set()
    for entry in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found |= set(re.findall(r"^(?:prog_id|map_id|btf_id|link_id):\t\d+", entry.read_text(), re.M))
    return found


def held(bridge):
    """What it and its broker have. Numbers of sockets and processes are others each time."""
    eventually(bridge.has_closed_all, "the closer is done", 10.0)
    return [(re.sub(r"\d+", "N", "\n".join(files_of(pid))), mappings_of(pid), objects_of(pid), len(threads(pid)))
            for pid in (bridge.pid, broker_of(bridge))]


@pytest.mark.parametrize("side", ["a", "b"])
def test_many_sessions(pair, side):
    """A peer that is killed again and again: what bridge and broker have is the same as after the tenth."""
    pair.start(both=["--user", "nobody", "--queues", "2"])
    kept, end, count = pair.bridge["b" if side == "a" else "a"], time.monotonic() + 5, 0
    while count < SESSIONS_MIN or (count < SESSIONS and time.monotonic() < end):
        pair.bridge[side].kill()
        kept.wait_line("link down", count + 1)
        pair.start_side(side)
        kept.wait_line("link up", count + 2)
        pair.wait_up(6.0)
        eventually(lambda: ping(pair.namespace["a"], "10.99.0.2", count=1) == 0, pair.logs, 6.0)
        count += 1
        if count == 10:
            before, memory = held(kept), kept.memory()
            assert any(objects for _, _, objects, _ in before) or "steer" in kept.text()  # what might leak
    eventually(lambda: held(kept) == before, lambda: f"as it was: {before} became {held(kept)}", 5.0)
    print(f"{count} sessions; memory of its own: {memory} KiB after ten, {kept.memory()} KiB at the end")
    assert SANITIZED or kept.memory() < memory + 1024
    assert pair.bridge[side].stop() == 0 and kept.stop() == 0


def test_mtu_is_taken_over(pair):
    """By the broker: the worker may not."""
    pair.start(a=["--mtu", "1400"], both=["--user", "nobody"])
    eventually(lambda: pair.namespace["b"].link("vop0")["mtu"] == 1400, pair.logs)
    pair.namespace["a"].run("ip", "link", "set", "vop0", "mtu", "1300")
    eventually(lambda: pair.namespace["b"].link("vop0")["mtu"] == 1300, pair.logs)


def test_interface_is_made_again(pair):
    a, _ = pair.start(both=["--user", "nobody", "--on-tap-loss", "recreate", "--queues", "2"])
    pair.namespace["a"].run("ip", "link", "del", "vop0")
    a.wait_line("it was made again")
    pair.wait_up(6.0)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0


def test_without_broker(pair):
    a, b = pair.start(both=["--user", "nobody"])
    os.kill(broker_of(a), 9)
    assert a.process.wait(10) == 1
    assert "the broker process is gone" in a.text()
    b.wait_line("link down")


OPTIONS = [
    ["--mtu", "1400", "--mac", "02:00:00:00:00:0{n}", "--txqueuelen", "300", "--altname", "other{n}", "--route",
     "10.98.{n}.0/24", "--persist"],
    ["--master", "br0", "--queues", "4", "--affinity", "0-1", "--spin-us", "10", "--steer", "rss", "--offload", "csum"],
    ["--steer", "kernel", "--queues", "2", "--slots", "256", "--slot-size", "1024", "--offload", "none", "--verbose"],
    ["--control", "{directory}/ctl{n}", "--control-mode", "0666", "--control-uid", "nobody", "--capture-dir",
     "{directory}/captures", "--log-level", "info", "--log-format", "journald"],
    ["--control", "none", "--carrier", "on", "--on-peer-loss", "hold", "--drain-ms", "10", "--on-tap-loss",
     "recreate", "--sandbox", "on"],
    ["--peer-uid", "root", "--on-netns-loss", "keep", "--user", "nobody", "--on-peer-loss", "exit"],
]


@pytest.mark.parametrize("words", OPTIONS, ids=range(len(OPTIONS)))
def test_each_option(pair, words):
    for number, side in enumerate("ab", 1):
        if "--master" in words:
            pair.namespace[side].run("ip", "link", "add", "br0", "type", "bridge")
            pair.namespace[side].run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "br0")
            pair.namespace[side].run("ip", "link", "set", "br0", "up")
        more = [word.format(n=number, directory=pair.directory) for word in words]
        pair.start_side(side, *more, *(["--socket-mode", "0660"] if side == "a" else []), inside=False)
    for bridge in pair.bridge.values():
        bridge.wait_line("link up", seconds=6.0)  # the carrier may be on all the time
    pair.wait_up(6.0)
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    for side in "ba":
        pair.bridge[side].signal(10)  # SIGUSR1
        pair.bridge[side].wait_line("rx_frames")
    for side in "b" if "exit" in words else "ba":
        assert pair.bridge[side].stop() == 0, pair.logs()


def test_no_option_is_forgotten():
    """Those that other tests start, or that start nothing, are named here."""
    elsewhere = {"link", "listen", "tap", "address", "netns", "socket-mode", "tap-fd", "config", "check-config",
                 "metrics", "help", "usage", "version"}
    text = subprocess.run([program(), "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^ +(?:-\w, +)?--([\w-]+)", text, re.M))
    tried = {word[2:] for words in OPTIONS for word in words if word.startswith("--")}
    assert known - elsewhere <= tried, known - elsewhere - tried


def test_user_namespace(pair, as_nobody):
    """Without any privilege, in a namespace of its own that it may call root's."""
    def start(side, *words):
        log = pair.directory / f"{side}.log"
        with log.open("a") as stderr:
            return subprocess.Popen(["unshare", "-Urn", program(), "--link", f"shm:{directory}/x.sock", "--tap", "vop0",
                                     "--control", "none", "--log-level", "debug", *words], stdin=subprocess.DEVNULL,
                                    stdout=stderr, stderr=stderr, **as_nobody), log

    directory = pathlib.Path("/tmp") / f"vop-userns-{os.getpid()}"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    a, log = start("a", "--listen", "--address", "10.99.0.1/24")
    b, _ = start("b", "--address", "10.99.0.2/24")
    try:
        eventually(lambda: "link up" in log.read_text() or a.poll() is not None, log.read_text, 6.0)
        eventually(lambda: facts(a.pid)["Seccomp"] == "2", log.read_text)
        assert facts(a.pid)["CapEff"] == NO_CAPABILITY
        words = ["nsenter", "-t", str(a.pid), "-n", "ping", "-c", "1", "-W", "3", "10.99.0.2"]
        assert subprocess.run(words, check=False, stdout=subprocess.DEVNULL).returncode == 0
    finally:
        for process in (a, b):
            process.terminate()
            process.wait(10)
        for left in directory.iterdir():
            left.unlink()
        directory.rmdir()
