# SPDX-License-Identifier: BSD-3-Clause
"""A machine of QEMU whose network card is vop-bridge, over vhost-user: traffic, and ends that come and go on either
side. With VOP_LONG in the environment a plain driver is tried, too, and more of each."""
import contextlib
import hashlib
import os
import subprocess
import threading

import pytest

from lib.bridge import Bridge, eventually
from lib.vm import LONG, SLOW

MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
           "net_failover", "virtio_net"]
MEMORY = 192
HOST, GUEST = "10.98.0.1", "10.98.0.2"
PORT = 5001
SIZE = 8 << 20
KILLS = 20 if LONG else 5
AGAIN = 1  # seconds until frames pass after a kill, if QEMU listens. If it connects, it looks every one to two seconds

# With MSI-X, QEMU 7.2 without KVM ends at a NULL pointer when the driver masks the vector of the control queue of a
# card whose back end is elsewhere.
CARD = "virtio-net-pci,netdev=net,id=card,vectors=0"
DEVICES = {  # and the queue pairs of each
    "split": (f"{CARD},packed=off", 1),
    "packed": (f"{CARD},packed=on,disable-legacy=on,mq=on", 2),
}
LONG_DEVICES = {
    "split with two queue pairs": (f"{CARD},packed=off,mq=on", 2),
    "packed with one": (f"{CARD},packed=on,disable-legacy=on", 1),
    "plain": (f"{CARD},mrg_rxbuf=off,indirect_desc=off,event_idx=off,guest_tso4=off,"
              "guest_tso6=off,guest_ecn=off,guest_ufo=off,csum=off,gso=off", 1),
}
if LONG:
    DEVICES |= LONG_DEVICES


def start_bridge(place, namespace, kind):
    options = ["packed"] * ("packed" in kind) + ["connect"] * (kind not in LONG_DEVICES)
    name = f"vhost-user:{place}/card" + ("?" + "&".join(options) if options else "")
    return Bridge("--link", name, "--tap", "vop0", "--address", f"{HOST}/24", "--queues", DEVICES[kind][1],
                  "--control", place, namespace=namespace, log=place / "bridge.log")


class World:
    """A machine, the namespace of its host's end, and the bridge there."""

    def __init__(self, boot, namespace, place, kind):
        self.place, self.namespace, self.kind = place, namespace, kind
        self.device = None  # as the driver's directory names it
        self.bridge = start_bridge(place, namespace, kind)
        way = "reconnect=1" if kind in LONG_DEVICES else "server=on"
        if kind in LONG_DEVICES:
            eventually((place / "card").exists, "the bridge listens", 10)
        self.machine = boot("net", devices=[DEVICES[kind][0]], memory=MEMORY, words=[
            "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on", "-machine", "memory-backend=ram",
            "-chardev", f"socket,id=card,path={place}/card,{way}", "-netdev",
            f"vhost-user,id=net,chardev=card,queues={DEVICES[kind][1]}"])

    def wait_boot(self):
        self.machine.wait_boot()
        self.machine.load_modules(*MODULES)
        self.raise_interface()
        return self

    def raise_interface(self):
        self.machine.run(f"ip addr add {GUEST}/24 dev eth0 && ip link set eth0 up")

    def unbind(self):
        self.device = self.machine.run("basename $(readlink -f /sys/class/net/eth0/device)").strip()
        self.machine.run(f"echo {self.device} >/sys/bus/virtio/drivers/virtio_net/unbind")

    def bind(self):
        self.machine.run(f"echo {self.device} >/sys/bus/virtio/drivers/virtio_net/bind")
        self.raise_interface()

    def wait_answer(self, seconds=10):
        """Until a ping is answered."""
        self.machine.eventually(f"ping -c 1 -W 1 {HOST}", "ping", seconds)

    def start_bridge(self):
        self.bridge = start_bridge(self.place, self.namespace, self.kind)

    def count_pairs(self):
        """Queue pairs that the TAP has in use."""
        return self.namespace.link("vop0")["linkinfo"]["info_data"].get("numqueues", 1)

    def set_pairs(self, count):
        """Of its driver. QEMU answers the card's queue for control, and the bridge hears of it by what it enables."""
        self.machine.run(f"ethtool -L eth0 combined {count}")
        eventually(lambda: self.count_pairs() == count, lambda: f"{self.count_pairs()} pairs, not {count}", 10)

    def end(self):
        self.machine.kill()
        self.bridge.stop()


