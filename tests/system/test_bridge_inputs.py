# SPDX-License-Identifier: BSD-3-Clause
"""Bad input: one line that names thing and remedy, exit status 2 for usage and 1 for failure, nothing left behind."""
import ctypes
import os
import re
import socket
import stat

import pytest

from lib.bridge import Bridge, eventually, run

GOOD = ["--link", "shm:/run/vop-test-unused.sock", "--tap", "vop0"]

USAGE = [
    (["--tap", "vop0"], r"no link named"),
    (["--link", "shm:/run/x"], r"no interface named; .*--tap vop0"),
    ([*GOOD, "extra"], r"extra: only options are known"),
    ([*GOOD, "--tap", "an-interface-name"], r"--tap an-interface-name: longer than 15 bytes.*shorten"),
    ([*GOOD, "--tap", "a/b"], r"--tap a/b: .*'/'"),
    ([*GOOD, "--address", "10.0.0.1"], r"--address 10.0.0.1: no prefix length; .*10.99.0.1/24"),
    ([*GOOD, "--address", "10.0.0.1/33"], r"--address 10.0.0.1/33: .*0 to 32"),
    ([*GOOD, "--address", "fd00::g/64"], r"--address fd00::g/64: not an IPv4 or IPv6 address"),
    ([*GOOD, "--mtu", "60"], r"--mtu 60: out of range; from 68 to 65521"),
    ([*GOOD, "--mtu", "1279", "--address", "fd00::1/64"], r"--mtu 1279: IPv6 needs .* 1280 .* leave out .* fd00::1/64"),
    ([*GOOD, "--route", "10.1.0.1/16"], r"--route 10.1.0.1/16: .*bits beyond .*10.1.0.0/16"),
    ([*GOOD, "--route", "10.1.0.0/16 via fd00::1"], r"--route 10.1.0.0/16 via fd00::1: .*not both IPv4"),
    ([*GOOD, "--altname", "a:b"], r"--altname a:b: .*':'"),
    ([*GOOD, "--metrics", "tcp:0.0.0.0:9100"], r"--metrics tcp:0.0.0.0:9100: only this host"),
    ([*GOOD, "--carrier", "off"], r"--carrier off: neither follow nor on; write one of them"),
    ([*GOOD, "--on-peer-loss", "wait"], r"--on-peer-loss wait: none of hold, drop, exit; write one of them"),
    ([*GOOD, "--tap-fd", "3,3"], r"--tap-fd 3,3: .*twice"),
    ([*GOOD, "--tap-fd", "3,4", "--queues", "3"], r"--queues 3 --tap-fd 3,4: there is one queue for each"),
    ([*GOOD, "--capture-dir", "here"], r"--capture-dir here: neither an absolute path nor none"),
    ([*GOOD, "--mtu", "big"], r"--mtu big: not a number"),
    ([*GOOD, "--mac", "ff:ff:ff:ff:ff:ff"], r"--mac ff:ff:ff:ff:ff:ff: .*unicast"),
    ([*GOOD, "--mac", "02:00"], r"--mac 02:00: not an Ethernet address; .*02:00:00:00:00:01"),
    ([*GOOD, "--txqueuelen", "0"], r"--txqueuelen 0: out of range; from 1"),
    ([*GOOD, "--offload", "tso4"], r"--offload tso4: .*add csum"),
    ([*GOOD, "--offload", "lro"], r"--offload lro: unknown offload; write all, none"),
    ([*GOOD, "--offload", "csum,uso4"], r"--offload csum,uso4: .*name both"),
    ([*GOOD, "--slots", "1000"], r"--slots 1000: not a power of two; take 256"),
    ([*GOOD, "--slot-size", "1000"], r"--slot-size 1000: not a multiple of 64; take 2048"),
    ([*GOOD, "--slots", "32768", "--slot-size", "1048576"], r"more than 1 GiB"),
    ([*GOOD, "--spin-us", "forever"], r"--spin-us forever: not a number"),
    ([*GOOD, "--listen", "--socket-mode", "rw"], r"--socket-mode rw: not an octal number; .*0660"),
    ([*GOOD, "--peer-uid", "no-such-user"], r"--peer-uid no-such-user: no such user; .*id\(1\)"),
    ([*GOOD, "--peer-uid", "4294967295"], r"--peer-uid 4294967295: out of range"),
    ([*GOOD, "--on-netns-loss", "wait"], r"--on-netns-loss wait: neither exit nor keep"),
    ([*GOOD, "--on-netns-loss", "keep"], r"--on-netns-loss keep: no namespace is named; .*--netns"),
    ([*GOOD, "--socket-mode", "0600"], r"--socket-mode 0600: only the side that listens"),
    (["--link", "mpc8349-2009:board", "--tap", "vop0", "--queues", "2"], r"--queues 2: such a link can have 1"),
]


