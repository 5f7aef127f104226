# SPDX-License-Identifier: BSD-3-Clause
"""A host and its MPC8349 board: a machine with our driver, the model in its PCI slot, and a program on the board.

The machine is 10.99.0.1 and side 0. The board's program runs here, in a namespace of its own, and is 10.99.0.2."""
import collections
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import struct
import subprocess
import threading
import time

from lib.bridge import BIN, Bridge, eventually
from lib.vm import PLACE, SLOW

SLOT = 4
PIN = (10, 10, 11, 11)[(SLOT - 1) % 4]  # of the interrupt controller: how QEMU's pc leads INTA of this slot there
ADDRESS = f"0000:00:{SLOT:02x}.0"
SYSFS = f"/sys/bus/pci/devices/{ADDRESS}"
BLOCK = 1 << 20  # bytes behind BAR 1, and of the pool
SLOTS = 256      # what fits there
MEMORY = 192     # MiB of the machine
HOST, BOARD = "10.99.0.1", "10.99.0.2"
FILE_PORT = 5001
PINGS_ID = 0x8349
NATIVE, PAIR = "mpc8349", "mpc8349-2009"
BOARD_BRIDGE = "vop-bridge-on-model"
PROGRAMS = ["vop-bridge", "vop"]  # in the machine
POWERPC_BIN = pathlib.Path(os.environ.get("VOP_POWERPC_BIN") or BIN.parent.parent / "powerpc/bin")


class Model:
    """A board, without anybody on either side."""

    def __init__(self, place, name="board"):
        self.place = pathlib.Path(place)
        self.slot, self.core, self.machine, self.qtest = (self.place / f"{name}.{what}" for what in
                                                          ("slot", "core", "machine", "qtest"))
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", BIN / "model8349", self.slot, self.core, self.machine, str(BLOCK),
             self.qtest, str(PIN)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def order(self, *words):
        """What tests/rig8349/main.c says; the line that it answers."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def counts(self):
        return json.loads(self.order("counts"))

    def connection(self):
        """A board for a slot of a machine."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.slot))
        return connection

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def machine_options(model, connection):
    """Arguments of a machine with the board in its slot. It has one processor: while the proxy device waits for an
    answer, QEMU lets others run, and takes their accesses for re-entrant ones and drops them."""
    return {"devices": [f"x-pci-proxy-dev,id=board,fd={connection.fileno()},addr={SLOT}"],
            "memory": MEMORY, "processors": 1, "fds": [connection.fileno()],
            "words": ["-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on", "-machine",
                      "memory-backend=ram", "-qtest", f"unix:{model.qtest},server=on,wait=off", "-qtest-log",
                      "/dev/null"]}


def words_of(scheme, where, address):
    """Arguments of a bridge. The host's listens; in the layout of 2009 there are no slots, and nobody does."""
    words = ["--tap", "vop0", "--address", f"{address}/24", "--link", f"{scheme}:{where}"]
    if scheme == PAIR:
        words[-1] += "?device=0"
    else:
        words += ["--slots", str(SLOTS)] + (["--listen"] if address == HOST else [])
    return words


class HostSide:
    """The machine, and the bridge in it."""

    def __init__(self, model, start_machine):
        """start_machine(**options) makes the machine."""
        with model.connection() as connection:
            self.machine = start_machine(**machine_options(model, connection))
        self.bridge = None

    def wait_boot(self):
        self.machine.wait_boot()
        self.machine.load_modules("uio", "tun")
        self.machine.run(f"insmod /modules/vop_pci_uio.ko pool_size={BLOCK}")
        assert int(self.machine.run(f"cat {SYSFS}/irq")) == PIN
        self.machine.start(f"nc -ll -p {FILE_PORT} -e cat /tmp/new", "/dev/null")
        return self

    def start_bridge(self, scheme=NATIVE):
        self.bridge = self.machine.start(shlex.join(["vop-bridge", *words_of(scheme, ADDRESS, HOST)]), "/tmp/bridge")

    def stop_bridge(self, signal="TERM"):
        self.machine.run(f"kill -{signal} {self.bridge}")
        self.machine.eventually(f"! grep -q vop-bridge /proc/{self.bridge}/cmdline", "the end of the bridge")
        self.bridge = None

    def says(self):
        return self.machine.run("cat /tmp/bridge").splitlines()

    def wait_carrier(self, value, seconds=10):
        self.machine.eventually(f"cat /tmp/bridge; [ \"$(cat /sys/class/net/vop0/carrier)\" = {value} ]",
                                f"carrier {value}", seconds)

    def ping(self, count=20, interval=0.05):
        """(per cent lost, [time in seconds])"""
        text = self.machine.status(f"ping -c {count} -i {interval} -W 8 {BOARD}", count * interval + 15)[1]
        return float(re.search(r"([\d.]+)% packet loss", text)[1]), [float(t) / 1e3 for t in
                                                                    re.findall(r"time=([\d.]+) ms", text)]

    def iperf(self, seconds, *options):
        """Mbit/s that arrived."""
        self.machine.eventually(f"iperf3 -c {BOARD} -t {seconds} -J {' '.join(options)} >/tmp/iperf",
                                "iperf3 runs to its end", 10 + seconds)
        return json.loads(self.machine.run("cat /tmp/iperf"))["end"]["sum_received"]["bits_per_second"] / 1e6

    def unplug(self):
        self.machine.unplug("board")

    def plug(self, model):
        with model.connection() as connection:
            self.machine.monitor.give("board", connection.fileno())
        self.machine.monitor.execute("device_add", driver="x-pci-proxy-dev", id="board", fd="board",
                                     addr=f"{SLOT:#x}")


