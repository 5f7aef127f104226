# SPDX-License-Identifier: BSD-3-Clause
"""PCI devices in a machine as our driver shows them, tried with the program uio-try."""
MASTER, INTX_DISABLE = 1 << 2, 1 << 10  # of the PCI command register

# Registers of ivshmem and of edu, in their BAR0
IV_POSITION, IV_DOORBELL = 0x8, 0xC
EDU_ID, EDU_LIVENESS, EDU_RAISE, EDU_ACK = 0x0, 0x4, 0x60, 0x64
EDU_SOURCE, EDU_TARGET, EDU_COUNT, EDU_COMMAND = 0x80, 0x88, 0x90, 0x98
EDU_BUFFER = 0x40000


class Uio:
    def __init__(self, machine, device, bus=0):
        self.machine, self.address = machine, f"0000:{bus:02x}:{device:02x}.0"
        self.sysfs = f"/sys/bus/pci/devices/{self.address}"

    def name(self):
        """uio0, or what the kernel calls it now."""
        return self.machine.run(f"ls {self.sysfs}/uio").strip()

    def is_bound(self):
        return self.machine.status(f"test -e {self.sysfs}/interrupts")[0] == 0

    def _write(self, file):
        self.machine.run(f"echo {self.address} >/sys/bus/pci/drivers/vop_pci_uio/{file}")

    def bind(self):
        self._write("bind")

    def unbind(self):
        self._write("unbind")

    def maps(self):
        """{number: (name, address, offset, size)}"""
        lines = self.machine.run(f"""cd /sys/class/uio/{self.name()}/maps
            for m in map*; do echo ${{m#map}} $(cat $m/name $m/addr $m/offset $m/size); done""").splitlines()
        return {int(n): (name, *(int(value, 16) for value in values)) for n, name, *values in map(str.split, lines)}

    def bars(self):
        """[(address, size)] as the PCI core has them."""
        lines = self.machine.run(f"head -n 6 {self.sysfs}/resource").splitlines()
        return [(int(start, 16), int(end, 16) - int(start, 16) + 1 if int(end, 16) else 0)
                for start, end, _flags in map(str.split, lines)]

    def command_register(self):
        """From the configuration space."""
        return int(self.machine.run(f"dd if={self.sysfs}/config bs=1 skip=4 count=2 2>/dev/null | hexdump -e '\"%u\"'"))

    def interrupts(self):
        return self.machine.run(f"cat {self.sysfs}/interrupts").strip()

    def handled(self):
        """How often the kernel has called our handlers, for all devices together."""
        lines = self.machine.run("grep vop_pci_uio /proc/interrupts || true").splitlines()
        return sum(int(word) for line in lines for word in line.split()[1:3])

    def _words(self, actions):
        return f"uio-try open=/dev/{self.name()} {' '.join(actions)}"

    def attempt(self, *actions, seconds=10):
        """Opens the device, does that, and returns what came of each action, without its name."""
        lines = self.machine.run(self._words(actions), seconds).splitlines()
        return [line.split(maxsplit=1)[1] for line in lines]

    def holder(self, *actions):
        return Holder(self, actions)


class Holder:
    """A process in the machine that has a device open; as a context it ends with it."""

    def __init__(self, uio, actions):
        self.machine = uio.machine
        self.machine.numbers += 1
        self.log = f"/tmp/holder.{self.machine.numbers}"
        self.gate = f"{self.log}.gate"
        words = [action.replace("GATE", self.gate) for action in actions]
        self.pid = self.machine.start(uio._words(words), self.log)

    def results(self):
        return [tuple(line.split(maxsplit=1)) for line in self.machine.run(f"cat {self.log}").splitlines()]

    def wait_results(self, count, seconds=10):
        self.machine.eventually(f"[ $(wc -l <{self.log}) -ge {count} ]", f"{count} results in {self.log}", seconds)
        return [result for _, result in self.results()]

    def open_gate(self):
        """Lets the action wait=GATE go on."""
        self.machine.run(f"touch {self.gate}")

    def wait_state(self, state):
        """Until the process sleeps (S) or so."""
        self.machine.eventually(f"grep -q 'State:.{state}' /proc/{self.pid}/status", f"state {state}")

    def kill(self):
        self.machine.run(f"kill -9 {self.pid} 2>/dev/null; while [ -e /proc/{self.pid} ] && ! grep -q 'State:.Z' "
                         f"/proc/{self.pid}/status; do usleep 5000; done")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.machine.is_running():
            self.kill()
