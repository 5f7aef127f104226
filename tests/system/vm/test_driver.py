# SPDX-License-Identifier: BSD-3-Clause
"""vop_pci_uio in two machines: maps, interrupts, the memory pool, and who may have a device when."""
import os
import struct
import types

import pytest

from ivshmem_server import IvshmemServer
from lib.uio import (EDU_ACK, EDU_BUFFER, EDU_COMMAND, EDU_COUNT, EDU_ID, EDU_LIVENESS, EDU_RAISE, EDU_SOURCE,
                     EDU_TARGET, INTX_DISABLE, IV_DOORBELL, IV_POSITION, MASTER, Uio)
from lib.vm import SERIES

SIZE = 4 << 20
HUGE = 2 << 30  # has no place below 4 GiB, where the firmware says that nothing is cached
PLAIN, DOORBELL, EDU, BRIDGE = 4, 5, 6, 7
RNG = 1  # alone behind the bridge: resetting that bus is a way to reset it
RNG_STATUS = 0x14  # in its BAR4, as virtio has it (4.1.4.3)


def load(machine, parameters=""):
    machine.run(f"insmod /modules/vop_pci_uio.ko {parameters} && "
                "if [ -e /sys/bus/pci/devices/0000:00:06.0 ]; then "
                "echo 1234 11e8 >/sys/bus/pci/drivers/vop_pci_uio/new_id; fi")


def reload(machine, parameters=""):
    machine.run("rmmod vop_pci_uio")
    load(machine, parameters)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with IvshmemServer(tmp_path_factory.mktemp("ivshmem") / "server", SIZE) as server:
        yield server


@pytest.fixture(scope="module", params=SERIES)
def machines(request, boot, server, tmp_path_factory):
    """a, with everything, and b, with what connects it to a."""
    shm = tmp_path_factory.mktemp("shm") / "plain"
    words = ["-object", f"memory-backend-file,id=shm,size={HUGE},share=on,mem-path={shm}",
             "-chardev", f"socket,id=server,path={server.path}"]
    devices = [f"ivshmem-plain,memdev=shm,addr={PLAIN}", f"ivshmem-doorbell,chardev=server,vectors=2,addr={DOORBELL}"]
    bridge = f"pci-bridge,id=bridge,chassis_nr=1,addr={BRIDGE}"
    rng = f"virtio-rng-pci,disable-legacy=on,bus=bridge,addr={RNG}"
    both = [boot("a", request.param, devices=[*devices, f"edu,id=edu,addr={EDU}", bridge, rng], words=words),
            boot("b", request.param, devices=devices, words=words)]
    for machine in both:
        machine.wait_boot()
        machine.load_modules("uio")
        load(machine)
    return both


@pytest.fixture
def devices(machines):
    """a.plain, a.doorbell, a.edu, b.plain, b.doorbell"""
    a, b = machines
    return (types.SimpleNamespace(machine=a, plain=Uio(a, PLAIN), doorbell=Uio(a, DOORBELL), edu=Uio(a, EDU)),
            types.SimpleNamespace(machine=b, plain=Uio(b, PLAIN), doorbell=Uio(b, DOORBELL)))


@pytest.fixture
def intx(devices):
    """edu with INTx alone; afterwards all is as it was."""
    a, _ = devices
    reload(a.machine, "msi=0")
    yield a.edu
    reload(a.machine)


def ring(target, vector):
    """What to store into a doorbell register."""
    return f"poke=0:{IV_DOORBELL}:{target << 16 | vector}"


# ---- Maps ----

def test_a_map_is_the_bar_of_its_number(devices):
    a, _ = devices
    for device, names in ((a.plain, ["bar0", "none", "bar2"]), (a.doorbell, ["bar0", "bar1", "bar2"])):
        maps, bars = device.maps(), device.bars()
        assert [maps[n][0] for n in sorted(maps)] == names
        for number, (name, address, offset, size) in maps.items():
            if name == "none":
                assert (address, size) == (0, 1)
            else:
                assert (address + offset, size) == bars[number]
                assert address % 4096 == 0
    assert a.plain.maps()[2][3] == HUGE and a.doorbell.maps()[2][3] == SIZE
    assert a.plain.maps()[0][3] == 256