@pytest.fixture(scope="module", params=DEVICES)
def kind(request):
    return request.param


@pytest.fixture
def world(boot, namespaces, tmp_path, kind):
    namespace = namespaces("host")
    world = World(boot, namespace, tmp_path, kind)
    try:
        yield world.wait_boot()
    finally:
        world.end()


def lost(machine, count, size=56):
    """Lost pings of so many, from the machine to its host."""
    said = machine.status(f"ping -c {count} -i 0.05 -W 5 -s {size} {HOST}", 30)[1]
    received = int(said.split(" packets received")[0].split()[-1])
    return count - received


def transfer(world, upwards):
    """8 MiB of random bytes through one TCP connection, compared."""
    listener = world.namespace.socket()
    listener.bind((HOST, PORT))
    listener.listen(1)
    listener.settimeout(60 * SLOW)
    sent = os.urandom(SIZE)
    seen = hashlib.md5()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60 * SLOW)
            if not upwards:
                connection.sendall(sent)
                return
            while data := connection.recv(1 << 16):
                seen.update(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    if upwards:
        world.machine.run(f"dd if=/dev/urandom of=/tmp/data bs=64k count={SIZE >> 16} 2>/dev/null", 60)
        world.machine.run(f"nc {HOST} {PORT} </tmp/data", 60)
    else:
        world.machine.run(f"nc {HOST} {PORT} </dev/null >/tmp/data", 60)
    thread.join(60 * SLOW)
    listener.close()
    there = world.machine.run("md5sum </tmp/data", 30).split()[0]
    assert there == (seen if upwards else hashlib.md5(sent)).hexdigest()


@contextlib.contextmanager
def pings(world):
    """What a ping from the host says that goes on, a hundred times a second."""
    words = ["ip", "netns", "exec", world.namespace.name, "ping", "-n", "-i", "0.01", GUEST]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process.stdout
        finally:
            process.kill()


def is_answered(world):
    """Whether a ping was answered that was sent from now on. Without a carrier none is sent: the host's kernel would
    ask for the machine's address in vain, and again only after a second."""
    if not world.namespace.has_carrier("vop0"):
        return False
    with pings(world) as lines:
        return any("bytes from" in line for line in lines)


def kill_under_load(world):
    """Kills the bridge again and again while pings go to the machine; returns the seconds until one is answered after
    each start. Answers that a ping had before the kill may be read after it, so each kill has a ping of its own."""
    waited = []
    for _ in range(KILLS):
        with pings(world) as lines:
            assert any("bytes from" in line for line in lines)
            world.bridge.kill()
        world.start_bridge()
        waited.append(eventually(lambda: is_answered(world), world.bridge.text, 60))
    return waited


def try_more(world):
    """Long pings and streams both ways; the interface down and up, the driver unbound and bound, the machine stopped
    and continued."""
    machine = world.machine
    assert lost(machine, 20, size=20000) == 0
    world.unbind()
    eventually(lambda: not world.namespace.has_carrier("vop0"), "the carrier is off", 10)
    world.bind()
    world.wait_answer()
    assert lost(machine, 20) == 0

    machine.monitor.execute("stop")
    machine.monitor.execute("cont")
    world.wait_answer()
    transfer(world, upwards=False)
    assert machine.is_running()


def test_machine(world):
    """Pings, streams, all queue pairs in use, and the bridge killed and started again under load."""
    world.wait_answer()
    assert lost(world.machine, 20) == 0
    transfer(world, upwards=True)
    transfer(world, upwards=False)
    assert world.namespace.has_carrier("vop0")
    assert world.count_pairs() == DEVICES[world.kind][1]
    if DEVICES[world.kind][1] > 1:
        for pairs in 1, 2:
            world.set_pairs(pairs)
            assert lost(world.machine, 5) == 0
    waited = kill_under_load(world)
    print(f"{world.kind}: frames pass again after {max(waited):.2f} s at most")
    assert max(waited) < (AGAIN + 2 if world.kind in LONG_DEVICES else AGAIN) * SLOW
    assert lost(world.machine, 20) == 0
    assert world.count_pairs() == DEVICES[world.kind][1]
    transfer(world, upwards=True)
    if LONG:
        try_more(world)
