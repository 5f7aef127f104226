# SPDX-License-Identifier: BSD-3-Clause
"""docs/RECIPES.md: its commands are run as they stand there, with a namespace for each host."""
import collections
import subprocess

import pytest

from lib.page import as_script, blocks, run_machine


def test_two_hosts_and_a_vxlan(root):
    if subprocess.run(["unshare", "--net", "ip", "link", "add", "x", "type", "vxlan", "id", "1", "dstport", "4789"],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel has no VXLAN")
    commands = collections.defaultdict(list)
    for host, text in blocks("RECIPES.md"):
        commands[host].append(text)
    assert {host: len(texts) for host, texts in commands.items()} == {"machine": 1, "left": 2, "right": 1}

    def on(host, number=0):
        return as_script(commands[host][number], f"nsenter --net=/run/netns/{host}")

    said = run_machine(
        commands["machine"][0] + on("left") + on("right")
        + "nsenter --net=/run/netns/red sh -c 'for i in $(seq 100); do ping -c 1 -W 0.2 10.42.0.2 && break; done'\n"
        + on("left", 1)
        + "nsenter --net=/run/netns/red ping -c 1 -W 5 -s 1422 -M do 10.42.0.2\n"  # as long as the MTU
        + "nsenter --net=/run/netns/red ping -c 1 -W 5 -s 20000 10.42.0.2\n"
        + "ip -n core -s -j link show dev eth0\n")
    assert said.count(" 0% packet loss") == 4, said  # one of each, and that of the page
    assert "dst 198.51.100.1" in said, said