def test_what_cannot_be_mapped(devices):
    a, _ = devices
    assert a.plain.attempt("map=0:4096", "map=0:8192", "map=1:4096", "map=2:4096:0", "map=3:4096", "map=5:4096",
                           f"map=2:{HUGE}", f"map=2:{HUGE + 4096}") == \
        ["ok", "ok", "EINVAL", "ENXIO", "ok", "EINVAL", "EINVAL", "ok", "EINVAL"]


def test_memory_of_the_host_is_cached_and_registers_are_not(devices):
    """As the kernel's own list of memory types has it."""
    a, _ = devices
    with a.plain.holder("map=0:256", "map=2:65536", "pause") as holder:
        holder.wait_results(3)
        types_of = {}
        for line in a.machine.run("cat /sys/kernel/debug/x86/pat_memtype_list").splitlines():
            for number, (_, address, _, _) in a.plain.maps().items():
                if f"[mem {address:#018x}-" in line:
                    types_of[number] = line.split()[-1]
        assert types_of[2] == "write-back"
        assert types_of[0].startswith("uncached")


def test_two_machines_share_bar2(devices, server):
    a, b = devices
    assert a.doorbell.attempt(f"map=2:{SIZE}", "poke=2:0:0x11223344", f"poke=2:{SIZE - 4}:0x55667788")[-1] == "ok"
    assert b.doorbell.attempt(f"map=2:{SIZE}", "peek=2:0", f"peek=2:{SIZE - 4}", "poke=2:4096:7")[2:] == \
        ["0x11223344", "0x55667788", "ok"]
    assert a.doorbell.attempt("map=2:8192:0", "peek=2:4096")[-1] == "0x7"
    memory = server.memory()
    assert struct.unpack("<I", os.pread(memory, 4, SIZE - 4))[0] == 0x55667788
    os.close(memory)


def test_registers_of_edu_are_seen_as_they_are(devices):
    a, _ = devices
    assert a.edu.maps()[0][0] == "bar0"
    assert a.edu.attempt("map=0:4096", f"peek=0:{EDU_ID}", f"poke=0:{EDU_LIVENESS}:0x0f0f1234",
                         f"peek=0:{EDU_LIVENESS}")[2:] == ["0x10000ed", "ok", "0xf0f0edcb"]


# ---- Binding ----

def test_unbind_and_bind(devices):
    a, _ = devices
    for device in (a.plain, a.doorbell, a.edu):
        device.unbind()
        assert not device.is_bound()
        assert "vop_pci_uio" not in a.machine.run(f"cat {device.sysfs}/driver/uevent 2>/dev/null || true")
        device.bind()
        assert device.attempt("map=0:256")[-1] == "ok"


def test_bridges_are_refused(devices):
    a, _ = devices
    bridge = Uio(a.machine, BRIDGE)
    a.machine.run(f"cd {bridge.sysfs} && if [ -e driver ]; then echo {bridge.address} >driver/unbind; fi && "
                  "echo vop_pci_uio >driver_override")
    status, text = a.machine.status(f"echo {bridge.address} >/sys/bus/pci/drivers/vop_pci_uio/bind")
    assert status != 0 and "No such device" in text
    a.machine.run(f"echo >{bridge.sysfs}/driver_override")


# ---- Interrupts ----

def test_a_doorbell_is_counted_at_the_peer(devices):
    a, b = devices
    position = int(b.doorbell.attempt("map=0:256", f"peek=0:{IV_POSITION}")[-1], 16)
    with b.doorbell.holder("read=60000", "read=60000", "read=60000", "read=300") as reader:
        reader.wait_results(1)
        for number, vector in enumerate((0, 1, 0)):
            assert a.doorbell.attempt("map=0:256", ring(position, vector))[-1] == "ok"
            reader.wait_results(2 + number)
        counts = reader.wait_results(5)[1:]
    first = int(counts[0])
    assert counts == [str(first), str(first + 1), str(first + 2), "ETIME"]
    assert b.doorbell.interrupts() == "msix 2"


