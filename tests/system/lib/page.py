# SPDX-License-Identifier: BSD-3-Clause
"""Commands as a page of docs has them, run as they stand there, on a machine of their own: private namespaces with
their own /run, /tmp, /etc and /var/lib, which go away with all that was started in them."""
import re
import subprocess

from lib.bridge import BIN, SLOW
from lib.netns import root_of_project


def blocks(page):
    """What is between ```sh WORD and ```: a list of (WORD, commands), in their order. Those without a word are left
    out: they are to be read."""
    text = (root_of_project() / "docs" / page).read_text()
    return re.findall(r"^```sh (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


PROLOGUE = """
set -eu
cp -a /etc /run/etc
mount --bind /run/etc /etc
mount -t tmpfs tmpfs /var/lib
export PATH=$0:$PATH
"""


def run_machine(script, seconds=60):
    """Runs a script of bash on a machine of its own: whatever it has started goes with it. Returns its lines."""
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--net", "--pid", "--ipc",
         "--mount-proc", "--fork", "--kill-child=KILL", "timeout", "-k", "5", str(seconds * SLOW),
         root_of_project() / "scripts/private_mounts", "bash", "-c", PROLOGUE + script, BIN],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def as_script(text, *before):
    """What runs this text by a shell of its own, behind the words `before`."""
    return f"cat >/tmp/block <<'END_OF_BLOCK'\n{text}END_OF_BLOCK\n{' '.join(before)} bash -eu /tmp/block\n"
