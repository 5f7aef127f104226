# SPDX-License-Identifier: BSD-3-Clause
"""What a user can get wrong: one line that names the thing and the remedy; status 2 for usage and 1 for failure."""
import os
import signal
import socket
import subprocess

import pytest

from lib.bridge import BIN, pause
from lib.echo import holdings, holds_again, kill, one_line, program, run

BOTH = pytest.mark.parametrize("name", ["echo_server", "echo_client"])


def failure(name, link, *words, **options):
    """Runs a program that must fail with one line in which each of the words stands (any one of a tuple)."""
    arguments = [] if name == "echo_server" else ["hello"]
    status, output, errors = run(name, link, *arguments, **options)
    line = one_line(errors)
    assert (status, output) == (1, ""), line
    for word in words:
        assert any(w in line for w in (word if isinstance(word, tuple) else (word,))), f"{word!r} is not in: {line}"
    return line


@BOTH
def test_no_argument_is_usage(name):
    status, output, errors = run(name)
    assert (status, output) == (2, "")
    assert one_line(errors).startswith("usage: ") and "shm:/" in errors


@pytest.mark.parametrize("name", ["echo_server", "echo_client", "loop_server", "ring"])
def test_help_is_no_mistake(name):
    if name == "loop_server" and not (BIN / name).exists():
        pytest.skip("it was built without libuv")
    status, output, errors = run(name, "--help")
    assert (status, errors) == (0, "")
    assert one_line(output).startswith("usage: ")


@BOTH
@pytest.mark.parametrize("link", ["ship:/tmp/x.sock", "tcp://1.2.3.4", "nonsense", "", "SHM:/tmp/x"])
def test_unknown_scheme(name, link):
    failure(name, link, "shm")


@BOTH
def test_no_path(name):
    failure(name, "shm:", "path")


@BOTH
def test_missing_directory(name, place):
    failure(name, f"shm:{place.path}/nowhere/echo.sock", f"{place.path}/nowhere")


@BOTH
def test_path_through_a_file(name, place):
    (place.path / "file").touch()
    failure(name, f"shm:{place.path}/file/echo.sock", f"{place.path}/file")


@BOTH
def test_path_too_long(name, place):
    failure(name, f"shm:{place.path}/{200 * 'x'}", "107")


def test_no_server(place):
    failure("echo_client", place.link, str(place.socket), ("server", "listen"))


def test_live_server_owns_the_socket(place):
    server = place.server()
    failure("echo_server", place.link, str(place.socket), ("live", "already", "another", "running"))
    assert server.poll() is None
    assert run("echo_client", place.link, "still there") == (0, "still there\n", "")


def test_stale_socket_is_replaced(place):
    kill(place.server())
    assert place.socket.is_socket()
    failure("echo_client", place.link, str(place.socket))
    place.server()
    assert run("echo_client", place.link, "again") == (0, "again\n", "")


def test_other_file_is_not_replaced(place):
    place.socket.write_text("precious")
    failure("echo_server", place.link, str(place.socket))
    assert place.socket.read_text() == "precious"


def test_foreign_listener_is_not_replaced_nor_spoken_to(place):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.bind(str(place.socket))
        stream.listen()
        failure("echo_server", place.link, str(place.socket))
        failure("echo_client", place.link, str(place.socket))
    assert place.socket.is_socket()


def test_no_permission_as_nobody(place, as_nobody):
    place.path.chmod(0o755)
    failure("echo_server", place.link, str(place.path), **as_nobody)
    server = place.server()
    failure("echo_client", place.link, str(place.socket), ("ermission", "mode"), **as_nobody)
    assert server.poll() is None


def test_server_that_never_answers(place):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.bind(str(place.socket))
        silent.listen()
        failure("echo_client", place.link, str(place.socket), seconds=10)


def test_server_that_is_stopped(place):
    server = place.server()
    client = place.client()
    client.stdin.write("one\n")
    client.stdin.flush()
    assert client.stdout.readline() == "one\n"
    pause(server.pid)
    client.stdin.write("two\n")
    output, errors = client.communicate(timeout=10)
    assert (client.returncode, output) == (1, "") and one_line(errors)
    server.send_signal(signal.SIGCONT)
    assert run("echo_client", place.link, "goes on") == (0, "goes on\n", "")


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM])
def test_server_refuses_strangers_and_goes_on(place, kind):
    server = place.server()
    before = holdings(server.pid)
    for data in (b"", b"GET / HTTP/1.0\r\n\r\n", bytes(128), os.urandom(128), b"VOPS" + bytes(124)):
        with socket.socket(socket.AF_UNIX, kind) as stranger:
            try:
                stranger.connect(str(place.socket))
                stranger.send(data)
            except OSError:
                pass
            assert run("echo_client", place.link, "beside") == (0, "beside\n", "")
    holds_again(server, before)


def test_too_long_message_is_named(place):
    place.server()
    status, output, errors = run("echo_client", place.link, "short", "x" * 70000)
    assert (status, output) == (1, "short\n")
    assert "65536" in one_line(errors)


def test_output_that_cannot_be_written(place):
    place.server()
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([program("echo_client"), place.link, "hello"], stdout=full, timeout=10, check=False)
    assert done.returncode == 1