def test_msix_waits_while_disabled(devices):
    a, b = devices
    position = int(b.doorbell.attempt("map=0:256", f"peek=0:{IV_POSITION}")[-1], 16)
    with b.doorbell.holder("irq=0", "wait=GATE", "read=300", "irq=1", "read=60000", "read=300", "irq=1",
                           "read=300") as reader:
        reader.wait_results(2)
        assert a.doorbell.attempt("map=0:256", ring(position, 0), ring(position, 0))[-1] == "ok"
        reader.open_gate()
        results = reader.wait_results(9)
    assert results[3] == "ETIME", "it came although disabled"
    assert results[5].isdigit(), "what came while disabled was forgotten"
    assert results[6:] == ["ETIME", "ok", "ETIME"]


def test_a_doorbell_before_the_process_is_ready(devices):
    """Nobody has it open: at most one event at open, and afterwards each is counted."""
    a, b = devices
    position = int(b.doorbell.attempt("map=0:256", f"peek=0:{IV_POSITION}")[-1], 16)
    assert a.doorbell.attempt("map=0:256", *[ring(position, v % 2) for v in range(100)])[-1] == "ok"
    with b.doorbell.holder("read=300", "read=300", "read=300", "read=60000") as reader:
        early = reader.wait_results(4)[1:]
        assert early[-1] == "ETIME" and sum(result.isdigit() for result in early) <= 2  # one for each vector
        a.doorbell.attempt("map=0:256", ring(position, 0))
        assert reader.wait_results(5)[-1].isdigit()


def test_no_interrupts_is_EIO_and_maps_work(devices):
    a, _ = devices
    assert a.plain.interrupts() == "none"
    assert a.plain.attempt("read=1000", "irq=1", "block", "map=2:4096", "peek=2:0")[1:4] == ["EIO"] * 3
    assert a.plain.attempt("map=2:4096", "peek=2:0")[-1].startswith("0x")


def test_msi(devices):
    a, _ = devices
    assert a.edu.interrupts() == "msi 1"
    first, second = [r for r in a.edu.attempt("map=0:4096", f"poke=0:{EDU_RAISE}:1", "read=60000",
                                              f"poke=0:{EDU_ACK}:1", f"poke=0:{EDU_RAISE}:1", "read=60000",
                                              f"poke=0:{EDU_ACK}:1") if r.isdigit()]
    assert int(second) == int(first) + 1


def test_intx_is_masked_at_the_device_until_enabled(intx):
    assert intx.interrupts() == "intx 1"
    before = intx.handled()
    with intx.holder("map=0:4096", f"poke=0:{EDU_RAISE}:1", "read=60000", "read=300", "wait=GATE", "irq=1",
                     "read=60000", f"poke=0:{EDU_ACK}:1", "irq=1", "read=300", "pause") as holder:
        results = holder.wait_results(5)
        first = int(results[3])
        assert results[4] == "ETIME"
        assert intx.command_register() & INTX_DISABLE
        # Asserted all the time; the handler ran for one of them.
        assert intx.handled() - before <= 1
        holder.open_gate()
        results = holder.wait_results(11)
        assert int(results[7]) == first + 1, "still asserted, so it comes again at once"
        assert results[10] == "ETIME"
        assert not intx.command_register() & INTX_DISABLE


def test_intx_disabled_by_irqcontrol(intx):
    assert intx.attempt("map=0:4096", "irq=0", f"poke=0:{EDU_RAISE}:1", "read=300", "irq=1", "read=60000",
                        f"poke=0:{EDU_ACK}:1")[4] == "ETIME"


def test_intx_before_the_process_is_ready(intx):
    """Asserted by a process that died: nobody is disturbed, and the next one hears of it."""
    with intx.holder("map=0:4096", "irq=0", f"poke=0:{EDU_RAISE}:1", "pause") as holder:
        holder.wait_results(4)
    before = intx.handled()
    assert intx.command_register() & INTX_DISABLE
    results = intx.attempt("map=0:4096", "read=60000", f"poke=0:{EDU_ACK}:1", "irq=1", "read=300")
    assert results[2].isdigit() and results[-1] == "ETIME"
    assert intx.handled() - before <= 1


