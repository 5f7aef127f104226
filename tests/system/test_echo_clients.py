# SPDX-License-Identifier: BSD-3-Clause
"""The example programs do what they say: one client, many at once, more than fit, one that does not read its echoes."""
import subprocess
import time

from lib.bridge import eventually, process_cpu
from lib.echo import count_in, echoes, finish, holdings, holds_again, kill, run, serves_many


def test_arguments_come_back(place):
    place.server()
    assert run("echo_client", place.link, "hello", "a b", "x" * 60000) == (0, f"hello\na b\n{'x' * 60000}\n", "")


def test_lines_of_standard_input_come_back(place):
    place.server()
    lines = "".join(f"line {i}\n" for i in range(5000)) + "the last one has no newline"
    client = place.start("echo_client", place.link, stdin=subprocess.PIPE)
    output, errors = client.communicate(lines, timeout=20)
    assert (client.returncode, output, errors) == (0, lines, "")


def test_a_client_that_waits_outlives_its_servers(place):
    client = place.start("echo_client", "--wait", place.link, stdin=subprocess.PIPE)
    for turn in range(5):
        client.stdin.write(f"{turn}\n")  # before there is a server
        client.stdin.flush()
        time.sleep(0.05)
        server = place.server()
        assert client.stdout.readline() == f"{turn}\n"
        echoes(client, "more")
        place.kill(server)
    client.stdin.close()
    client.stdin = None
    assert finish(client, 5) == (0, "", "")


def test_many_clients_at_once(place):
    serves_many(place, place.server())


def test_one_client_more_than_fit_is_refused_until_another_leaves(place):
    server = place.server()
    clients = [place.client() for _ in range(100)]
    for client in clients:
        echoes(client, "in")
    code, output, errors = run("echo_client", place.link, "late")
    assert (code, output) == (1, "")
    assert "the server refused: the server has 100 links, as many as it may" in errors
    echoes(clients[0], "still served")
    kill(clients[1])
    eventually(lambda: run("echo_client", place.link, "late") == (0, "late\n", ""), "a place is free", 4)
    assert server.poll() is None


def test_client_that_does_not_read_its_echoes_stops_nobody_else(place):
    server = place.server()
    before = holdings(server.pid)
    count = place.path / "count"
    flood = place.start("crash-peer", "send", "connect", place.link, count, "spin_us=1")
    other = place.client()

    eventually(lambda: count_in(count) > 0, "the flood begins", 5)
    stands = -1
    while stands != count_in(count):  # both directions are full now
        stands = count_in(count)
        time.sleep(0.2)
        echoes(other, "meanwhile")
    assert flood.poll() is None
    cpu = process_cpu(server.pid)
    time.sleep(0.5)
    assert process_cpu(server.pid) - cpu < 0.1, "the server must sleep while it waits for room"
    kill(flood)
    kill(other)
    holds_again(server, before)
    assert run("echo_client", place.link, "afterwards") == (0, "afterwards\n", "")
