# SPDX-License-Identifier: BSD-3-Clause
"""Steering of a running bridge: --steer, and vop bridge steer. What the program does with frames: tests/unit/bridge."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from lib.bridge import BIN, SLOW, Bridge, eventually, run
from lib.traffic import ping

VOP = BIN / "vop"
GOOD = ["--link", "shm:/run/vop-test-unused.sock", "--tap", "vop0"]


class Steered:
    """A bridge without a peer, and vop bridge steer for it."""

    def __init__(self, namespace, directory, *words, prefix=()):
        self.control = directory / "control"
        self.bridge = Bridge("--link", f"shm:{directory}/x.sock", "--listen", "--tap", "vop0", "--queues", 2,
                             "--control", self.control, *words, namespace=namespace, log=directory / "log",
                             prefix=prefix)
        eventually(lambda: list(self.control.glob("vop0.*.sock")), self.bridge.text, 20)

    def call(self, *words):
        done = subprocess.run([VOP, "bridge", *map(str, words), "--control", self.control], text=True,
                              capture_output=True, timeout=60 * SLOW)
        return done.returncode, done.stdout, done.stderr

    def steer(self, *words):
        assert self.call("steer", *words) == (0, "", "")

    def show(self):
        status, out, err = self.call("steer", "show", "--json")
        assert status == 0, err
        return json.loads(out)[0]

    def needs_program(self):
        if "built without" in (self.show()["fallback"] or ""):
            pytest.skip("built without the steering program")


@pytest.fixture
def start(namespaces, tmp_path):
    started = []

    def start_one(*words, **options):
        started.append(Steered(namespaces("a"), tmp_path, *words, **options))
        return started[-1]

    yield start_one
    for steered in started:
        if steered.bridge.process.poll() is None:
            assert steered.bridge.stop() == 0


def test_changes(start):
    steered = start("--steer", "rss")
    steered.needs_program()
    assert steered.bridge.text() == ""
    before = steered.show()
    assert before["mode"] == "rss" and before["fallback"] is None and before["rss"]["hfunc"] == "symmetric"
    key = ":".join(f"{byte:02x}" for byte in os.urandom(40))
    steered.steer("rss", "--hfunc", "toeplitz", "--hkey", key, "--types", "ipv4,tcp4", "--inner", "vxlan,gre",
                  "--equal", 1)
    steered.steer("pin", "udp", "10.0.0.1:1000", "10.0.0.2:53", 0)
    steered.steer("pin", "tcp", "[fd00::1]:80", "[fd00::2]:8080", 0, f"vop0.{steered.bridge.pid}")
    steered.steer("class", "mark", "0x10", 0)
    steered.steer("class", "dscp", 46, 0)
    now = steered.show()
    assert now["rss"] == {**now["rss"], "hfunc": "toeplitz", "hkey": key, "types": ["ipv4", "tcp4"],
                          "inner": ["vxlan", "gre"]}
    assert len(now["pins"]) == 2 and {"kind": "mark", "value": 16, "queue": 0} in now["classes"]
    assert now["changes"] == before["changes"] + 5
    status, out, _ = steered.call("steer", "show")
    assert status == 0 and "hash      toeplitz of ipv4 tcp4, inside of vxlan gre" in out
    assert "pinned    udp 10.0.0.1:1000 10.0.0.2:53 -> queue 0\n" in out and "class     dscp 46 -> queue 0\n" in out
    steered.steer("pin", "udp", "10.0.0.1:1000", "10.0.0.2:53", "none")
    steered.steer("class", "mark", 16, "none")
    steered.steer("rss", "--inner", "none")
    assert steered.show()["rss"]["inner"] == []
    steered.steer("reset")
    assert steered.show()["rss"] == before["rss"] and steered.show()["pins"] == steered.show()["classes"] == []


@pytest.mark.parametrize("words, said", [
    ("rss --equal 3", "there are 2 queues"), ("pin udp 10.0.0.1:1 10.0.0.2:2 2", "there are 2 queues"),
    ("pin udp 10.0.0.1:1 10.0.0.2:2 none", "not pinned"), ("pin udp 10.0.0.1 10.0.0.2:2 0", "no port"),
    ("class colour 1 0", "kind: not one of the words"), ("rss --hkey 00", "hkey: not 40 bytes"),
    ("rss", "nothing to change")])
def test_refusals(start, words, said):
    """The bridge says what is wrong."""
    steered = start("--steer", "rss")
    steered.needs_program()
    status, out, err = steered.call("steer", *words.split())
    assert (status, out) == (1, "") and said in err and len(err.splitlines()) == 1, err
    assert steered.show()["changes"] == 1


def test_default(start):
    """With several queues the program steers; with one nothing has to."""
    steered = start()
    steered.needs_program()
    assert steered.show()["mode"] == "rss" and steered.show()["rss"]["sparse"] is True


def test_kernel(start):
    steered = start("--steer", "kernel")
    assert steered.show() == {"bridge": f"vop0.{steered.bridge.pid}", "mode": "kernel", "fallback": None, "queues": 2}
    status, _, err = steered.call("steer", "rss", "--equal", 1)
    assert status == 1 and "the kernel steers here; start the bridge with --steer rss" in err


def test_without_the_privilege(start, namespaces, tmp_path, as_nobody):
    """It says loudly that the kernel steers instead: in the log, in the status, and wherever steering is asked for."""
    os.chmod(tmp_path, 0o777)
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)
    become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=+net_admin",
              "--ambient-caps=+net_admin"]
    steered = start("--steer", "rss", prefix=become)
    steered.needs_program()
    if steered.show()["mode"] == "rss":
        pytest.skip("everybody may load programs here: kernel.unprivileged_bpf_disabled is 0")
    steered.bridge.wait_line(r"vop-bridge: steering: loading the program: .*CAP_BPF, or as root. The kernel's "
                             r"automatic steering is used instead\n")
    assert "CAP_BPF" in steered.show()["fallback"]
    for words in (["status"], ["steer", "show"]):
        status, out, _ = steered.call(*words)
        assert status == 0 and re.search(r"FALLBACK +loading the program: .*CAP_BPF", out)


@pytest.fixture
def user_object(tmp_path):
    """An object file of the user's."""
    clang = shutil.which("clang")
    if not clang or not pathlib.Path("/usr/include/bpf/bpf_helpers.h").exists():
        pytest.skip("needs clang and the headers of libbpf")
    path = tmp_path / "with,commas.o"
    machine = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    source = pathlib.Path(__file__).parent / "bpf/steer_user.bpf.c"
    subprocess.run([clang, "-target", "bpf", "-O2", "-g", "-idirafter", f"/usr/include/{machine}", "-c", source,
                    "-o", path], check=True)
    return path


