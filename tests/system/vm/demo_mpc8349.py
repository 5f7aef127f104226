#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""demo_mpc8349.py SERIES [FILE]: a machine with a board in its slot, the board's program beside it, measured over the
native link and the pair of 2009, in one table; figures go to FILE.

For ./demo --mpc8349, which installs and builds what this needs."""
import json
import pathlib
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib import netns  # noqa: E402
from lib.board import (ADDRESS, BOARD, HOST, NATIVE, PAIR, PROGRAMS, BoardSide, HostSide, Model,  # noqa: E402
                       join, wait_answer)
from lib.vm import Machine, Software, Unavailable  # noqa: E402

PINGS = 50
SECONDS = 5  # of TCP, each way
ROWS = (("ping, lost, %", "ping_loss_percent"), ("ping, median, ms", "ping_ms"),
        ("TCP, host to board, Mbit/s", "tcp_to_board_mbps"), ("TCP, board to host, Mbit/s", "tcp_to_host_mbps"))


def measure(host, board, scheme):
    print(f"joining both by {scheme}", flush=True)
    join(host, board, scheme)
    wait_answer(host)
    print("pinging", flush=True)
    lost, times = host.ping(PINGS)
    print("measuring TCP", flush=True)
    with board.iperf_server():
        to_board, to_host = host.iperf(SECONDS), host.iperf(SECONDS, "-R")
    host.stop_bridge()
    board.stop_bridge()
    return {"ping_loss_percent": lost, "ping_ms": round(sorted(times)[len(times) // 2] * 1e3, 3) if times else None,
            "tcp_mbps": round(min(to_board, to_host), 2),  # the worse direction
            "tcp_to_board_mbps": round(to_board, 2), "tcp_to_host_mbps": round(to_host, 2)}


def show(series, figures):
    print(f"\nA virtual machine with Linux {series} and its MPC8349 board, which is a model; processors are emulated\n"
          f"host:  {HOST}, vop-bridge on vop_pci_uio, at {ADDRESS}\n"
          f"board: {BOARD}, vop-bridge on the registers as the board's processor sees them\n\n"
          f"{'':<34}{'native link':>14}{'pair of 2009':>14}")
    for what, key in ROWS:
        print(f"{what:<34}" + "".join(f"{figures[kind][key]:>14g}" for kind in ("native", "pair")))
    print("\nNative: each side's processor stores across the bus; here each store of the host costs a message between\n"
          "processes. Pair: the board's DMA engine moves the frames.")


def run(series, place):
    software = Software(series, place, PROGRAMS)
    namespace = netns.Namespace("board")
    model = Model(place)
    print(f"booting a machine with Linux {series}", flush=True)
    host, board = None, BoardSide(model, namespace, place)
    try:
        host = HostSide(model, lambda **options: Machine("host", place, software.kernel, software.initramfs, **options))
        host.wait_boot()
        return {"native": measure(host, board, NATIVE), "pair": measure(host, board, PAIR)}
    finally:
        if host:
            host.machine.kill()
        board.kill_bridge()
        model.kill()
        namespace.remove()


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    series, output = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    netns.remove_stale()
    with tempfile.TemporaryDirectory(prefix="vop-demo.") as place:
        figures = run(series, place)
    show(series, figures)
    if output:
        pathlib.Path(output).write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if any(part["ping_loss_percent"] for part in figures.values()) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Unavailable, AssertionError, OSError) as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
