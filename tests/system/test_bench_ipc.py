# SPDX-License-Identifier: BSD-3-Clause
"""The programs of the comparison carry every message, answer every command, and leave nothing behind. How fast they
were is nobody's business here."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from lib.bridge import BIN, SLOW, eventually
from lib.echo import finish, kill, one_line, program, start

PROGRAMS = ["ring", "kernel", "vopipc", "vopipc-static", "vopipc-lto"]  # those of other libraries may not be built
SPIN, ADAPTIVE, SLEEP = "spin", "adaptive", "sleep"

needs_two = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")


def carriers(name):
    done = subprocess.run([program(f"bench-ipc-{name}"), "--list"], capture_output=True, text=True, timeout=20 * SLOW,
                          check=True)
    return json.loads(done.stdout)


class Bench:
    """A program that has answered that it is ready."""

    def __init__(self, name, carrier, waiting, size_max=65536):
        self.process = start(f"bench-ipc-{name}", "--carrier", carrier, "--waiting", waiting, "--size-max", size_max,
                             stdin=subprocess.PIPE)
        self.ready = json.loads(self.process.stdout.readline())

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def sides(self):
        pid = self.process.pid
        return [int(n) for n in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def finish(self):
        """Ends its input, or waits for its end; returns its status and errors. Nothing is left."""
        sides = self.sides()
        status, _, errors = finish(self.process, 20)
        assert not os.path.exists(self.ready["directory"])
        eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in sides), "both sides end", 5)
        return status, errors


@pytest.fixture
def bench():
    begun = []

    def begin(*arguments):
        begun.append(Bench(*arguments))
        return begun[-1]

    try:
        yield begin
    finally:
        for one in begun:
            if one.process.poll() is None:
                kill(one.process)


def check_figures(answer):
    assert answer.get("error") is None
    assert answer["ns"] > 0 and answer["count"] > 0 and answer["bounce_before"] > 0 and answer["bounce_after"] > 0


def check_latency(answer):
    shares = answer["percentiles"]
    values = [shares[name] for name in ("50", "90", "99", "99.9", "max")]
    assert values == sorted(values)
    assert sum(count for _, count in answer["buckets"]) == answer["count"]
    assert answer["buckets"] == sorted(answer["buckets"])


@needs_two
@pytest.mark.parametrize("name", PROGRAMS)
def test_commands(bench, name):
    for carrier in carriers(name):
        for waiting in carrier["waitings"]:
            size = min(carrier["size_max"], 65536)
            one = bench(name, carrier["name"], waiting, size)
            assert one.ready["ready"] and one.ready["waiting"] == waiting
            check_figures(one.ask("rtt 64 5"))
            check_figures(one.ask(f"rtt {size} 5"))
            latency = one.ask("latency 64 5")
            check_figures(latency)
            check_latency(latency)
            for command, can in (("rate 64 1 5", carrier["one_way"]),
                                 ("rate 64 16 5", carrier["one_way"] and carrier["batches"]),
                                 (f"rate {size} 32 5", carrier["one_way"] and carrier["batches"]),  # more than slots
                                 (f"copied {size} 5", carrier["one_way"]),
                                 (f"inplace {size} 5", carrier["in_place"]),
                                 ("inplace 72 5", carrier["in_place"]),
                                 (f"inplace-rtt {size} 5", carrier["in_place"])):
                answer = one.ask(command)
                if can:
                    check_figures(answer)
                else:
                    assert answer["error"]
            assert one.finish() == (0, "")


@needs_two
@pytest.mark.parametrize("name, carrier", [("vopipc", "vopipc"), ("ring", "ring"), ("kernel", "Unix stream")])
def test_large_messages(bench, name, carrier):
    one = bench(name, carrier, SPIN, 1 << 20)
    check_figures(one.ask(f"rtt {1 << 20} 5"))
    check_figures(one.ask(f"copied {1 << 20} 5"))
    check_figures(one.ask("rate 64 1 5"))
    assert one.finish() == (0, "")


@needs_two
def test_wrong_commands(bench):
    one = bench("vopipc", "vopipc", ADAPTIVE)
    for command in ("", "dance", "rtt", "rtt 64", "rtt 63 5", "rtt 56 5", "rtt 65544 5", "rtt 64 0", "rtt 64 5 5",
                    "rtt -64 5", "rtt 64 5x", "rate 64 5", "rate 64 0 5", "rate 64 99999999999999999999 5"):
        assert one.ask(command)["error"], command
    check_figures(one.ask("rtt 64 5"))
    assert one.finish() == (0, "")


@needs_two
@pytest.mark.parametrize("waiting", [SPIN, ADAPTIVE, SLEEP])
def test_sleeps_between_commands(bench, waiting):
    one = bench("vopipc", "vopipc", waiting)
    for _ in range(2):
        for pid in one.sides():
            stat = pathlib.Path(f"/proc/{pid}/stat")
            eventually(lambda stat=stat: stat.read_text().rpartition(") ")[2][0] == "S", "a side sleeps")
        one.ask("rtt 64 5")
    assert one.finish() == (0, "")


@needs_two
@pytest.mark.parametrize("side", [0, 1])
def test_killed_side(bench, side):
    one = bench("vopipc", "vopipc", SPIN)
    one.process.stdin.write("rtt 64 10000\n")
    one.process.stdin.flush()
    os.kill(one.sides()[side], signal.SIGKILL)
    status, errors = one.finish()
    assert status == 1
    last = errors.splitlines()[-1]  # the other side hears of it, and may be gone first
    assert f"side {side} was killed by signal 9" in last or f"side {1 - side} has ended with status 1" in last


@needs_two
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(bench, number):
    one = bench("vopipc", "vopipc", SLEEP)
    one.process.stdin.write("rtt 64 10000\n")
    one.process.stdin.flush()
    one.process.send_signal(number)
    assert one.finish() == (-number, "")


@needs_two
@pytest.mark.parametrize("carrier", ["vopipc", "Unix stream", "Unix seqpacket"])
def test_clients(carrier):
    done = subprocess.run([program("bench-ipc-clients"), "--carrier", carrier, "--clients", "3", "--clients", "10",
                           "--active", "4", "--duration-ms", "20"],
                          capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
    few, more = map(json.loads, done.stdout.splitlines())
    assert few["error"]
    assert more["clients"] == 10 and more["active"] == 4
    assert more["messages"] > 0 and 0 < more["wakes"] <= more["messages"]
    assert 0 < more["p50_us"] <= more["p99_us"] and more["server_us_per_message"] > 0
    assert int(more["descriptors"]) == (2 if carrier == "vopipc" else 1)  # of the last, some are being closed


def test_too_many_clients():
    done = subprocess.run(["prlimit", "--nofile=400:400", program("bench-ipc-clients"), "--carrier", "Unix stream",
                           "--clients", "1000", "--duration-ms", "20"], capture_output=True, text=True,
                          timeout=60 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
    if os.geteuid() != 0:  # who may raise the limit does so
        assert "400" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("arguments", [[], ["--carrier", "drum"], ["--carrier", "ring", "--waiting", "sleep"],
                                       ["--carrier", "ring", "--size-max", "8"], ["--cpus", "1"],
                                       ["--carrier", "futex", "--size-max", "128"], ["more"]])
def test_nonsense_is_refused(arguments):
    done = subprocess.run([program("bench-ipc-ring"), *arguments], capture_output=True, text=True, timeout=20 * SLOW,
                          check=False)
    assert done.returncode == 2
    assert "--help" in one_line(done.stderr)


# ---- run, which plays all of them against each other ----

RUN = pathlib.Path(__file__).resolve().parent.parent / "bench/ipc/run"
RATIOS = ("rtt64_ring_ratio", "rtt64_spin_ratio", "rtt64_best_peer_ratio", "rate64_ring_ratio",
          "rate64_batch16_ring_ratio", "rtt1k_ring_ratio", "rtt4k_ring_ratio", "rtt64k_ring_ratio",
          "rtt1k_best_peer_ratio", "rtt4k_best_peer_ratio", "rtt64k_best_peer_ratio", "copied64k_ring_ratio",
          "copied1m_best_peer_ratio", "inplace64k_ring_ratio", "inplace1m_best_peer_ratio")


def start_run(*arguments):
    return subprocess.Popen([RUN, "--bin", BIN, *map(str, arguments)], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """A run of two short rounds: its directory, its output, its JSON."""
    directory = tmp_path_factory.mktemp("run")
    process = start_run("--rounds", 2, "--slice-ms", 2, "--only", "vopipc", "ring", "pipe", "eventfd",
                        "--json", directory / "figures.json")
    output, errors = process.communicate(timeout=120 * SLOW)
    assert process.returncode == 0, errors
    return directory, output, json.loads((directory / "figures.json").read_text())


@needs_two
def test_run_figures(comparison):
    _, output, figures = comparison
    places = [place for place in ("near", "far") if figures[place]]
    assert places and "fastest peer" in output
    for place in places:
        assert set(RATIOS) <= set(figures[place])
    names = set()
    for works in figures["raw"].values():
        for waitings in works.values():
            for carriers_of in waitings.values():
                names |= set(carriers_of)
                assert all(one["min"] <= one["median"] <= one["p90"] and one["slices"] > 0
                           for one in carriers_of.values())
    assert "vopipc" in names and names <= {"vopipc", "ring", "pipe", "eventfd"}
    assert set(figures["lto"]) == {"near", "far"} and "rtt64_sleep_ratio" in figures
    assert figures["rounds"] == 2
    assert all(one["carrier"] == "instructions" for one in figures["left_out"])  # without valgrind, or under ASan
    assert os.uname().nodename not in json.dumps(figures["machine"])
    assert figures["clients"]["vopipc"]["10"]["p50_us"] > 0


@needs_two
def test_run_pictures(comparison):
    directory, _, _ = comparison
    if not shutil.which("gnuplot"):
        pytest.skip("there is no gnuplot")
    for name in ("ipc-round-trip", "ipc-bars", "ipc-latency"):
        assert (directory / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "SPDX-License-Identifier" in (directory / f"{name}.svg").read_text()


@needs_two
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_is_interrupted(number):
    process = start_run("--only", "ring", "pipe")
    eventually(lambda: len(children(process.pid)) > 1, "programs start", 10)
    begun = children(process.pid)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20 * SLOW)
    assert process.returncode == 130 and "Traceback" not in errors
    assert not any(os.path.exists(f"/proc/{pid}") for pid in begun)


def children(pid):
    return [int(n) for n in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@needs_two
def test_run_goes_on_without_a_program(tmp_path):
    """One that dies is named; the others go on."""
    for name in ("ring", "kernel", "vopipc"):
        (tmp_path / f"bench-ipc-{name}").symlink_to(program(f"bench-ipc-{name}"))
    (tmp_path / "bench-ipc-zmq").write_text(
        "#!/bin/sh\n[ \"$1\" = --list ] || { echo 'no luck today' >&2; exit 1; }\n"
        "exec " + program("bench-ipc-kernel") + " --list | sed 's/\"pipe\"/\"drum\"/'\n")
    (tmp_path / "bench-ipc-zmq").chmod(0o755)
    process = subprocess.Popen([RUN, "--bin", tmp_path, "--rounds", "1", "--slice-ms", "1", "--only", "drum", "ring"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.communicate(timeout=60 * SLOW)
    assert process.returncode == 0, errors
    assert "drum, spin: left out from here on: no luck today" in errors and "left out: drum, spin" in output


@pytest.mark.parametrize("arguments", [["--only", "drummer"], ["--cpus", "1"], ["--rounds", "0"],
                                       ["--docs", "--only", "ring"], ["more"]])
def test_run_refuses_nonsense(arguments):
    process = start_run(*arguments)
    _, errors = process.communicate(timeout=20 * SLOW)
    assert process.returncode == 2 and "run" in errors
