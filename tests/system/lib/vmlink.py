# SPDX-License-Identifier: BSD-3-Clause
"""Two machines that share ivshmem devices, each with an end of a link: a is side 0 and 10.99.0.1, b side 1 and .2."""
import re

PLAIN, DOORBELL, TWIN = 4, 5, 6  # slots; the memory of the twin is that of the plain device
FILE_PORT, ZEROS_PORT = 5001, 5002


def devices(server, memory=None):
    """Arguments of a machine: its doorbell device at a server, and a plain one on a file of the host (path, size)."""
    words = ["-chardev", f"socket,id=server,path={server.path}"]
    made = [f"ivshmem-doorbell,id=doorbell,chardev=server,vectors={server.vectors},addr={DOORBELL}"]
    if memory:
        path, size = memory
        for name, slot in (("plain", PLAIN), ("twin", TWIN)):
            words += ["-object", f"memory-backend-file,id=shm-{name},size={size},share=on,mem-path={path}"]
            made.append(f"ivshmem-plain,id={name},memdev=shm-{name},addr={slot}")
    return {"devices": made, "words": words}


class Side:
    """A machine at one end, and the bridge in it."""

    def __init__(self, number, machine):
        self.number, self.machine = number, machine
        self.name = "ab"[number]
        self.address = f"10.99.0.{number + 1}"
        self.bridge = self.load = None  # process numbers

    def link_on(self, slot):
        return f"ivshmem:0000:00:{slot:02x}.0" + ("" if self.number else "?side=0")

    def wait_boot(self):
        self.machine.wait_boot()
        self.machine.load_modules("uio", "vop_pci_uio", "tun")
        self.serve_files()
        return self

    def unplug(self, slot):
        self.machine.unplug({DOORBELL: "doorbell", PLAIN: "plain"}[slot])

    def plug(self, slot, server, memory=None):
        """What unplug() took away, again. What is behind a device serves no second one, so that is made anew, too."""
        monitor = self.machine.monitor
        if slot == DOORBELL:
            monitor.execute("chardev-remove", id="server")
            monitor.execute("chardev-add", id="server", backend={"type": "socket", "data": {
                "addr": {"type": "unix", "data": {"path": str(server.path)}}, "server": False}})
            monitor.execute("device_add", driver="ivshmem-doorbell", id="doorbell", chardev="server",
                            vectors=server.vectors, addr=f"{slot:#x}")
        else:
            path, size = memory
            monitor.execute("object-del", id="shm-plain")
            monitor.execute("object-add", **{"qom-type": "memory-backend-file", "id": "shm-plain", "size": size,
                                             "share": True, "mem-path": str(path)})
            monitor.execute("device_add", driver="ivshmem-plain", id="plain", memdev="shm-plain", addr=f"{slot:#x}")

    def start_bridge(self, slot):
        listen = "" if self.number else "--listen"
        self.bridge = self.machine.start(f"vop-bridge --link '{self.link_on(slot)}' {listen} --tap vop0 "
                                         f"--address {self.address}/24", "/tmp/bridge")

    def stop_bridge(self, signal="TERM"):
        self.machine.run(f"kill -{signal} {self.bridge}")
        self.machine.eventually(f"! grep -q vop-bridge /proc/{self.bridge}/cmdline", "the end of the bridge")
        self.bridge = None

    def bridge_says(self):
        """Its log so far, by lines."""
        return self.machine.run("cat /tmp/bridge").splitlines()

    def wait_carrier(self, value):
        self.machine.eventually(f"cat /tmp/bridge; [ \"$(cat /sys/class/net/vop0/carrier)\" = {value} ]",
                                f"carrier {value}")

    def ping(self, peer, count=20, interval=0.05):
        """(per cent lost, [time in seconds])"""
        text = self.machine.status(f"ping -c {count} -i {interval} -W 2 {peer.address}", count * interval + 5)[1]
        return float(re.search(r"([\d.]+)% packet loss", text)[1]), [float(t) / 1e3 for t in
                                                                    re.findall(r"time=([\d.]+) ms", text)]

    def serve_iperf(self):
        self.machine.run("iperf3 -s -D")

    def iperf(self, peer, *options, seconds=2):
        """Mbit/s that arrived."""
        self.machine.eventually(f"iperf3 -c {peer.address} -t {seconds} -J {' '.join(options)} >/tmp/iperf",
                                "iperf3 runs to its end", 10 + seconds)
        text = self.machine.run("cat /tmp/iperf")
        return float(re.search(r'"sum_received":.*?"bits_per_second":\s*([\d.e+]+)', text, re.DOTALL)[1]) / 1e6

    def serve_files(self):
        """From now on peers can fetch a file, and zeros without end."""
        self.machine.start(f"nc -ll -p {FILE_PORT} -e cat /tmp/new", "/dev/null")
        self.machine.start(f"nc -ll -p {ZEROS_PORT} -e cat /dev/zero", "/dev/null")

    def fetch_new_file(self, peer, blocks=64):
        """Fetches 64 KiB a block that nobody has seen before from a peer. Its checksums there and here."""
        sent = peer.machine.run(f"dd if=/dev/urandom bs=64k count={blocks} 2>/dev/null | tee /tmp/new | md5sum", 30)
        received = self.machine.eventually(f"nc -w 1 {peer.address} {FILE_PORT} </dev/null >/tmp/fetched && "
                                           "md5sum </tmp/fetched", "the file is fetched", 3)
        return sent, received

    def start_load(self, peer):
        """Fetches zeros from a peer until stop_load(), also after the link has been away."""
        fetch = f"nc -w 1 {peer.address} {ZEROS_PORT} </dev/null >/dev/null"
        self.load = self.machine.start(f"sh -c 'trap \"kill \\$!; exit\" TERM; while usleep 10000; do {fetch} & wait; "
                                       "done'", "/tmp/load")

    def stop_load(self):
        self.machine.run(f"kill {self.load}")


def join(sides, slot=DOORBELL):
    """Starts both bridges and waits until the link is up."""
    for side in sides:
        if not side.bridge:
            side.start_bridge(slot)
    for side in sides:
        side.wait_carrier(1)
