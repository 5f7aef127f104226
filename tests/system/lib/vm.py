# SPDX-License-Identifier: BSD-3-Clause
"""Virtual machines under software emulation: booting one, running commands in it, its devices, its end."""
import base64
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import time

from lib.bridge import BIN
from lib.netns import root_of_project

HERE = root_of_project() / "tests/system/vm"
DRIVER = root_of_project() / "drivers/pci-uio"
PLACE = pathlib.Path(os.environ.get("VOP_VM", root_of_project() / "build/vm"))  # kernels, logs
LONG = bool(os.environ.get("VOP_LONG"))
SERIES = ["6.1", "6.12", "6.1-debug"] if LONG else ["6.1"]  # kernels that the driver is tested with
SLOW = 5  # emulation on a busy machine: deadlines guard against hangs only
TOOLS = ["iperf3", "ethtool"]  # for machines, which have busybox and programs of ours besides
# What a kernel concludes from a clock and a timer that stood still because the host was busy elsewhere.
BUSY_HOST = "tsc=reliable no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1"
# The firmware's list of INTx lines is a program that ACPI runs whenever a driver gets or loses a device. That takes
# KASAN and lockdep 20 s, so the kernel that has them asks the old interrupt router.
DEBUG_KERNEL = "acpi=noirq"
# The default of QEMU is an AMD processor whose timers stop in idle, and what replaces them is now and then lost.
# Without its source of random numbers the first process that wants some waits until the kernel has measured enough
# jitter, which can be longer than a peer's patience.
CPU = "Nehalem,+rdrand"
TROUBLE = re.compile(r"WARNING:|BUG:|BUG |Oops|INFO: task|possible recursive|circular locking|inconsistent lock"
                     r"|suspicious RCU|general protection|Call Trace|KASAN|UBSAN|nobody cared|refcount_t:")


class Unavailable(Exception):
    """What is needed to boot a machine is not here; the text says how to get it."""


class Software:
    """What machines of one kernel boot: the kernel itself, and a file system with our driver and these programs."""

    def __init__(self, series, place, programs):
        found = PLACE / "kernels" / series
        if not (found / "version").exists():
            tool = "build_debug_kernel" if series.endswith("-debug") else "fetch_kernels"
            raise Unavailable(f"no Linux {series} to boot: tests/system/vm/{tool} {PLACE}/kernels "
                              f"{series.removesuffix('-debug')}")
        for program in ("qemu-system-x86_64", "busybox", "setpriv", *TOOLS):
            if not shutil.which(program):
                raise Unavailable(f"needs {program}: scripts/packages vm")
        self.append = DEBUG_KERNEL if series.endswith("-debug") else ""
        self.kernel = found / "vmlinuz"
        self.initramfs = pathlib.Path(place) / f"initramfs-{series}"
        module = pathlib.Path(place) / f"driver-{series}"
        self._run("make", "-C", DRIVER, f"KERNEL={found / 'headers'}", f"OUT={module}")
        helpers = [self._build_helper(found, place, series, name) for name in ("mmio-pci", "mmio-uio")]
        self._run(HERE / "make_initramfs", self.initramfs, HERE / "init", found / "modules",
                  module / "vop_pci_uio.ko", *helpers, *map(shutil.which, TOOLS),
                  *[BIN / program for program in programs])

    def _build_helper(self, found, place, series, name):
        """A kernel module of the tests."""
        helper = pathlib.Path(place) / f"{name}-{series}"
        shutil.copytree(HERE / name, helper)
        self._run("make", "-C", found / "headers", f"M={helper}", "modules")
        return helper / f"vop_{name.replace('-', '_')}.ko"

    @staticmethod
    def _run(*words):
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


class Failed(AssertionError):
    """A command in a machine ended with another status than 0."""


def _connected(path, seconds):
    """A stream connection to a socket of QEMU, which may not be there yet."""
    end = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


