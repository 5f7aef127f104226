# SPDX-License-Identifier: BSD-3-Clause
"""What is not measured in rounds: many clients of one server, instructions, and the machine itself."""
import json
import re
import shutil
import statistics
import subprocess

from compare.programs import PREFIX, ProgramError, last_line, signals_held
from report.machine import describe_machine

CLIENTS = (10, 100, 1000)
ACTIVE = 10
COUNTS = (1000, 11000)  # the difference of two runs is what the messages took


def end_process(process):
    with signals_held():
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def run_program(command, seconds=120):
    """Standard output and standard error of a program. It is ended, with its sides, if this one is interrupted."""
    process = None
    try:
        with signals_held():
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, start_new_session=True)
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"has not ended within {seconds} s") from None
    finally:
        if process and process.poll() is None:
            end_process(process)
    if process.returncode != 0:
        raise ProgramError(last_line(errors) or f"ended with status {process.returncode}")
    return output, errors


def clients_once(directory, cpus, milliseconds):
    command = [directory / (PREFIX + "clients"), "--active", ACTIVE, "--duration-ms", milliseconds]
    for count in CLIENTS:
        command += ["--clients", count]
    output, _ = run_program(command + (["--cpus", cpus] if cpus else []))
    return [json.loads(line) for line in output.splitlines()]


def clients(directory, cpus, repetitions, milliseconds):
    """{carrier: {clients: figures}}: medians of some repetitions. What cannot be had says why as `error`."""
    samples = {}
    for _ in range(repetitions):
        for one in clients_once(directory, cpus, milliseconds):
            samples.setdefault(one["carrier"], {}).setdefault(str(one["clients"]), []).append(one)
    return {carrier: {count: median_of(ones) for count, ones in by_count.items()}
            for carrier, by_count in samples.items()}


def median_of(ones):
    """Of each figure in some answers of one kind."""
    for one in ones:
        if "error" in one:
            return {"error": one["error"]}
    return {key: float(f"{statistics.median(one[key] for one in ones):.4g}") for key, value in ones[0].items()
            if isinstance(value, (int, float)) and key not in ("clients", "active", "trips", "pause_us")}


def instructions(directory):
    """Of a message of 64 bytes, sent and received; None: there is no valgrind."""
    if not shutil.which("valgrind"):
        return None
    totals = []
    for count in COUNTS:
        _, errors = run_program(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                                 directory / (PREFIX + "count"), "--count", count])
        totals.append(int(re.search(r"Collected : (\d+)", errors)[1]))
    return (totals[1] - totals[0]) / (COUNTS[1] - COUNTS[0])


def machine(cpus, carriers):
    """What figures depend on."""
    return {**describe_machine(), "cpus": cpus,
            "versions": {carrier["name"]: carrier["version"] for _, carrier in carriers if carrier["version"]}}
