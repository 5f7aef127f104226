# SPDX-License-Identifier: BSD-3-Clause
"""What is measured over each path. A work gives a sample: a dict of figures, whose first name is `figure`."""
import json
import re
import statistics
import subprocess
import threading
import time

PATIENCE_S = 20  # beyond what a work takes
FIXED_RATE = 50000  # datagrams a second


class WorkError(Exception):
    """A work did not come to its end; the text says why."""


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def output_of(command, seconds):
    try:
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds + PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        raise WorkError(f"{command[-1]}: has not ended in time") from None
    return done


# ---- Each kind ----

def tcp(place, path, seconds, congestion, flows, address=None):
    """iperf3 from a to b. The processors' time is that of both its ends, as it says itself, and of the carriers."""
    command = [*place.inside("a"), "iperf3", "-J", "-c", address or path.address, "-t", seconds, "-P", flows, "-C",
               congestion]
    for _ in range(20):
        before = path.cpu_s()
        done = output_of(command, seconds)
        carriers_s = path.cpu_s() - before
        result = json.loads(done.stdout or "{}")
        if "busy" not in result.get("error", ""):  # the server is not done with the last one
            break
        time.sleep(0.1)
    if done.returncode != 0 or "error" in result:
        raise WorkError("iperf3: " + (result.get("error") or last_line(done.stderr)))
    end = result["end"]
    received, cpu = end["sum_received"], end["cpu_utilization_percent"]
    if not received["bytes"]:
        raise WorkError("iperf3: nothing has arrived")
    ends_s = (cpu["host_total"] + cpu["remote_total"]) / 100 * end["sum_sent"]["seconds"]
    gigabytes = received["bytes"] / 1e9
    return {"gbps": received["bits_per_second"] / 1e9, "cpu_s_per_gb": (ends_s + carriers_s) / gigabytes,
            "carriers_cpu_s_per_gb": carriers_s / gigabytes, "retransmits": end["sum_sent"].get("retransmits", 0)}


def datagrams(place, path, seconds, size, rate=0, gso=False):
    command = [place.programs / "bench-bridge-datagrams", "--address", path.address, "--client-netns", "a",
               "--server-netns", "b", "--size", size, "--ms", seconds * 1000, "--rate", rate,
               "--json", place.scratch]
    done = output_of(command + (["--gso"] if gso else []), seconds)
    if done.returncode != 0:
        raise WorkError(last_line(done.stderr))
    found = json.loads(place.scratch.read_text())
    return {"kpps": found["received_per_s"] / 1e3, "gbps": found["received_per_s"] * size * 8 / 1e9,
            "lost_percent": found["lost_percent"], "sent_kpps": found["sent_per_s"] / 1e3, "late": found["late"],
            "overflowed": found["overflowed"]}


def at_a_rate(place, path, seconds, size):
    found = datagrams(place, path, seconds, size, FIXED_RATE)
    return {"lost_percent": found.pop("lost_percent"), **found}


def round_trips(place, path, seconds):
    done = output_of([place.programs / "bench-rr", "--address", path.address, "--client-netns", "a", "--server-netns",
                      "b", "--size", 64, "--ms", seconds * 1000, "--json", place.scratch], seconds)
    if done.returncode != 0:
        raise WorkError(last_line(done.stderr))
    found = json.loads(place.scratch.read_text())
    return {"p50_us": found["p50_us"], "p99_us": found["p99_us"], "lost": found["lost"]}


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def ping_under_tcp(place, path, seconds):
    """Pings while one TCP flow goes the same way."""
    if not path.pings:
        raise WorkError("it answers no ping")
    failed = []

    def load():
        try:
            tcp(place, path, seconds + 1, place.congestion, 1)
        except WorkError as error:
            failed.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.4)
    count = int(seconds * 100)
    done = output_of([*place.inside("a"), "ping", "-n", "-i", "0.01", "-c", count, "-W", 1, path.address], seconds)
    thread.join()
    if failed:
        raise failed[0]
    times = [float(text) for text in re.findall(r"time=([\d.]+) ms", done.stdout)]
    if not times:
        raise WorkError("ping: " + (last_line(done.stderr) or "no answer"))
    return {"p95_ms": percentile(times, 0.95), "p50_ms": statistics.median(times),
            "lost_percent": 100 * (1 - len(times) / count)}


def vxlan(place, path, seconds):
    """TCP through a VXLAN device over the path."""
    if not path.vxlan_address:
        raise WorkError("it carries no VXLAN")
    return tcp(place, path, seconds, place.congestion, 1, path.vxlan_address)


def captured(place, path, seconds):
    """TCP without a capture, with one of all bytes and with one of the first 96 of each frame, in small files of which
    the last one is left: as ratios to the first."""
    def capture(*words):
        path.ask_capture(place, "start", "--rotate-size=67108864", "--rotate-files=1", *words)
        try:
            found = tcp(place, path, seconds, place.congestion, 1)
        finally:
            answer = path.ask_capture(place, "stop")
        return found["gbps"], 100 * answer["dropped"] / max(answer["accepted"], 1)

    headers, headers_dropped = capture("--snaplen=96")
    without = tcp(place, path, seconds, place.congestion, 1)["gbps"]
    all_bytes, dropped = capture()
    return {"ratio": all_bytes / without, "headers_ratio": headers / without, "gbps": without,
            "dropped_percent": dropped, "headers_dropped_percent": headers_dropped}


# ---- All of them ----

class Work:
    """`figure` is what is compared: of ours and of others, `more` or less of which is better. `suits` says over which
    paths it is played."""

    def __init__(self, key, title, figure, unit, measure, more=True, needs=None, quick=True, suits=lambda path: True):
        self.key, self.title, self.figure, self.unit, self.measure = key, title, figure, unit, measure
        self.more, self.needs, self.quick, self.suits = more, needs, quick, suits


def tcp_work(congestion, flows):
    what = "flow" if flows == 1 else "flows"
    return Work(f"tcp{flows}_{congestion}", f"TCP, {flows} {what}, {congestion}", "gbps", "Gbit/s",
                lambda place, path, seconds: tcp(place, path, seconds, congestion, flows), needs=congestion)


def udp_work(key, size, gso=False):
    title = f"UDP, {size} B" + (", sent with GSO" if gso else "")
    return Work(key, title, "kpps", "thousand/s",
                lambda place, path, seconds: datagrams(place, path, seconds, size, gso=gso))


def fixed_work(key, size):
    return Work(key, f"UDP, {size} B, {FIXED_RATE // 1000},000/s", "lost_percent", "% lost",
                lambda place, path, seconds: at_a_rate(place, path, seconds, size), more=False)


WORKS = [
    tcp_work("cubic", 1), tcp_work("bbr", 1), tcp_work("cubic", 4), tcp_work("bbr", 4),
    udp_work("udp64", 64), udp_work("udp1400", 1400), udp_work("udp1400_gso", 1400, gso=True),
    fixed_work("udp64_fixed", 64), fixed_work("udp1400_fixed", 1400),
    Work("rr", "request/response, 64 B", "p50_us", "us, p50", round_trips, more=False),
    Work("ping_under_tcp", "ping under one TCP flow", "p95_ms", "ms, p95", ping_under_tcp, more=False),
    Work("vxlan", "TCP through VXLAN", "gbps", "Gbit/s", vxlan),
    Work("capture", "TCP while it is captured", "ratio", "of that without", captured,
         suits=lambda path: path.captures),
]
BY_KEY = {work.key: work for work in WORKS}
