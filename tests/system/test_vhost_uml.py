# SPDX-License-Identifier: BSD-3-Clause
"""user-mode-linux, whose devices come by vhost-user: a network card that is vop-bridge, and a disk and a console of
`vop serve`."""
import hashlib
import json
import os
import pathlib
import pty
import shutil
import subprocess
import threading
import time

import pytest

from lib.bridge import BIN, SLOW, Bridge, eventually
from lib.netns import root_of_project

MODULES = ["failover", "net_failover", "virtio_net", "virtio_blk", "virtio_console"]
MIB = 1 << 20
HOST, GUEST = "10.98.2.1", "10.98.2.2"
PORT = 5003
NET, BLOCK, CONSOLE = 1, 2, 3  # virtio's device IDs
SECONDS = 180 * SLOW

INIT = """#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
for module in {modules}; do insmod /modules/$module.ko; done
ip link set lo up
{commands}
echo "all done: $?"
poweroff -f
"""


@pytest.fixture
def uml(tmp_path):
    """Runs shell commands in a machine with these devices: uml("ls", {socket: BLOCK}); what they print."""
    for program, package in (("linux.uml", "user-mode-linux"), ("busybox", "busybox-static")):
        if not shutil.which(program):
            pytest.skip(f"needs {program} ({package}): scripts/packages check")
    found = {path.stem: path for path in pathlib.Path("/usr/lib/uml/modules").rglob("*.ko")}
    place = tmp_path / "modules"
    place.mkdir()
    for name in MODULES:
        if name not in found:
            pytest.skip(f"this user-mode-linux has no module {name}")
        shutil.copy(found[name], place)

    def run(commands, devices, programs=()):
        init, image = tmp_path / "init", tmp_path / "image"
        init.write_text(INIT.format(modules=" ".join(MODULES), commands=commands))
        subprocess.run([root_of_project() / "tests/system/vm/make_initramfs", image, init, place, *programs],
                       check=True, stdin=subprocess.DEVNULL)
        words = ["mem=96M", f"initrd={image}", "con=null", "con0=null,fd:1", "ssl=null", "panic=-1", "quiet"]
        words += [f"virtio_uml.device={path}:{number}" for path, number in devices.items()]
        done = subprocess.run(["setpriv", "--pdeathsig", "KILL", "linux.uml", *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS,
                              errors="replace", env=os.environ | {"TMPDIR": "/dev/shm", "HOME": str(tmp_path)})
        assert "all done: 0" in done.stdout, done.stdout
        return done.stdout
    return run


class Serve:
    """vop serve, at a terminal."""

    def __init__(self, path, *words):
        self.terminal, end = pty.openpty()
        self.process = subprocess.Popen([BIN / "vop", "serve", *map(str, words), "--vhost-user", str(path)], stdin=end,
                                        stdout=end, stderr=end)
        os.close(end)
        try:
            eventually(path.exists, "vop serve listens", 10)
        except BaseException:
            self.end()
            raise

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.mark.parametrize("packed", [False, True])
def test_net(uml, namespaces, tmp_path, packed):
    """Pings, and a file that is sent from in the machine."""
    namespace = namespaces("host")
    path = tmp_path / "card"
    bridge = Bridge("--link", f"vhost-user:{path}" + ("?packed" if packed else ""), "--tap", "vop0", "--address",
                    f"{HOST}/24", "--control", "none", namespace=namespace, log=tmp_path / "bridge.log")
    listener = namespace.socket()
    seen = hashlib.md5()

    def serve():
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(65536):
                seen.update(data)

    try:
        eventually(path.exists, "the bridge listens", 10)
        listener.bind((HOST, PORT))
        listener.listen(1)
        listener.settimeout(SECONDS)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        said = uml(f"""ip addr add {GUEST}/24 dev eth0 && ip link set eth0 up
            until ping -c 1 -W 1 {HOST} >/dev/null; do usleep 50000; done
            ping -c 20 -i 0.05 -W 5 {HOST}
            dd if=/dev/urandom of=/tmp/data bs=64k count=128 2>/dev/null
            md5sum </tmp/data
            nc {HOST} {PORT} </tmp/data""", {path: NET})
        thread.join(SECONDS)
        assert "20 packets transmitted, 20 packets received" in said
        assert seen.hexdigest() in said
    finally:
        listener.close()
        bridge.stop()


def test_net_control(uml, namespaces, tmp_path):
    """Linux's driver, with nobody between it and the bridge, uses two queue pairs, and says how frames are spread."""
    ethtool = shutil.which("ethtool", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not ethtool:
        pytest.skip("needs ethtool: scripts/packages check")
    path, control = tmp_path / "card", tmp_path / "control"
    bridge = Bridge("--link", f"vhost-user:{path}?control", "--tap", "vop0", "--address", f"{HOST}/24", "--mtu", 1400,
                    "--queues", 2, "--steer", "rss", "--verbose", "--control", control, namespace=namespaces("host"),
                    log=tmp_path / "bridge.log")
    key = ":".join(f"{i:02x}" for i in range(40))
    seen = []

    def show():
        done = subprocess.run([BIN / "vop", "bridge", "steer", "show", "--json", "--control", control], text=True,
                              capture_output=True, check=False)
        return json.loads(done.stdout)[0] if done.returncode == 0 else {}

    def look():
        while not is_over.wait(0.05):
            rss = show().get("rss", {})
            seen.append((rss.get("hfunc"), rss.get("hkey"), rss.get("table", [])[:4]))

    is_over = threading.Event()
    try:
        eventually(path.exists, "the bridge listens", 10)
        if "built without" in (show()["fallback"] or ""):
            pytest.skip("built without the steering program")
        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        said = uml(f"""ip addr add {GUEST}/24 dev eth0 && ip link set eth0 up
            cat /sys/class/net/eth0/mtu /sys/class/net/eth0/carrier
            until ping -c 1 -W 1 {HOST} >/dev/null; do usleep 50000; done
            ethtool -L eth0 combined 2
            ethtool -X eth0 hkey {key} weight 0 1
            ethtool -x eth0
            usleep 300000
            ping -c 20 -i 0.05 -W 5 {HOST}""", {path: NET}, [ethtool])
        is_over.set()
        watcher.join()
        assert "1400\n1\n" in said.replace("\r", "")
        assert "20 packets transmitted, 20 packets received" in said
        assert ("toeplitz", key, [1, 1, 1, 1]) in seen, bridge.text() + said
    finally:
        is_over.set()
        bridge.stop()


def test_block(uml, tmp_path):
    """What is read and written are the file's bytes."""
    path, disk = tmp_path / "disk", tmp_path / "file"
    before = os.urandom(16 * MIB)
    disk.write_bytes(before)
    serve = Serve(path, "block", disk)
    try:
        said = uml("""md5sum </dev/vda
            dd if=/dev/urandom of=/tmp/data bs=1M count=16 2>/dev/null
            md5sum </tmp/data
            dd if=/tmp/data of=/dev/vda bs=1M conv=fsync 2>/dev/null""", {path: BLOCK})
    finally:
        serve.end()
    assert hashlib.md5(before).hexdigest() in said
    after = disk.read_bytes()
    assert after != before and hashlib.md5(after).hexdigest() in said


def test_console(uml, tmp_path):
    """The machine's login is on the terminal, and what is typed there arrives."""
    path = tmp_path / "console"
    serve = Serve(path, "console")
    shown = b""

    def type_name():
        nonlocal shown
        while b"login: " not in shown:
            shown += os.read(serve.terminal, 4096)
        time.sleep(0.1)  # getty throws away what was typed before
        os.write(serve.terminal, b"somebody\r")

    try:
        thread = threading.Thread(target=type_name, daemon=True)
        thread.start()
        said = uml("""printf '#!/bin/sh\\necho "hello $2" >/tmp/name' >/tmp/login; chmod +x /tmp/login
            getty -i -l /tmp/login 115200 hvc0 &
            until [ -s /tmp/name ]; do usleep 50000; done; cat /tmp/name""", {path: CONSOLE})
        thread.join(SECONDS)
    finally:
        serve.end()
    assert b"login: " in shown
    assert "hello somebody" in said