class BoardSide:
    """The board's bridge, here in a namespace. Its registers come over a socket of the model's; no broker knows it."""

    def __init__(self, model, namespace, place, program=BOARD_BRIDGE):
        self.model, self.namespace, self.place, self.program = model, namespace, pathlib.Path(place), program
        self.bridge = None

    def start_bridge(self, scheme=NATIVE):
        self.bridge = Bridge(*words_of(scheme, "board", BOARD), "--sandbox", "off", namespace=self.namespace,
                             prefix=["env", f"VOP_MODEL8349={self.model.core}"], log=self.place / "board.log",
                             name=self.program)

    def kill_bridge(self):
        if self.bridge:
            self.bridge.kill()
        self.bridge = None

    def stop_bridge(self):
        self.bridge.stop()
        self.bridge = None

    @contextlib.contextmanager
    def iperf_server(self):
        server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self.namespace.name,
                                   "iperf3", "-s"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            server.kill()
            server.wait()

    def wait_carrier(self, value, seconds=10):
        """What it waits for is done in the machine, which is slow."""
        eventually(lambda: self.namespace.has_carrier("vop0") == bool(value),
                   lambda: f"carrier {value}: {self.bridge.text()}", seconds * SLOW)

    def says(self):
        return self.bridge.text().splitlines()

    def serve(self, data):
        """Whoever connects gets that, until the end of a with statement."""
        return _Server(self.namespace, data)

    def fetch(self, port, seconds=30):
        """What the machine serves there."""
        end = time.monotonic() + seconds * SLOW
        while True:
            with contextlib.suppress(OSError), self.namespace.socket() as connection:
                connection.settimeout(seconds)
                connection.connect((HOST, port))
                data = b""
                while more := connection.recv(1 << 16):
                    data += more
                return data
            assert time.monotonic() < end, f"nothing from {HOST}:{port}: {self.bridge.text()}"
            time.sleep(0.05)


