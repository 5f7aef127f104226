# SPDX-License-Identifier: BSD-3-Clause
"""docs/OPERATING.md: the ten minutes of a newcomer, command by command, with the units that are installed.

lib/units takes the place of systemd, on a machine of the test's own. What each step is to show is looked for in what it
says.
"""
import re

from lib.bridge import program
from lib.manager import unit
from lib.netns import root_of_project
from lib.page import blocks, run_machine

UNITS = """
mkdir -p /run/bin /run/unit-files
ln -s $PROJECT/tests/system/lib/units /run/bin/systemctl
cat >/run/unit-files/vop-bridge@.service <<'END_OF_UNIT'
{service}END_OF_UNIT
cat >/run/unit-files/vop-bridge@.socket <<'END_OF_UNIT'
{socket}END_OF_UNIT
export PATH=/run/bin:$PATH UNITS=/run/unit-files
"""


def prepare():
    service = unit("service", program())
    return f"PROJECT={root_of_project()}\n" + UNITS.format(service=service, socket=unit("socket", program()))


def steps():
    """The blocks of the page; before each a line that tells where it begins."""
    script = ""
    for number, (word, text) in enumerate(blocks("OPERATING.md")):
        assert word == "machine"
        if "steer pin" in text:  # a kernel or a build may have none
            text = f"if vop bridge steer show red0 | grep -q 'steered by rss'; then\n{text}else echo no program; fi\n"
        if text.startswith("curl"):
            text = f"if command -v curl >/dev/null; then\n{text}else echo no curl; fi\n"
        script += f"echo '== step {number}'\n{text}"
    return script


def test_ten_minutes(root):
    said = run_machine(prepare() + steps() + "echo == end; cat /run/units/vop-bridge@red.service/said\n"
                       "ls /run/vop\n")
    part = dict(re.findall(r"^== (step \d+|end)\n(.*?)(?=^== |\Z)", said, re.MULTILINE | re.DOTALL))
    part = {key.removeprefix("step "): text for key, text in part.items()}
    assert len(part) == 11, said
    assert re.search("active\n.*Status: .red0: ", part["3"]) and " 0% packet loss" in part["3"], part["3"]
    assert re.search(r"red0.*\.pcapng", part["4"]), part["4"]
    before, after = map(int, re.findall(r"rx_frames\s+(\d+)", part["5"]))
    assert after >= before + 20, part["5"]
    assert re.search("^vop_bridge_.*frames", part["6"], re.MULTILINE) or "no curl" in part["6"], part["6"]
    assert "10.99.0.1:5000" in part["7"] or "no program" in part["7"], part["7"]
    assert len(set(re.findall(r"^(\d+): red0", part["8"], re.MULTILINE))) == 1, part["8"]
    assert part["8"].count("red0") == 2 and " 3 received" in part["8"], part["8"]
    assert part["end"].count("True READY=1") == 2 and part["end"].count("True STOPPING=1") == 2, part["end"]
    assert not re.search("^False ", part["end"], re.MULTILINE), part["end"]  # nobody but the service itself
    assert not re.search("^lab.sock$", part["end"], re.MULTILINE), "a socket is left behind"


def test_socket_unit(root):
    """The socket is there before its service, and while that is started again; the file says the same name."""
    said = run_machine(prepare() + """
ip netns add red
ip netns add blue
install -d /etc/vop-bridge
echo 'link = "shm:/run/vop/lab.sock"; netns = "red"; tap = "red0"; address = "10.99.0.1/24"; persist = true;' \\
    >/etc/vop-bridge/lab.conf
systemctl enable --now vop-bridge@lab.socket vop-bridge@lab.service
vop-bridge --link shm:/run/vop/lab.sock --tap blue0 --netns blue --address 10.99.0.2/24 &
for i in $(seq 100); do ip netns exec red ping -c 1 -W 0.2 10.99.0.2 && break; done
systemctl restart vop-bridge@lab
for i in $(seq 100); do ip netns exec red ping -c 1 -W 0.2 10.99.0.2 && echo again && break; done
cat /run/units/vop-bridge@lab.service/said
""")
    assert "again" in said and said.count("True READY=1") == 2, said