class Monitor:
    """QEMU's machine protocol (QMP)."""

    def __init__(self, path):
        self.connection = _connected(path, 10 * SLOW)
        self.stream = self.connection.makefile("rw")
        self.events = []
        json.loads(self.stream.readline())  # the greeting
        self.execute("qmp_capabilities")

    def ask(self, command, **arguments):
        """The answer, which may be an error."""
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            answer = json.loads(self.stream.readline())
            if "event" in answer:
                self.events.append(answer)
            else:
                return answer

    def give(self, name, fd):
        """Hands a descriptor to QEMU, which has it under that name from then on."""
        words = json.dumps({"execute": "getfd", "arguments": {"fdname": name}}) + "\n"
        socket.send_fds(self.connection, [words.encode()], [fd])
        answer = {"event": ""}
        while "event" in answer:
            answer = json.loads(self.stream.readline())
        assert "return" in answer, f"getfd: {answer}"

    def execute(self, command, **arguments):
        answer = self.ask(command, **arguments)
        assert "return" in answer, f"{command}: {answer}"
        return answer["return"]

    def close(self):
        self.stream.close()
        self.connection.close()


class Machine:
    """One machine. `devices` are -device arguments of QEMU, `words` other ones; it inherits the descriptors `fds`."""

    def __init__(self, name, directory, kernel, initramfs, devices=(), words=(), append="", board="pc", memory=192,
                 fds=(), processors=2):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.console = self.directory / f"{name}.console"
        self.numbers = 0
        self.buffer = b""
        agent, monitor = self.directory / f"{name}.agent", self.directory / f"{name}.qmp"
        command = ["setpriv", "--pdeathsig", "KILL",  # not even SIGKILL of the tests leaves it behind
                   "qemu-system-x86_64", "-name", name, "-accel", "tcg", "-smp", str(processors),
                   "-cpu", CPU, "-m", str(memory), "-M", board,
                   "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-kernel", str(kernel), "-initrd", str(initramfs),
                   "-append", f"console=ttyS0 loglevel=5 panic=-1 oops=panic {BUSY_HOST} {append}",
                   "-serial", f"file:{self.console}",
                   "-chardev", f"socket,id=agent,path={agent},server=on,wait=off", "-serial", "chardev:agent",
                   "-qmp", f"unix:{monitor},server=on,wait=off", *words]
        for device in devices:
            command += ["-device", device]
        self.errors = (self.directory / f"{name}.qemu").open("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
                                        pass_fds=fds)
        try:
            self.agent = _connected(agent, 5 * SLOW)
            self.monitor = Monitor(monitor)
        except OSError as error:
            said = self._said()
            self.kill()
            raise AssertionError(f"{name}: QEMU does not start: {error}: {said}") from None

    def console_end(self, length):
        return self.console.read_text(errors="replace")[-length:] if self.console.exists() else ""

    def _said(self):
        self.errors.seek(0)
        return (f"QEMU ({self.process.poll()}) says {self.errors.read()!r}, the console ends with "
                f"{self.console_end(20000)}")

    def _show_blocked(self):
        """Has the kernel show on its console what hangs: keys with SysRq, the first so that all is shown, the last what
        each task waits for."""
        for key in "9", "w", "l", "t":
            keys = [{"type": "qcode", "data": code} for code in ("alt", "sysrq", key)]
            self.monitor.execute("send-key", keys=keys)
            time.sleep(1)  # nothing says when that is done, and no more than a report hangs on it

    def _nudge(self):
        """An empty line, which the machine skips. Should its serial port have lost an interrupt, this is another one:
        while a proxy device waits for its answer, QEMU drops accesses of other devices now and then."""
        print(f"{self.name} is silent: an empty line for it; its console: {self.console_end(500)}")
        with contextlib.suppress(BrokenPipeError):
            self.agent.sendall(b"\n")

    def _hear(self):
        try:
            return self.agent.recv(65536)
        except TimeoutError:
            self._nudge()
        return self.agent.recv(65536)

    def _receive(self, seconds):
        self.agent.settimeout(seconds * SLOW / 2)
        try:
            data = self._hear()
        except TimeoutError:
            self._show_blocked()
            raise AssertionError(f"{self.name}: no answer within {seconds * SLOW} s: {self._said()}") from None
        except ConnectionError:
            data = b""
        if not data:
            raise AssertionError(f"{self.name}: the machine has ended: {self._said()}")
        self.buffer += data

    def _answer(self, number, seconds):
        """Waits for `@ number status length` and as many bytes: (status, output)."""
        head = re.compile(rb"@ %s (\d+) (\d+)\r?\n" % str(number).encode())
        while not (found := head.search(self.buffer)):
            self._receive(seconds)
        status, length = int(found[1]), int(found[2])
        while len(self.buffer) < found.end() + length:
            self._receive(seconds)
        output = self.buffer[found.end():found.end() + length]
        self.buffer = self.buffer[found.end() + length:]
        return status, output.decode(errors="replace")

    def wait_boot(self):
        self._answer("ready", 60)
        return self

    def send(self, command):
        """Has a shell command run, without waiting for it; answer() does."""
        self.numbers += 1
        try:
            self.agent.sendall(b"%d %s\n" % (self.numbers, base64.b64encode(command.encode())))
        except BrokenPipeError:
            raise AssertionError(f"{self.name}: the machine has ended: {self._said()}") from None
        return self.numbers

    def answer(self, number, seconds=10):
        return self._answer(number, seconds)

    def status(self, command, seconds=10):
        """(exit status, output) of a shell command."""
        return self.answer(self.send(command), seconds)

    def run(self, command, seconds=10):
        """Output of a shell command that has to succeed."""
        status, output = self.status(command, seconds)
        if status != 0:
            print(f"kernel of {self.name}: {self.kernel_log()[-2000:]}")
            raise Failed(f"{self.name}: {command}: status {status}: {output}")
        return output

    def load_modules(self, *names):
        """In this order; those that this kernel has built in or does not know are left out."""
        self.run("cd /modules; " + "; ".join(f"[ ! -e {name}.ko ] || insmod {name}.ko || exit" for name in names))

    def start(self, command, log):
        """Starts a shell command that goes on; its output goes to a file in the machine. Returns its process number."""
        return int(self.run(f"{command} >{shlex.quote(log)} 2>&1 </dev/null & echo $!"))

    @contextlib.contextmanager
    def running(self, command, log):
        """The same, for as long as a with statement lasts."""
        pid = self.start(command, log)
        try:
            yield pid
        finally:
            self.run(f"kill {pid}")

    def eventually(self, command, what, seconds=10):
        """Waits until a shell command succeeds, in the machine; returns its output."""
        return self.run(f"""end=$(($(cut -d. -f1 /proc/uptime) + {seconds * SLOW}))
            until {{ {command}; }} >/tmp/eventually 2>&1; do
                if [ $(cut -d. -f1 /proc/uptime) -gt $end ]; then
                    cat /tmp/eventually; echo {shlex.quote(what)}; exit 1
                fi
                usleep 10000
            done; cat /tmp/eventually""", seconds + 10)

    def kernel_log(self):
        return self.status("dmesg")[1]

    def complaints(self):
        """Lines of the kernel's log that no test may cause."""
        return [line for line in self.kernel_log().splitlines() if TROUBLE.search(line)]

    def save_logs(self, place):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.console, place)
        try:
            (place / f"{self.name}.dmesg").write_text(self.kernel_log())
        except (AssertionError, OSError):
            pass  # it is dead: the console has what there is

    def unplug(self, device):
        """Asks the guest to let go of a device, as pulling a hot-plug card does; ends when QEMU has removed it.

        The question is an interrupt, and a guest that is still busy with the last one (a device that was just plugged
        in) can miss it; Linux 6.12 does so now and then. So it is asked again."""
        self.monitor.events.clear()  # of an earlier one with this name
        answer = self.monitor.ask("device_del", id=device)
        assert "return" in answer, f"{self.name}: {device}: {answer}"
        asked = time.monotonic()
        end = asked + 20 * SLOW
        while not any(e["event"] == "DEVICE_DELETED" and e["data"].get("device") == device
                      for e in self.monitor.events):
            if time.monotonic() > end:
                # What was asked arrived, or not; it waits, or was never begun.
                state = self.status("cd /sys/firmware/acpi/interrupts; grep . sci sci_not gpe01 gpe_all; grep acpi "
                                    "/proc/interrupts; ls /sys/bus/pci/devices; grep . /proc/[0-9]*/stack")[1]
                self._show_blocked()
                raise AssertionError(f"{self.name}: {device} was not unplugged; QEMU answered {answer}\n{state}\n"
                                     f"{self._said()}")
            if time.monotonic() > asked + 5 * SLOW:
                asked = time.monotonic()
                answer = self.monitor.ask("device_del", id=device)  # an error if it has just gone
            self.monitor.execute("query-status")
            time.sleep(0.02)

    def is_running(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        for end in (getattr(self, name, None) for name in ("agent", "monitor", "errors")):
            if end:
                end.close()