class BoardMachine:
    """A machine with a big-endian PowerPC processor as the board's, whose only program is examples/answer_ping.c.

    The part is a PCI device there. Its kernel gives it the addresses that NODE says, which is the node of
    drivers/mpc8349-board in a device tree that is otherwise QEMU's own."""
    REGISTERS, MEMORY, WINDOW = 0xd0000000, 0xd0100000, 0xc0000000  # BARs: where Linux puts 1 MiB, BLOCK, 256 MiB
    PROGRAMS = ["board-init", "answer-ping-static"]
    NODE = f"""
        / {{
            agent {{
                compatible = "simple-bus";
                #address-cells = <2>;
                #size-cells = <2>;
                ranges;
                messaging-unit@{REGISTERS + 0x8000:x} {{
                    compatible = "fsl,mpc8349-mu";
                    reg = <0 {REGISTERS + 0x8000:#x} 0 0x1000  0 {MEMORY:#x} 0 {BLOCK:#x}  0 {WINDOW:#x} 0 0x10000000>;
                    interrupt-parent = <&{{/soc@e0000000/pic@40000}}>;
                    interrupts = <2 1>; /* INTA of slot 17 */
                }};
            }};
        }};"""

    def __init__(self, model, place, scheme=NATIVE, name="powerpc"):
        self.console = place / f"{name}.console"
        image, tree = self._make_image(place), place / f"{name}.dtb"
        link = f"{scheme}:board" + ("?device=0" if scheme == PAIR else "")
        words = ["setpriv", "--pdeathsig", "KILL", PLACE / "board/qemu-system-ppc", "-M", "mpc8544ds", "-cpu", "e500v2",
                 "-accel", "tcg", "-m", "128", "-nodefaults", "-display", "none", "-no-reboot",
                 "-kernel", PLACE / "board/vmlinux", "-initrd", image,
                 "-append", "console=ttyS0 loglevel=5 panic=-1 uio_pdrv_genirq.of_id=fsl,mpc8349-mu "
                            f"-- /answer-ping-static {link} {BOARD}",
                 "-serial", f"file:{self.console}"]
        self._make_tree(words, tree)
        part = {"driver": "vfio-user-pci", "rombar": 0, "addr": "11.0",
                "socket": {"type": "unix", "path": str(model.machine)}}
        self.errors = (place / f"{name}.qemu").open("w+")
        self.process = subprocess.Popen([*map(str, words), "-dtb", str(tree), "-device", json.dumps(part)],
                                        stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)

    def _make_image(self, place):
        """Its root file system: two programs, and where they find the kernel."""
        root = place / "board-root"
        for directory in "dev", "proc", "sys", "tmp":
            (root / directory).mkdir(parents=True, exist_ok=True)
        init, program = (POWERPC_BIN / program for program in self.PROGRAMS)
        shutil.copy(init, root / "init")
        shutil.copy(program, root)
        image = place / "board-image"
        _run(f"cd {root} && find . | busybox cpio -o -H newc -R 0:0 >{image}")
        return image

    def _make_tree(self, words, tree):
        """What QEMU would say itself, and our node."""
        dtc = PLACE / "board/dtc"
        _run(f"{shlex.join(map(str, words))} -machine dumpdtb={tree}.own")
        _run(f"{{ {dtc} -q -I dtb -O dts {tree}.own; cat; }} | {dtc} -q -I dts -O dtb -o {tree} -", self.NODE)

    def says(self):
        self.errors.seek(0)
        console = self.console.read_text(errors="replace") if self.console.exists() else ""
        return f"{console}{self.errors.read()}"

    def wait_says(self, text, times=1, seconds=60):
        eventually(lambda: self.says().count(text) >= times, lambda: f"{text}: {self.says()}", seconds)

    def is_running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.errors.close()


def _run(command, text=""):
    """A shell command that has to succeed."""
    done = subprocess.run(["sh", "-c", command], input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


class _Server:
    def __init__(self, namespace, data):
        self.data = data
        self.listener = namespace.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("", FILE_PORT))
        self.listener.listen(8)

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                with self.listener.accept()[0] as connection, contextlib.suppress(OSError):
                    connection.settimeout(30 * SLOW)
                    connection.sendall(self.data)

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Pings:
    """Numbered pings from the board to the machine: no answer may come twice, so neither way has a frame twice.

    No more of them than an emulated processor answers: they would be in a queue before everybody else's.
    """
    INTERVAL = 0.01

    def __init__(self, board):
        self.socket = board.namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.seen = collections.Counter()
        self.sent = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _request(self):
        """Type 8, code 0, checksum, identifier, number."""
        words = (8 << 8, PINGS_ID, self.sent & 0xffff)
        total = sum(words)
        return struct.pack(">HHHH", words[0], ~(total + (total >> 16)) & 0xffff, *words[1:])

    def _receive(self):
        packet = self.socket.recv(256)
        kind, _, _, identifier, number = struct.unpack_from(">BBHHH", packet, 4 * (packet[0] & 15))
        if (kind, identifier) == (0, PINGS_ID):
            self.seen[number] += 1

    def _run(self):
        while not self.stopping.is_set():
            self.sent += 1
            with contextlib.suppress(OSError):
                self.socket.sendto(self._request(), (HOST, 0))
            until = time.monotonic() + self.INTERVAL
            while (rest := until - time.monotonic()) > 0:
                self.socket.settimeout(rest)
                with contextlib.suppress(OSError):  # none came, or an earlier one could not be sent
                    self._receive()

    def stop(self):
        """How many were answered, and those that were more than once."""
        self.stopping.set()
        self.thread.join()
        self.socket.close()
        return len(self.seen), [number for number, times in self.seen.items() if times > 1]


def join(host, board, scheme=NATIVE):
    """Starts the bridges that are not there, and waits until the link is up: seconds."""
    begin = time.monotonic()
    if not board.bridge:
        board.start_bridge(scheme)
    if not host.bridge:
        host.start_bridge(scheme)
    host.wait_carrier(1)
    board.wait_carrier(1)
    return time.monotonic() - begin


def wait_answer(host):
    """Until a ping is answered: the first ones ask who has the address."""
    host.machine.eventually(f"ping -c 1 -W 5 {BOARD}", "a ping is answered")
