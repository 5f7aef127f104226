# SPDX-License-Identifier: BSD-3-Clause
"""vop-bridge as the driver of QEMU's virtio network cards, through vop_pci_uio: the card of a machine is an interface
of it, without the kernel's driver. The other end of each card is a TAP of the host."""
import pytest

from lib.netns import Namespace
from test_vhost import GUEST, HOST, lost, transfer

MTU = 1400
CARDS = {  # by slot, and what they are like
    5: "packed=on,mq=on,vectors=6",
    6: "packed=off,mq=off",
    7: "packed=on,mq=off,vectors=0,mrg_rxbuf=off,indirect_desc=off,event_idx=off",
}
QUEUES = {5: 2, 6: 1, 7: 1}


class World:
    """A machine with its cards, and the namespace in which their other ends are."""

    def __init__(self, boot, namespace):
        self.namespace = namespace
        words, devices = [], []
        for slot, properties in CARDS.items():
            words += ["-netdev", f"tap,id=net{slot},ifname=tap{slot},script=no,downscript=no,vhost=off,"
                                 f"queues={QUEUES[slot]}"]
            devices.append(f"virtio-net-pci,id=card{slot},netdev=net{slot},addr={slot},disable-legacy=on,"
                           f"mac={mac_of(slot)},host_mtu={MTU},{properties}")
        with namespace.inside():  # where QEMU makes its TAPs
            self.machine = boot("card", devices=devices, words=words)
        self.machine.wait_boot()
        self.machine.load_modules("uio", "tun")
        self.machine.run("insmod /modules/vop_pci_uio.ko pool_size=2097152 && vop bind " +
                         " ".join(f"00:{slot:02x}.0" for slot in CARDS))
        self.bridge = None

    def start_bridge(self, slot, *words):
        if self.bridge:  # of a test that failed
            self.machine.status(f"kill -KILL {self.bridge}")
        self.bridge = self.machine.start(
            f"vop-bridge --link virtio-pci:00:{slot:02x}.0 --tap vop0 --address {GUEST}/24 --queues {QUEUES[slot]} "
            f"{' '.join(words)}", "/tmp/bridge")
        for other in CARDS:
            self.namespace.ip("addr", "flush", "dev", f"tap{other}")
        self.namespace.ip("link", "set", f"tap{slot}", "mtu", str(MTU), "up")
        self.namespace.ip("addr", "add", f"{HOST}/24", "dev", f"tap{slot}")

    def wait_answer(self):
        self.machine.eventually(f"ping -c 1 -W 1 {HOST} || {{ cat /tmp/bridge; false; }}", "ping")

    def end_bridge(self, signal="TERM"):
        self.machine.run(f"kill -{signal} {self.bridge}")
        self.machine.eventually(f"! kill -0 {self.bridge} 2>/dev/null", "the bridge has ended")
        self.bridge = None

    def wait_carrier(self, is_on):
        self.machine.eventually(f"grep -q {int(is_on)} /sys/class/net/vop0/carrier", f"carrier {is_on}")


def mac_of(slot):
    return f"52:54:00:00:00:{slot:02x}"


@pytest.fixture(scope="module")
def namespace():
    """For all tests, since machines are."""
    made = Namespace("cards")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def world(namespace, boot):  # in this order: the machine ends first
    return World(boot, namespace)


@pytest.mark.parametrize("slot", CARDS)
def test_card(world, slot):
    """Pings and streams; the card's address and MTU; its carrier; and a bridge that is killed."""
    machine = world.machine
    world.start_bridge(slot)
    world.wait_answer()
    assert lost(machine, 20) == 0
    assert lost(machine, 20, size=20000) == 0
    transfer(world, upwards=True)
    transfer(world, upwards=False)
    assert machine.run("cat /sys/class/net/vop0/address").strip() == mac_of(slot)
    assert machine.run("cat /sys/class/net/vop0/mtu").strip() == str(MTU)
    assert int(machine.run("ls -d /sys/class/net/vop0/queues/rx-* | wc -l")) == QUEUES[slot]

    # QEMU 7.2 turns notifications of a packed queue to send off when the link goes down, and never on again.
    machine.monitor.execute("set_link", name=f"card{slot}", up=False)
    world.wait_carrier(False)
    machine.monitor.execute("set_link", name=f"card{slot}", up=True)
    world.wait_carrier(True)
    world.wait_answer()
    assert lost(machine, 20) == 0

    world.end_bridge("KILL")
    world.start_bridge(slot)
    world.wait_answer()
    transfer(world, upwards=False)
    world.end_bridge()
    assert "link up" in machine.run("cat /tmp/bridge")


def test_own_address(world):
    world.start_bridge(6, "--mac", "02:00:00:00:00:77")
    world.wait_answer()
    assert world.machine.run("cat /sys/class/net/vop0/address").strip() == "02:00:00:00:00:77"
    world.end_bridge()


def test_longer_frames(world):
    """A card that does not merge buffers gets such as hold its MTU, also where the interface has a shorter one."""
    world.start_bridge(7, "--mtu 600", "--slot-size 64")
    world.wait_answer()
    assert lost(world.machine, 20, size=1300) == 0  # there in fragments, back in one frame
    world.end_bridge()


def test_unplugged(world):
    """A card that is taken away and put back while it is in use."""
    machine = world.machine
    world.start_bridge(6)
    world.wait_answer()
    machine.unplug("card6")
    machine.eventually("grep 'link down: .*the card is gone' /tmp/bridge || { cat /tmp/bridge; false; }", "the end")
    world.wait_carrier(False)
    machine.monitor.execute("device_add", driver="virtio-net-pci", id="card6", netdev="net6", addr="0x6", mac=mac_of(6),
                            **{"disable-legacy": "on", "host_mtu": MTU})
    machine.eventually("vop bind 00:06.0", "the card is there")
    world.wait_answer()
    assert lost(machine, 20) == 0
    world.end_bridge()


@pytest.mark.parametrize("name, said", [
    ("00:01.0", "00:01.0"), ("00:1f.0", "no such PCI device"), ("x", "no PCI address"),
    ("00:05.0 --peer-uid 0", "leave it out"), ("00:08.0", "no network card")])
def test_what_is_no_card(world, name, said):
    if name == "00:08.0":
        world.machine.monitor.execute("device_add", driver="virtio-rng-pci", id="rng", addr="0x8",
                                      **{"disable-legacy": "on"})
        world.machine.eventually("vop bind 00:08.0", "a device that is no card")
    status, text = world.machine.status(f"vop-bridge --link virtio-pci:{name} --tap vop0", 20)
    assert status == 1 and said in text
