# SPDX-License-Identifier: BSD-3-Clause
"""vop serve: a disk, random numbers and a console, for a driver in another program."""
import contextlib
import os
import signal
import subprocess

import pytest

from lib.bridge import BIN, eventually
from lib.echo import listening

SECONDS = 60  # guards against hangs
BLOCK, CONSOLE, RNG = 2, 3, 4  # virtio's device IDs


WAYS = {"--socket": "", "--vhost-user": "vhost:{id}:"}  # and what driver-client calls it


@contextlib.contextmanager
def serving(*words, way, path, **options):
    process = subprocess.Popen([BIN / "vop", "serve", *words, f"{way}={path}"], stderr=subprocess.PIPE,
                               **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | options)
    try:
        eventually(lambda: listening(path), "vop listens", 10)
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0, process.stderr.read()
        assert not path.exists()
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


def client(way, number, path, text=b""):
    done = subprocess.run([BIN / "driver-client", f"{WAYS[way].format(id=number)}{path}"], input=text,
                          capture_output=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("way", WAYS)
def test_block(tmp_path, way):
    disk = tmp_path / "disk"
    contents = os.urandom((1 << 20) + 1536)
    disk.write_bytes(contents + b"rest")
    with serving("block", disk, "--read-only", way=way, path=tmp_path / "s"):
        for _ in range(3):  # one driver after the other
            assert client(way, BLOCK, tmp_path / "s") == contents


@pytest.mark.parametrize("way", WAYS)
def test_rng(tmp_path, way):
    with serving("rng", way=way, path=tmp_path / "s"):
        first, second = client(way, RNG, tmp_path / "s"), client(way, RNG, tmp_path / "s")
    assert len(first) == 4096 and first != second


@pytest.mark.parametrize("way", WAYS)
def test_console(tmp_path, way):
    """What the driver writes comes out, an emergency write first, and what comes in the driver reads, if it was there
    before the driver, too."""
    with serving("console", way=way, path=tmp_path / "s", stdin=subprocess.PIPE) as process:
        process.stdin.write(b"login: bye\n")
        process.stdin.flush()
        assert client(way, CONSOLE, tmp_path / "s", b"hello\nthere\n") == b"login: bye\n"
        assert process.stdout.read(13) == b"!hello\nthere\n"
        process.stdin.close()  # its end is not that of the console
        process.stdin = None


@pytest.mark.parametrize("words", [
    ["tape", "--socket=x"], ["block", "--socket=x"], ["rng", "file", "--socket=x"], ["rng"],
    ["rng", "--socket=x", "--vhost-user=y"]])
def test_usage(words):
    done = subprocess.run([BIN / "vop", "serve", *words], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("vop serve:"), done.stderr


@pytest.mark.parametrize("words, said", [
    (["block", "/nowhere", "--socket=x"], "/nowhere: No such file"),
    (["block", "/dev/null", "--socket=x"], "a regular file or a block device"),
    (["rng", "--socket=/nowhere/x"], "/nowhere/x: its directory does not exist"),
    (["rng", f"--socket={'x' * 200}"], "the name of a socket")])
def test_complaints(words, said):
    done = subprocess.run([BIN / "vop", "serve", *words], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 1 and said in done.stderr, done.stderr
