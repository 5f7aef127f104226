# SPDX-License-Identifier: BSD-3-Clause
"""The configuration file of vop-bridge: each mistake has a line that names file, line and remedy."""
import re

import pytest

from lib.bridge import run
from lib.netns import root_of_project

GOOD = 'link = "shm:/run/vop-test-unused.sock";\ntap = "vop0";\n'  # two lines
EXAMPLE = root_of_project() / "examples/vop-bridge.conf"

# What the file has behind GOOD, so from line 3, and what is said of it: a line for each mistake.
MISTAKES = [
    # names
    ("mtuu = 1500;", [r":3: mtuu: there is no such setting; did you mean mtu\?"]),
    ("socket_mode = 1;", [r":3: socket_mode: there is no such setting; did you mean socket-mode\?"]),
    ("colour = 1;", [r":3: colour: there is no such setting; see vop-bridge --help"]),
    ("config = \"x\";\ncheck-config = true;",
     [r":3: config: only the command line can have it; leave it out", r":4: check-config: only the command line"]),
    ("mtu = 1500;\n\nmtu = 1501;\nmtuu = 3;",
     [r":5: a name that was given above already; leave one of them out, .*list", r":6: mtuu: "]),
    ("mtu = 60;\nmtu = 1;\nmtu = 2;\nslots = 3;",
     [r":4: a name that was given above", r":5: a name that was given above", r":3: mtu 60", r":6: slots 3: "]),
    # types
    ("mtu = \"1500\";", [r":3: mtu: not a whole number; write mtu = BYTES; without quotes"]),
    ("mtu = 1500.5;", [r":3: mtu: not a whole number"]),
    ("mtu = true;", [r":3: mtu: not a whole number"]),
    ("mtu = [1500];", [r":3: mtu: not a whole number"]),
    ("listen = 1;", [r":3: listen: neither true nor false; write listen = true; without quotes"]),
    ("listen = \"yes\";", [r":3: listen: neither true nor false"]),
    ("listen = true;\nsocket-mode = 0660;", [r':4: socket-mode: not a text; .*socket-mode = "OCTAL";']),
    ("master = 7;", [r':3: master: not a text; write it in quotes: master = "NAME";']),
    ("sandbox = false;", [r':3: sandbox: not a text; write it in quotes: sandbox = "on\|off";']),
    ("peer-uid = true;", [r":3: peer-uid: neither a text nor a whole number"]),
    ("affinity = { first = 0; };", [r":3: affinity: neither a text, a whole number nor a list"]),
    ("address = 10;", [r':3: address: neither a text nor a list of texts; write address = \["CIDR", "CIDR"\];']),
    ("address = (\n\"10.0.0.1/8\",\n(\"10.0.0.2/8\"));", [r":5: address: neither a text nor a list of texts"]),
    # values, as on the command line
    ("mtu = 60;", [r":3: mtu 60: out of range; from 68 to 65521 is possible"]),
    ("mtu = -1500;", [r":3: mtu -1500: not a number"]),
    ("mtu = 4294968796;", [r":3: 4294968796: too large for a number here"]),  # 1500 in 32 bits
    ("slots = 1000;", [r":3: slots 1000: not a power of two; take 256"]),
    ("address = [\"10.0.0.1/8\",\n  \"10.0.0.2\",\n  \"fd00::g/64\"];",
     [r":4: address 10.0.0.2: no prefix length", r":5: address fd00::g/64: not an IPv4 or IPv6 address"]),
    ("route = [\"10.1.0.0/16 via x\"];", [r":3: route 10.1.0.0/16 via x: the gateway is not"]),
    ("altname = [" + ", ".join(f'"n{i}"' for i in range(17)) + "];", [r":3: altname n16: at most 16"]),
    ("offload = [\"csum\", \"lro\"];", [r":3: offload csum,lro: unknown offload"]),
    ("carrier = \"off\";", [r":3: carrier off: neither follow nor on; write one of them"]),
    ("log-level = \"loud\";", [r":3: log-level loud: none of error, warning, notice, info, debug"]),
    ("peer-uid = \"no-such-user\";", [r":3: peer-uid no-such-user: no such user"]),
    ("control = \"here\";", [r":3: control here: neither an absolute path nor none"]),
    ("metrics = \"tcp:0.0.0.0:1\";", [r":3: metrics tcp:0.0.0.0:1: only this host"]),
    ("master = \"\";", [r":3: master : an interface needs a name"]),
    ("netns = \"\";", [r":3: netns : nothing is named"]),
    (f"netns = \"{'x' * 4200}\";", [r":3: netns: "]),
    # what does not go together
    ("\nsocket-mode = \"0600\";", [r":4: socket-mode 0600: only the side that listens"]),
    ("slots = 32768;\nslot-size = 1048576;", [r":3: slots 32768 slot-size 1048576: more than 1 GiB"]),
    ("control-mode = \"0600\";\ncontrol = \"none\";", [r":3: control-mode 0600: there is no control socket"]),
    ("mtu = 1000;\naddress = \"fd00::1/64\";", [r":3: mtu 1000: IPv6 needs an MTU of 1280 .* fd00::1/64"]),
    # syntax
    ("mtu = ;", [r":3: syntax error, here or just above; write name = value; .*was not looked at"]),
    ("mtu\nslots = 3;", [r":4: syntax error"]),
    ("master = br0;", [r":3: syntax error.*texts in quotes"]),
    ("master = \"br0;\nmac = \"02:00:00:00:00:01\";", [r":3: a text does not end on this line; close it with a quote"]),
    ("/* never\nclosed", [r":3: a comment begins here and does not end; close it"]),
    ("affinity = [1, \"x\"];", [r":3: a list of values of several types; write all of them in quotes"]),
    ("@include \"/etc/passwd\"", [r":3: @include: one file has all"]),
    # all that came before a mistake of syntax is looked at
    ("mtu = 60;\nslots = 3;\nmac = = 1;\ntxqueuelen = 0;", [r":5: syntax error", r":3: mtu 60", r":4: slots 3"]),
    # and all of these at once
    ("mtu = 60;\nslots = 3;\nmac = \"1\";\ncolour = 1;\nlisten = 1;",
     [r":6: colour", r":7: listen", r":3: mtu 60", r":4: slots 3", r":5: mac 1"]),
]