def one_line(text):
    assert text.startswith("vop-bridge: ") and text.endswith("\n") and text.count("\n") == 1, f"not one line: {text!r}"
    return text


@pytest.mark.parametrize("words, pattern", USAGE, ids=lambda value: value if isinstance(value, str) else "")
def test_usage(words, pattern):
    status, out, err = run(*words)
    assert status == 2 and out == ""
    assert re.search(pattern, one_line(err)), err


def test_all_mistakes():
    """Each has a line."""
    status, out, err = run()
    assert status == 2 and out == ""
    assert [line.split(";")[0] for line in err.splitlines()] == ["vop-bridge: no link named",
                                                                 "vop-bridge: no interface named"]
    status, out, err = run(*GOOD, "--mtu", "60", "--mac", "2", "--slots", "32768", "--slot-size", "1048576")
    assert status == 2 and [line.split(":")[1] for line in err.splitlines()] == [
        " --mtu 60", " --mac 2", " --slots 32768 --slot-size 1048576"]


def test_unknown_option():
    status, out, err = run("--lnik", "x")
    assert status == 2 and out == ""
    assert "--lnik" in err and "--help" in err


def test_help_and_version():
    status, out, err = run("--help")
    assert status == 0 and err == "" and "--offload" in out and "Example:" in out
    status, out, err = run("--version")
    assert status == 0 and err == "" and re.fullmatch(r"vop-bridge \d+\.\d+\.\d+\n", out)


@pytest.fixture
def fails(namespaces, tmp_path):
    """Runs a bridge that is to fail in a namespace, and looks that it leaves no interface."""
    namespace = namespaces("a")

    def check(pattern, *words, link=None, listen=True, tap="vop0", was_there=False, **options):
        status, out, err = run("--link", link or f"shm:{tmp_path}/link.sock", *(["--listen"] if listen else []),
                               "--tap", tap, "--netns", namespace.name, *words, **options)
        assert status == 1 and out == "", (status, out, err)
        assert re.search(pattern, one_line(err)), err
        assert was_there or namespace.link(tap) is None

    check.namespace = namespace
    check.directory = tmp_path
    return check


@pytest.mark.parametrize("listen", [True, False])
def test_unknown_scheme(fails, listen):
    fails("carrier-pigeon.*known: shm", link="carrier-pigeon:/run/x", listen=listen)
    fails("/run/x", link="/run/x", listen=listen)


def test_missing_directory(fails):
    fails(r"/no/such/dir.*", link="shm:/no/such/dir/link.sock")


def test_long_path(fails):
    fails("x{50}", link=f"shm:/tmp/{'x' * 200}")
    fails("x{50}", link=f"shm:/tmp/{'x' * 200}", listen=False)


def test_live_server(fails, tmp_path):
    """The second one fails; the first one is not disturbed, and neither is its interface."""
    first = Bridge("--link", f"shm:{tmp_path}/link.sock", "--listen", "--tap", "first", "--netns", fails.namespace.name,
                   log=tmp_path / "first.log")
    try:
        eventually((tmp_path / "link.sock").exists, first.text)
        fails("link.sock")
        fails("first: another program", tap="first", link=f"shm:{tmp_path}/other.sock", was_there=True)
        assert first.process.poll() is None and (tmp_path / "link.sock").exists()
    finally:
        first.kill()


def test_stale_socket_is_replaced(namespaces, tmp_path):
    namespace = namespaces("a")
    path = tmp_path / "link.sock"
    words = ["--link", f"shm:{path}", "--listen", "--tap", "vop0", "--netns", namespace.name]
    first = Bridge(*words, log=tmp_path / "first.log")
    eventually(path.exists, first.text)
    first.kill()
    assert path.exists()
    second = Bridge(*words, log=tmp_path / "second.log")
    try:
        eventually(lambda: namespace.link("vop0"), second.text)
        eventually(lambda: "00010000" in os.popen(f"grep {path} /proc/net/unix").read(), second.text)
    finally:
        assert second.stop() == 0
    assert not path.exists()