# ---- The pool ----

def pool_of(device):
    [(number, address, size)] = [(n, address, size) for n, (name, address, _, size) in device.maps().items()
                                 if name == "pool"]
    return number, address, size


def transfer(source, target, count, flags):
    return [f"poke=0:{EDU_SOURCE}:{source}", f"poke=0:{EDU_TARGET}:{target}", f"poke=0:{EDU_COUNT}:{count}",
            f"poke=0:{EDU_COMMAND}:{1 | flags}", f"until=0:{EDU_COMMAND}:0:1:60000"]


def test_the_device_reaches_the_pool(devices):
    a, _ = devices
    number, bus, size = pool_of(a.edu)
    assert number == 1 and size == 65536
    results = a.edu.attempt(
        "map=0:0x100000", f"map={number}:{size}", f"poke={number}:0x100:0xcafe1234",
        *transfer(bus, EDU_BUFFER, 0x200, 0), *transfer(EDU_BUFFER, bus + 0x8000, 0x200, 2), f"peek={number}:0x8100",
        seconds=60)
    assert results[-1] == "0xcafe1234", results


def test_the_size_of_the_pool(devices):
    a, _ = devices
    try:
        for words, size in (("pool_size=5000", 8192), ("pool_size=1048576", 1 << 20)):
            reload(a.machine, words)
            assert pool_of(a.edu)[2] == size
            assert a.edu.attempt(f"map=1:{size}", f"poke=1:{size - 4}:1")[-1] == "ok"
        reload(a.machine, "pool_size=0")
        assert list(a.edu.maps()) == [0]
        assert a.edu.attempt("map=1:4096")[-1] == "EINVAL"
    finally:
        reload(a.machine)


def test_a_mapping_stays_in_one_piece(devices):
    """Its parts would show other halves once the device is gone."""
    a, _ = devices
    number, _, _ = pool_of(a.edu)
    assert a.edu.attempt(f"map={number}:8192", f"protect={number}")[-1] == "EINVAL"


# ---- Life ----

@pytest.mark.parametrize("end", ["close", "kill"])
def test_after_the_last_close_the_device_is_quiet(devices, end):
    a, _ = devices
    number, _, _ = pool_of(a.edu)
    assert not a.edu.command_register() & MASTER
    with a.edu.holder("map=0:4096", f"map={number}:4096", f"poke={number}:0:0x5ec2e7", "wait=GATE") as holder:
        holder.wait_results(4)
        assert a.edu.command_register() & MASTER
        assert a.edu.handled() >= 0
        if end == "close":
            holder.open_gate()
            holder.machine.eventually(f"! grep -q uio-try /proc/{holder.pid}/cmdline", "the end of the process")
        else:
            holder.kill()
    assert not a.edu.command_register() & MASTER
    assert "vop_pci_uio" not in a.machine.run("cat /proc/interrupts"), "its handler is still there"
    assert a.edu.attempt(f"map={number}:4096", f"peek={number}:0")[-1] == "0x0"


def test_the_next_user_finds_the_device_reset(devices):
    a, _ = devices
    rng = Uio(a.machine, RNG, bus=1)
    a.machine.run(f"cd {rng.sysfs} && cat reset_method && echo vop_pci_uio >driver_override && "
                  f"if [ -e driver ]; then echo {rng.address} >driver/unbind; fi")
    rng.bind()
    assert rng.attempt("map=4:4096", f"poke=4:{RNG_STATUS}:1", f"peek=4:{RNG_STATUS}")[2:] == ["ok", "0x1"]
    assert rng.attempt("map=4:4096", f"peek=4:{RNG_STATUS}", f"poke=4:{RNG_STATUS}:1", f"peek=4:{RNG_STATUS}")[2:] == \
        ["0x0", "ok", "0x1"], "and it works"
    rng.unbind()
    assert a.machine.status(f"test -e {a.edu.sysfs}/reset_method")[0] != 0, "one that cannot be reset is served, too"


