#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""demo.py SERIES [FILE]: two machines joined by ivshmem and vop-bridge, measured, in one table; figures go to FILE.

For ./demo --vm, which installs and builds what this needs."""
import json
import pathlib
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from ivshmem_server import IvshmemServer  # noqa: E402
from lib.vm import Machine, Software, Unavailable  # noqa: E402
from lib.vmlink import Side, devices, join  # noqa: E402

SIZE = 16 << 20
PINGS = 50


def boot(series, place, server):
    software = Software(series, place, ["vop-bridge", "vop"])
    print(f"booting two machines with Linux {series}", flush=True)
    machines = []
    try:
        for name in "ab":
            machines.append(Machine(name, place, software.kernel, software.initramfs, **devices(server)))
        return [Side(number, machine).wait_boot() for number, machine in enumerate(machines)]
    except BaseException:
        for machine in machines:
            machine.kill()
        raise


def measure(a, b):
    print("starting vop-bridge in both", flush=True)
    join([a, b])
    print("pinging", flush=True)
    lost, times = a.ping(b, PINGS, 0.05)
    print("measuring TCP", flush=True)
    b.serve_iperf()
    forward, reverse = a.iperf(b, seconds=5), a.iperf(b, "-R", seconds=5)
    return {"ping_loss_percent": lost, "ping_ms": round(sorted(times)[len(times) // 2] * 1e3, 3) if times else None,
            "tcp_mbps": round(min(forward, reverse), 1),  # the worse direction
            "tcp_forward_mbps": round(forward, 1), "tcp_reverse_mbps": round(reverse, 1)}


def show(a, b, figures):
    print("\nTwo virtual machines, their processors emulated, joined by ivshmem\n")
    for side in (a, b):
        state = "up" if "LOWER_UP" in side.machine.run("ip link show vop0") else "down"
        device = next(d for d in json.loads(side.machine.run("vop pci --json")) if d["ready"])
        print(f"{side.name}: vop0 {state}, {side.address}, over {device['address']} ({device['what']})")
    print()
    for what, key in (("ping, lost, %", "ping_loss_percent"), ("ping, median, ms", "ping_ms"),
                      ("TCP, a to b, Mbit/s", "tcp_forward_mbps"), ("TCP, b to a, Mbit/s", "tcp_reverse_mbps")):
        print(f"{what:<34}{figures[key]:>11g}")


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    series, output = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory(prefix="vop-demo.") as place:
        with IvshmemServer(f"{place}/server", SIZE) as server:
            sides = boot(series, place, server)
            try:
                figures = measure(*sides)
                show(*sides, figures)
            finally:
                for side in sides:
                    side.machine.kill()
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