def test_path_is_a_file(fails, tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    fails("file", link=f"shm:{path}")
    assert path.read_text() == "precious"


def test_socket_mode(namespaces, tmp_path):
    namespace = namespaces("a")
    path = tmp_path / "link.sock"
    for mode in (None, 0o660):
        bridge = Bridge("--link", f"shm:{path}", "--listen", "--tap", "vop0", "--netns", namespace.name,
                        *(["--socket-mode", f"{mode:o}"] if mode else []), log=tmp_path / "log")
        eventually(path.exists, bridge.text)
        assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
        assert bridge.stop() == 0


def test_whose_peer_is_unknown(fails, tmp_path):
    path = tmp_path / "memory"
    path.write_bytes(bytes(1 << 24))
    for listen in (True, False):
        fails("ivshmem: nobody knows whose process", "--peer-uid", "root", link=f"ivshmem:{path}", listen=listen)


def test_server_of_another_user(fails, tmp_path):
    """Whoever has put up a socket there is given nothing, and is named."""
    path = tmp_path / "link.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(str(path))
        server.listen(1)
        fails(r"link.sock: a process of user 0 listens there, .* of user 65534", "--peer-uid", 65534, listen=False)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(200) == b""


def test_other_program_on_the_socket(fails, tmp_path):
    """Something that is no peer of ours: it is named, and the bridge does not hang."""
    path = tmp_path / "link.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(1)
        fails("link.sock", listen=False)


def test_no_such_namespace(tmp_path):
    status, _, err = run(*GOOD, "--netns", "vopt-no-such")
    assert status == 1 and re.search("--netns vopt-no-such: no such network namespace; .*ip netns", one_line(err))
    path = tmp_path / "file"
    path.write_text("")
    status, _, err = run(*GOOD, "--netns", path)
    assert status == 1 and re.search("--netns.*not a network namespace", one_line(err))


def test_no_such_master(fails):
    fails("--master br9: .*ip link add br9 type bridge", "--master", "br9")


def test_master_without_members(fails):
    fails("--master lo: ", "--master", "lo")


def test_multi_queue_mismatch(fails):
    fails.namespace.ip("tuntap", "add", "dev", "vop0", "mode", "tap")
    fails(r"--tap vop0: .*one queue and --queues says 2.*ip tuntap del dev vop0 mode tap && ip tuntap add dev vop0 "
          r"mode tap vnet_hdr multi_queue", "--queues", "2", was_there=True)
    repair = "ip tuntap del dev vop0 mode tap && ip tuntap add dev vop0 mode tap vnet_hdr multi_queue"
    fails.namespace.run("sh", "-c", repair)
    fails("no/such", "--queues", "2", link="shm:/no/such/dir", was_there=True)  # now it is not what it fails of


def test_tun_instead_of_tap(fails):
    fails.namespace.ip("tuntap", "add", "dev", "vop0", "mode", "tun")
    fails(r"--tap vop0: it is a TUN.*ip tuntap", was_there=True)


def test_other_interface_of_the_name(fails):
    fails(r"--tap lo: .*not a TAP; choose another name", tap="lo", was_there=True)


def drop_capabilities(*numbers):
    """For preexec_fn: the program to come has none of these."""
    for number in numbers:
        if ctypes.CDLL(None).prctl(24, number, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            raise OSError("prctl")


def test_no_capability(fails):
    fails(r"TAP vop0: Operation not permitted; run with CAP_NET_ADMIN",
          preexec_fn=lambda: drop_capabilities(12))  # CAP_NET_ADMIN


def test_no_rights_at_all(root, as_nobody):
    """As a plain user: who may not even open the device, is told so."""
    status, _, err = run("--link", "shm:/tmp/vop-test-nobody.sock", "--listen", "--tap", "vop0", **as_nobody)
    assert status == 1
    assert re.search(r"(TAP vop0|/dev/net/tun): (Operation not permitted|Permission denied); run ", one_line(err)), err


def test_no_permission_for_the_socket(fails, tmp_path):
    """The socket belongs to somebody else, and its mode does not let us in."""
    path = tmp_path / "link.sock"
    server = Bridge("--link", f"shm:{path}", "--listen", "--tap", "vop1", "--netns", fails.namespace.name,
                    log=tmp_path / "log")
    try:
        eventually(path.exists, server.text)
        os.chown(path, 65534, 65534)
        fails(r"link.sock.*(Permission denied|permission)", listen=False, preexec_fn=lambda: drop_capabilities(1, 2))
    finally:
        server.kill()


def test_named_offload_must_be_possible(fails):
    fails("too small for --offload csum,tso4; .*", "--slots", 16, "--offload", "csum,tso4")


def test_geometry_too_small_for_mtu(fails):
    fails("--slots 2 --slot-size 512: too small for a frame of MTU 1500", "--slots", 2, "--slot-size", 512)


def test_peer_with_too_small_a_geometry(pair):
    """The link's geometry is the smaller of both: told by both sides, and the carrier stays off."""
    pair.start_side("a", "--mtu", 9000, "--slots", 16)
    b = pair.start_side("b", "--mtu", 1500, "--slots", 2)
    pair.bridge["a"].wait_line(r"2 slots of 2048 bytes cannot carry a frame of MTU 9000; raise --slots")
    assert not pair.is_up()
    b.stop()
    pair.start_side("b", "--mtu", 9000, "--slots", 16)
    pair.wait_up()