def test_one_process_at_a_time(devices):
    a, _ = devices
    with a.edu.holder("map=0:4096", "close", "wait=GATE", "unmap=0", "pause") as holder:
        holder.wait_results(3)
        assert a.edu.attempt() == ["EBUSY"], "a mapping keeps the file open"
        holder.open_gate()
        holder.wait_results(5)
        assert a.edu.attempt("map=0:4096", f"peek=0:{EDU_ID}")[-1] == "0x10000ed"
    for device in (a.edu, a.plain, a.doorbell):
        with device.holder("pause") as holder:
            holder.wait_results(1)
            assert device.attempt() == ["EBUSY"]
        assert device.attempt() == ["ok"]


def test_the_module_stays_while_in_use(devices):
    a, _ = devices
    with a.doorbell.holder("map=2:4096", "close", "pause") as holder:
        holder.wait_results(3)
        status, text = a.machine.status("rmmod vop_pci_uio")
        assert status != 0 and "Resource temporarily unavailable" in text
        assert a.doorbell.is_bound()
    reload(a.machine)
    assert a.doorbell.attempt("map=0:256")[-1] == "ok"


GONE = ["irq=1", "read=1000", "map=0:4096", "peek=0:0", "poke=0:0:1", "peek=0:0", "close"]


def check_gone(results):
    irq, read, mapping, *rest = results
    assert irq in ("EIO", "EINVAL") and mapping in ("EIO", "EINVAL", "ENODEV")
    assert (read, *rest) == ("EIO", "0x0", "ok", "0x1", "ok"), "mappings are memory of the process now"


def test_unbound_during_use(devices):
    a, _ = devices
    with a.doorbell.holder("map=0:256", "peek=0:0", "block", *GONE, "pause") as holder:
        holder.wait_results(3)
        holder.wait_state("S")
        a.doorbell.unbind()
        results = holder.wait_results(11)
        assert results[3] == "EIO", "who waits is told"
        check_gone(results[4:])
    a.doorbell.bind()
    assert a.doorbell.attempt("map=0:256", "peek=0:0")[-1].startswith("0x")


def test_unplugged_during_use(devices):
    a, _ = devices
    number, _, _ = pool_of(a.edu)
    with a.edu.holder("map=0:4096", f"map={number}:8192", f"poke={number}:0:7", "block", f"peek={number}:0", *GONE,
                      f"peek={number}:4096", f"poke={number}:0:9", "wait=GATE", "peek=0:4092", "peek=0:0", "unmap=0",
                      f"peek={number}:0", "pause") as holder:
        holder.wait_results(4)
        holder.wait_state("S")
        a.machine.unplug("edu")
        results = holder.wait_results(15)
        assert results[4] == "EIO", "who waits is told"
        assert results[5] == "0x0", "the pool has gone back to the kernel"
        check_gone(results[6:13])
        assert results[13] == "0x0", "what was stored into one half is not in the other"
        assert a.machine.status(f"test -e {a.edu.sysfs}")[0] != 0
        a.machine.monitor.execute("device_add", driver="edu", id="edu", addr=f"{EDU:#x}")
        a.machine.eventually(f"test -e {a.edu.sysfs}/interrupts", "the driver has it again")
        assert a.edu.attempt("map=0:4096", f"peek=0:{EDU_ID}")[-1] == "0x10000ed", "although the other still maps"
        holder.open_gate()
        assert holder.wait_results(20)[16:] == ["0x0", "0x9", "ok", "0x9"]


# ---- The server between the machines ----

def test_the_server_loses_and_invents(devices, server):
    """What later tests of lost interrupts rest on."""
    a, b = devices
    position = int(b.doorbell.attempt("map=0:256", f"peek=0:{IV_POSITION}")[-1], 16)
    with b.doorbell.holder("read=60000", "read=60000", "pause") as reader:
        reader.wait_results(1)
        server.trouble(period=0.5)
        try:
            lost = server.lost
            assert reader.wait_results(3)[1:] != ["ETIME", "ETIME"], "nobody rang, and it came"
            while server.lost == lost:
                a.doorbell.attempt("map=0:256", ring(position, 0))
        finally:
            server.trouble(None)
    assert server.invented > 0
