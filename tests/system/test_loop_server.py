# SPDX-License-Identifier: BSD-3-Clause
"""The example server on an event loop: one thread that floods, slow readers and deaths do not keep from the others."""
import os
import pathlib
import random
import resource
import signal
import time

import pytest

from lib.bridge import BIN, SLOW, eventually, process_cpu
from lib.echo import count_in, echoes, finish, holdings, holds_again, kill, run, serves_many

pytestmark = pytest.mark.skipif(not (BIN / "loop_server").exists(), reason="it was built without libuv")


@pytest.fixture
def server(place):
    return place.server("loop_server")


def flood(place, name):
    """A client that sends as fast as it can and reads no echo. Returns it once both directions are full."""
    count = place.path / name
    process = place.start("crash-peer", "send", "connect", place.link, count, "spin_us=1")
    eventually(lambda: count_in(count) > 0, "the flood begins", 5)
    stands = -1
    while stands != count_in(count):
        stands = count_in(count)
        time.sleep(0.2)
    assert process.poll() is None
    return process


def test_messages_come_back(place, server):
    assert run("echo_client", place.link, "hello", "x" * 60000) == (0, f"hello\n{'x' * 60000}\n", "")
    rows = place.path / "rows"
    rows.write_text("".join(f"row {i}\n" for i in range(20000)))
    with open(rows, encoding="ascii") as lines:
        assert run("echo_client", place.link, stdin=lines) == (0, rows.read_text(), "")
    # The one that closes what a client has left ends by itself.
    eventually(lambda: len(os.listdir(f"/proc/{server.pid}/task")) == 1, "one thread, the point of it", 10.0)


def test_many_at_once(place, server):
    serves_many(place, server)


def test_who_reads_no_echoes_stops_nobody_and_costs_nothing(place, server):
    before = holdings(server.pid)
    floods = [flood(place, f"flood{i}") for i in range(3)]
    other = place.client()
    echoes(other, "meanwhile")
    cpu = process_cpu(server.pid)
    time.sleep(0.5)
    assert process_cpu(server.pid) - cpu < 0.1, "the server must sleep while it waits for room"
    for process in floods:
        kill(process)
        echoes(other, "after a death")
    other.stdin.close()
    assert other.wait(10) == 0
    holds_again(server, before)


def test_clients_that_are_killed(place, server):
    dice = random.Random(7)
    steady = place.client()
    echoes(steady, "first")
    before = holdings(server.pid)
    rows = place.path / "rows"
    rows.write_text("".join(f"row {i}\n" for i in range(200000)))
    for turn in range(20):
        with open(rows, encoding="ascii") as lines:
            victims = [place.start("echo_client", place.link, stdin=lines),
                       place.start("crash-peer", "send", "connect", place.link, place.path / "count", "batch=16")]
        time.sleep(dice.uniform(0, 0.03))
        place.kill(*victims)
        echoes(steady, f"after {turn}")
    holds_again(server, before)
    assert server.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order(place, server, number):
    clients = [place.client() for _ in range(3)]
    for client in clients:
        echoes(client, "up")
    flood(place, "flood")
    server.send_signal(number)
    assert finish(server, 5) == (0, "", "")
    assert not place.socket.exists()
    for client in clients:
        client.stdin.write("anybody there?\n")
        status, output, errors = finish(client, 5)
        assert (status, output) == (1, "") and "closed" in errors, (status, output, errors)


def test_it_waits_for_descriptors(place):
    """Out of them it neither ends nor spins, and serves again when a client has left."""
    server = place.server("loop_server", preexec_fn=lambda: limit_files(40))
    clients = []
    while len(clients) < 20:
        clients.append(place.client())
        clients[-1].stdin.write("in\n")
        clients[-1].stdin.flush()
    time.sleep(0.5 * SLOW)
    cpu = process_cpu(server.pid)
    time.sleep(0.5)
    assert process_cpu(server.pid) - cpu < 0.1
    assert server.poll() is None
    place.kill(*clients)
    assert run("echo_client", place.link, "late") == (0, "late\n", "")


def limit_files(count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def test_wrong_words(place):
    status, output, errors = run("loop_server")
    assert status == 2 and errors.startswith("usage:")
    status, output, errors = run("loop_server", f"shm:{place.path}/none/s")
    assert (status, output) == (1, "") and "/none/s" in errors
