#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""demo_net.py SERIES [FILE]: one machine with two network cards on this host, of which one is vop-bridge and the other
QEMU's own TAP back end, measured in turn, in one table; figures go to FILE.

For ./demo --vm-net, which installs and builds what this needs."""
import contextlib
import json
import pathlib
import re
import signal
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib.bridge import Bridge, eventually  # noqa: E402
from lib.netns import Namespace  # noqa: E402
from lib.vm import Machine, Software, Unavailable  # noqa: E402

MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
           "net_failover", "virtio_net"]
MEMORY = 256
PINGS = 50
ROUNDS = 5
REQUESTS = 1000
SECONDS = 1  # of each TCP measurement
PATIENCE_S = 20
CARDS = {"vop": ("vop0", "10.98.3"), "tap": ("tap0", "10.98.4")}  # the host's interface, and its network
TARGET = 1.0


def boot(series, place, namespace):
    """The bridge is there first, since QEMU waits for it."""
    software = Software(series, place, [])
    print(f"starting vop-bridge, and booting a machine with Linux {series}", flush=True)
    bridge = Bridge("--link", f"vhost-user:{place}/card", "--tap", CARDS["vop"][0], "--control", "none",
                    namespace=namespace, log=pathlib.Path(place) / "bridge.log")
    try:
        eventually((pathlib.Path(place) / "card").exists, "the bridge listens", 10)
        with namespace.inside():  # where QEMU makes its TAP
            machine = Machine("net", place, software.kernel, software.initramfs, memory=MEMORY, words=[
                "-object", f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on", "-machine", "memory-backend=ram",
                "-chardev", f"socket,id=card,path={place}/card", "-netdev", "vhost-user,id=vop,chardev=card",
                "-netdev", f"tap,id=tap,ifname={CARDS['tap'][0]},script=no,downscript=no,vhost=off"],
                devices=[f"virtio-net-pci,netdev={name},vectors=0,mac=52:54:00:00:00:0{number}"
                         for number, name in enumerate(CARDS)])
    except BaseException:
        bridge.stop()
        raise
    return bridge, machine


def configure(machine, namespace):
    machine.wait_boot()
    machine.load_modules(*MODULES)
    for number, (name, network) in enumerate(CARDS.values()):
        namespace.ip("addr", "add", f"{network}.1/24", "dev", name)
        namespace.ip("link", "set", name, "up")
        machine.run(f"ip addr add {network}.2/24 dev eth{number} && ip link set eth{number} up")
        machine.eventually(f"ping -c 1 -W 1 {network}.1", f"eth{number} reaches the host")
    # Else which card is the faster one depends on which of the two shares a processor with iperf3.
    machine.run("for card in $(sed -n 's/^ *\\([0-9]*\\):.* virtio[0-9]*$/\\1/p' /proc/interrupts); do "
                "echo 1 >/proc/irq/$card/smp_affinity; done")
    machine.run("iperf3 -s -D")


def ping(namespace, network, *words):
    """Lost percent, and the mean time in ms."""
    said = namespace.run("ping", "-q", *words, f"{network}.2", check=False)
    lost = re.search(r"([\d.]+)% packet loss", said)
    times = re.search(r"= [\d.]+/([\d.]+)/", said)
    return float(lost[1]) if lost else 100.0, float(times[1]) if times else None


def tcp(namespace, network, *words):
    said = {}

    def has_ended():
        nonlocal said
        text = namespace.run("iperf3", "-J", "-c", f"{network}.2", "-t", str(SECONDS), *words, check=False)
        said = json.loads(text or "{}")
        return not re.search("busy|refused", said.get("error", ""))  # not done with the last one, or not there yet

    eventually(has_ended, "iperf3 in the machine is ready", PATIENCE_S)
    assert "error" not in said, f"iperf3: {said['error']}"
    return said["end"]["sum_received"]["bits_per_second"] / 1e6


def measure(namespace):
    print("pinging", flush=True)
    lost = max(ping(namespace, network, "-c", str(PINGS), "-i", "0.02")[0] for _, network in CARDS.values())
    found = {name: {"down": [], "up": [], "rr": []} for name in CARDS}
    for number in range(ROUNDS):
        print(f"measuring both, round {number + 1} of {ROUNDS}", flush=True)
        for name, (_, network) in sorted(CARDS.items(), reverse=number % 2 == 1):
            found[name]["down"].append(tcp(namespace, network))
            found[name]["up"].append(tcp(namespace, network, "-R"))
            _, time = ping(namespace, network, "-f", "-c", str(REQUESTS))
            found[name]["rr"].append(1e3 / time if time else 0.0)
    middle = {name: {key: statistics.median(values) for key, values in of.items()} for name, of in found.items()}

    def ratio(key):  # within a round, for a machine has faster and slower moments
        return round(statistics.median(ours / qemus for ours, qemus in zip(found["vop"][key], found["tap"][key])), 3)

    return {"ping_loss_percent": lost, "tcp_qemu_tap_ratio": min(ratio("down"), ratio("up")),
            "tcp_down_ratio": ratio("down"), "tcp_up_ratio": ratio("up"), "rr_qemu_tap_ratio": ratio("rr"),
            "values": middle}


def show(figures):
    print("\nA virtual machine, its processor emulated, on this host: vop-bridge beside QEMU's own TAP back end\n")
    print(f"{'':<34}{'vop-bridge':>12}{'QEMU':>12}{'ratio':>8}")
    for what, key, ratio in (("TCP, to the machine, Mbit/s", "down", "tcp_down_ratio"),
                             ("TCP, from the machine, Mbit/s", "up", "tcp_up_ratio"),
                             ("requests and answers, 1/s", "rr", "rr_qemu_tap_ratio")):
        values = [figures["values"][name][key] for name in CARDS]
        print(f"{what:<34}{values[0]:>12.0f}{values[1]:>12.0f}{figures[ratio]:>8.2f}")
    print(f"\npings lost: {figures['ping_loss_percent']:g} %; target of the ratios: {TARGET:g}")


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    series, output = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory(prefix="vop-demo.") as place, contextlib.ExitStack() as stack:
        namespace = Namespace("demo")
        stack.callback(namespace.remove)
        bridge, machine = boot(series, place, namespace)
        stack.callback(bridge.stop)
        stack.callback(machine.kill)
        configure(machine, namespace)
        figures = measure(namespace)
        show(figures)
    if output:
        pathlib.Path(output).write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["ping_loss_percent"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Unavailable, AssertionError, OSError) as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