@pytest.fixture
def check(tmp_path):
    def run_check(text, *words):
        path = tmp_path / "vop.conf"
        path.write_text(text)
        status, out, err = run("--config", path, "--check-config", *words)
        assert out == ""
        assert all(line.startswith("vop-bridge: ") for line in err.splitlines()), err
        return status, err.replace(str(path), "FILE").splitlines()

    return run_check


@pytest.mark.parametrize("text, patterns", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(check, text, patterns):
    status, lines = check(GOOD + text)
    assert status == 2 and len(lines) == len(patterns), lines
    for line, pattern in zip(lines, patterns):
        assert re.match("vop-bridge: FILE" + pattern, line), (line, pattern)


def test_missing(check):
    """What neither has; and where a part of the file is not known, nobody says that it is missing."""
    status, lines = check("mtu = 1500;")
    assert status == 2 and len(lines) == 2
    assert "no link named; say which, as in --link" in lines[0] and 'or link = "shm:' in lines[0] and "FILE" in lines[0]
    assert check("mtu = 1500;", "--link", "shm:/x", "--tap", "vop0") == (0, [])
    assert len(check("mtu = ;")[1]) == 1


def test_command_line_wins(check):
    """Lists as a whole; and mistakes in what it overrides are found all the same."""
    assert check(GOOD + "mtu = 1000;", "--address", "fd00::1/64")[0] == 2
    assert check(GOOD + "mtu = 1000;", "--address", "fd00::1/64", "--mtu", "1280") == (0, [])
    assert check(GOOD + 'mtu = 1000;\naddress = ["fd00::1/64"];', "--address", "10.0.0.1/8") == (0, [])
    status, lines = check(GOOD + "mtu = 60;", "--mtu", "1500")
    assert status == 2 and ":3: mtu 60" in lines[0]
    status, lines = check(GOOD + "slots = 32768;", "--slot-size", "1048576")
    assert status == 2 and "FILE:3: slots 32768 --slot-size 1048576: more than 1 GiB" in lines[0]


@pytest.mark.parametrize("what, pattern", [
    ("missing", r"--config .*: No such file or directory; name a file that this user can read"),
    ("directory", r"--config .*: not a regular file"),
    ("zero", r"--config .*: there are bytes of zero in it"),
    ("large", r"--config .*: larger than 64 KiB"),
])
def test_files(tmp_path, what, pattern):
    path = tmp_path / "vop.conf"
    if what == "directory":
        path.mkdir()
    elif what != "missing":
        path.write_bytes(b"mtu = 1500;\0" if what == "zero" else b"#" * ((64 << 10) + 1))
    status, out, err = run("--config", path, "--check-config")
    assert status == 2 and out == "" and re.fullmatch("vop-bridge: " + pattern + ".*\n", err), err


def test_a_start_is_refused_alike(tmp_path):
    path = tmp_path / "vop.conf"
    path.write_text(GOOD + "mtu = 60;\nslots = 3;\n")
    status, _, err = run("--config", path)
    assert status == 2 and len(err.splitlines()) == 2


def test_example(check):
    """It is right; so is each line that is commented out; and it has all settings that there are."""
    text = EXAMPLE.read_text()
    assert check(text) == (0, [])
    disabled = re.findall(r"^#([\w-]+ = .*;)$", text, re.MULTILINE)
    for line in disabled:
        assert check(re.sub(rf"^{line.split()[0]} = .*$", "", text, flags=re.MULTILINE) + line) == (0, []), line
    named = {line.split()[0] for line in disabled} | set(re.findall(r"^([\w-]+) =", text, re.MULTILINE))
    assert named == set(re.findall(r"--([\w-]+)", run("--help")[1].partition("Example:")[0])) - \
        {"config", "check-config", "help", "usage", "version"}
