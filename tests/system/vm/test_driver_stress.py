# SPDX-License-Identifier: BSD-3-Clause
"""Devices that come and go while processes open, map, use and leave them: whatever happens has a defined answer."""
import pytest

from ivshmem_server import IvshmemServer
from lib.uio import EDU_ACK, EDU_RAISE, IV_DOORBELL, IV_POSITION, Uio
from lib.vm import LONG, SERIES

DOORBELL, EDU = 4, 5

# What each action may answer while its device comes and goes.
ALLOWED = {
    "open": {"ok", "EBUSY", "ENODEV", "ENOENT", "EINVAL", "ENXIO"},
    "map": {"ok", "EINVAL", "ENODEV", "EBADF"},
    "irq": {"ok", "EIO", "EINVAL", "EBADF"},
    "read": {"EIO", "ETIME", "EBADF"},
    "peek": {"SIGSEGV"},  # was not mapped
    "poke": {"ok", "SIGSEGV"},
    "unmap": {"ok", "EINVAL"},
    "close": {"ok", "EBADF"},
}


@pytest.fixture
def rounds(request):
    """KASAN and lockdep see in few rounds what others need luck for, and take four times as long for each."""
    if not LONG:
        return 10
    return 50 if "debug" in request.node.name else 200


@pytest.fixture(scope="module", params=SERIES)
def machine(request, boot, tmp_path_factory):
    with IvshmemServer(tmp_path_factory.mktemp("ivshmem") / "server", 1 << 20) as server:
        machine = boot("s", request.param, devices=[f"ivshmem-doorbell,chardev=server,vectors=4,addr={DOORBELL}",
                                                    f"edu,id=edu,addr={EDU}"],
                       words=["-chardev", f"socket,id=server,path={server.path}"]).wait_boot()
        machine.load_modules("uio", "vop_pci_uio")
        machine.run("echo 1234 11e8 >/sys/bus/pci/drivers/vop_pci_uio/new_id")
        yield machine


def check_log(machine, log):
    for line in machine.run(f"sort -u {log}").splitlines():
        what, answer = line.split(maxsplit=1)
        assert answer in ALLOWED[what] or answer.isdigit() or answer.startswith("0x"), line


def test_bound_and_unbound_under_load(machine, rounds):
    """Two processes in turn open, map, interrupt and use each device; a third unbinds and binds it."""
    edu, doorbell = Uio(machine, EDU), Uio(machine, DOORBELL)
    machine.run("rm -f /tmp/stop")
    use = {edu: f"map=0:4096 map=1:4096 poke=0:{EDU_RAISE}:1 poke=1:0:1 read=20 poke=0:{EDU_ACK}:1 irq=1 peek=1:0 "
                "unmap=1",
           doorbell: f"map=0:256 map=2:65536 peek=0:{IV_POSITION} poke=0:{IV_DOORBELL}:0 read=20 irq=0 irq=1 unmap=2"}
    for device, actions in use.items():
        for process in (1, 2):
            machine.start(f"while [ ! -e /tmp/stop ]; do for n in 0 1 2 3; do "
                          f"[ ! -e /dev/uio$n ] || uio-try open=/dev/uio$n {actions} close; done; done",
                          f"/tmp/use.{device.address}.{process}")
    machine.run(f"""for round in $(seq {rounds}); do
        echo "round $round" >/dev/console
        for device in {edu.address} {doorbell.address}; do
            echo $device >/sys/bus/pci/drivers/vop_pci_uio/unbind && usleep 3000 &&
            echo $device >/sys/bus/pci/drivers/vop_pci_uio/bind && usleep 30000 || exit
        done
    done""", 30 + rounds)
    machine.run("touch /tmp/stop; wait")
    machine.eventually("! pidof uio-try", "all have ended")
    for device in use:
        for process in (1, 2):
            check_log(machine, f"/tmp/use.{device.address}.{process}")
        assert device.attempt("map=0:256")[-1] == "ok", "usable to the end"
    assert "peek 0x0" in machine.run(f"cat /tmp/use.{edu.address}.*") or rounds < 50, "no pool was ever taken away"


def test_unplugged_under_load(machine, rounds):
    edu = Uio(machine, EDU)
    for _ in range(max(2, rounds // 10)):
        with edu.holder("map=0:4096", "map=1:4096", f"poke=0:{EDU_RAISE}:1", "block", "block", "peek=0:0", "peek=1:0",
                        "close") as holder:
            holder.wait_results(5)
            machine.unplug("edu")
            assert holder.wait_results(9)[5:] == ["EIO", "0x0", "0x0", "ok"]
        machine.monitor.execute("device_add", driver="edu", id="edu", addr=f"{EDU:#x}")
        machine.eventually(f"test -e {edu.sysfs}/interrupts", "the driver has it again")


def test_killed_at_any_time(machine, rounds):
    """Whatever a process was doing, the next one finds the device quiet and free."""
    edu = Uio(machine, EDU)
    for delay in range(0, rounds * 500, 500):
        machine.run(f"uio-try open=/dev/{edu.name()} map=0:4096 map=1:4096 poke=1:0:1 poke=0:{EDU_RAISE}:1 read=100 "
                    f"pause >/dev/null & usleep {delay}; kill -9 $!; wait $! 2>/dev/null; true")
        assert edu.attempt("map=0:4096", "map=1:4096", "peek=1:0", f"poke=0:{EDU_ACK}:1")[2:] == ["ok", "0x0", "ok"]