def test_a_program_of_the_user(start, user_object):
    steered = start("--steer", f"obj={user_object},prog=by_length")
    steered.needs_program()
    assert steered.bridge.text() == "" and steered.show()["mode"] == "user"
    status, _, err = steered.call("steer", "reset")
    assert status == 1 and "a program of the user's steers here" in err


@pytest.mark.parametrize("path, name, pattern", [
    (None, "by_size", "no program by_size in it"), (None, "not_for_a_tap", r"is no socket filter; .*SEC\("),
    ("/nowhere.o", "x", "/nowhere.o: No such file"), ("/etc/passwd", "x", "/etc/passwd: no object file for BPF")])
def test_programs_that_do_not_do(start, user_object, path, name, pattern):
    """The bridge carries frames all the same, and says what is wrong with the program."""
    steered = start("--steer", f"obj={path or user_object},prog={name}")
    steered.needs_program()
    steered.bridge.wait_line(f"steering: .*{pattern}.*automatic steering is used instead")
    assert re.search(pattern, steered.show()["fallback"]) and steered.show()["mode"] == "kernel"


def test_frames_pass(pair, tmp_path):
    pair.start(both=["--steer", "rss", "--control", tmp_path / "control"])
    assert ping(pair.namespace["a"], "10.99.0.2") == 0
    for bridge in pair.bridge.values():
        assert bridge.stop() == 0


@pytest.mark.parametrize("value", ["hash", "obj=", "obj=x", "obj=,prog=y", "obj=x,prog=", "prog=y,obj=x"])
def test_wrong_option(value):
    status, out, err = run(*GOOD, "--steer", value)
    assert (status, out) == (2, "") and re.search(r"--steer .*: neither kernel, rss nor a program; write", err), err


@pytest.mark.parametrize("words, said", [
    ("steer", "say what to do: steer show"), ("steer fly", "fly: nothing that can be done; it is show"),
    ("steer pin udp 1 2", "steer pin: words are missing"),
    ("steer class dscp x 1", "steer class: the value is no number"),
    ("steer pin udp 1 2 x", "neither a number nor none"), ("steer rss --equal x", "--equal x: not a number"),
    ("steer rss --weight 1,x", "not a list of numbers"), ("steer show --equal 1", "--equal is for steer rss only")])
def test_wrong_usage(words, said):
    done = subprocess.run([VOP, "bridge", *words.split()], text=True, capture_output=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr, done.stderr
