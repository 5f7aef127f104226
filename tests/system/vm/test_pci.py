# SPDX-License-Identifier: BSD-3-Clause
"""The library's way to PCI devices (lib/pci), through each kernel driver it knows."""
import pytest

from ivshmem_server import IvshmemServer
from lib.uio import IV_DOORBELL, IV_POSITION, EDU_ACK, EDU_RAISE

A, B, EDU, PLAIN = "0000:00:04.0", "0000:00:05.0", "0000:00:06.0", "0000:00:07.0"
SIZE = 1 << 20


@pytest.fixture(scope="module")
def machine(boot, tmp_path_factory):
    """With an IOMMU, and two doorbell devices that are each other's peers."""
    with IvshmemServer(tmp_path_factory.mktemp("ivshmem") / "server", SIZE) as server:
        machine = boot("p", board="q35,kernel-irqchip=split", append="intel_iommu=on",
                       devices=["intel-iommu,intremap=on", "ivshmem-doorbell,chardev=one,vectors=2,addr=4",
                                "ivshmem-doorbell,chardev=two,vectors=2,addr=5", "edu,id=edu,addr=6",
                                "ivshmem-plain,memdev=shm,addr=7"],
                       words=["-object", f"memory-backend-ram,id=shm,size={SIZE},share=on",
                              "-chardev", f"socket,id=one,path={server.path}",
                              "-chardev", f"socket,id=two,path={server.path}"]).wait_boot()
        machine.load_modules("uio", "uio_pci_generic", "irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1",
                             "vfio-pci-core", "vfio-pci", "vop_pci_uio")
        yield machine


def attempt(machine, address, *actions, seconds=10):
    return machine.run(f"pci-try open={address} {' '.join(actions)}", seconds).splitlines()


@pytest.mark.parametrize("driver, memory", [
    ("vop_pci_uio", "direct"), ("uio_pci_generic", "uncached"), ("vfio-pci", "uncached")])
def test_windows(machine, driver, memory):
    machine.run(f"vop bind --driver={driver} {A} {B}")
    assert attempt(machine, A, "map=0", "map=2", f"poke=2:{SIZE - 4}:0xabcd0001", f"peek=0:{IV_POSITION}", "map=3") == \
        ["open 0", "map 256 posted uncached", f"map {SIZE} {memory}", "poke", "peek 0x0",
         f"map ENXIO: {A}: the device has no memory at BAR3"]
    assert attempt(machine, B, "map=0", "map=2", f"peek=2:{SIZE - 4}", f"peek=0:{IV_POSITION}")[3:] == \
        ["peek 0xabcd0001", "peek 0x1"]


@pytest.mark.parametrize("driver", ["vop_pci_uio", "vfio-pci"])
def test_doorbells(machine, driver):
    machine.run(f"vop bind --driver={driver} {A} {B}")
    machine.start(f"pci-try open={B} wait wait wait=300", "/tmp/bell")
    machine.eventually("grep -q 'open 0' /tmp/bell", "it is open")
    for vector in (0, 1):
        attempt(machine, A, "map=0", f"poke=0:{IV_DOORBELL}:{1 << 16 | vector}")
        machine.eventually(f"[ $(wc -l </tmp/bell) -ge {2 + vector} ]", "the doorbell is heard")
    machine.eventually("[ $(wc -l </tmp/bell) = 4 ]", "the last wait is over")
    assert machine.run("cat /tmp/bell").splitlines() == ["open 0", "wait 1", "wait 1", "wait 0"]


@pytest.mark.parametrize("driver, reload", [
    ("vop_pci_uio", "rmmod vop_pci_uio; insmod /modules/vop_pci_uio.ko msi=0"), ("uio_pci_generic", "true")])
def test_intx(machine, driver, reload):
    """uio_pci_generic knows nothing else; ours is told to do without MSI."""
    machine.run(f"vop unbind {EDU}; {reload}; vop bind --driver={driver} {EDU}")
    lines = attempt(machine, EDU, "map=0", "enable", f"poke=0:{EDU_RAISE}:1", "wait=60000", "wait=300", "enable",
                    "wait=60000", f"poke=0:{EDU_ACK}:1", "enable", "wait=300", seconds=60)
    assert [line for line in lines if line.startswith("wait")] == ["wait 1", "wait 0", "wait 1", "wait 0"], \
        "masked once heard, heard again once enabled, silent once acknowledged"


def test_what_the_errors_recommend(machine):
    machine.run(f"vop bind --driver=vfio-pci {A}; vop unbind {EDU}")
    said = "no driver has it, and it is neither ivshmem nor MPC8349 (1234:11e8); vop pci lists those"
    assert attempt(machine, EDU) == [f"open ENODEV: {EDU}: {said}"]
    for driver, node in (("vop_pci_uio", "/dev/uio"), ("vfio-pci", "/dev/vfio/")):
        machine.run(f"vop bind --driver={driver} {EDU}")
        holder = machine.start(f"pci-try open={EDU} map=0 wait", "/tmp/held")
        machine.eventually("grep -q map /tmp/held", "it is open")
        assert attempt(machine, EDU)[0].startswith(f"open EBUSY: {EDU}: another process has {node}")
        machine.run(f"kill {holder}")
        machine.eventually(f"pci-try open={EDU} | grep -q 'open 0'", "free again")


@pytest.mark.parametrize("driver, device, looking", [
    ("vop_pci_uio", EDU, "wait"), ("vfio-pci", EDU, "wait"),
    ("vop_pci_uio", PLAIN, "gone"), ("uio_pci_generic", PLAIN, "gone"), ("vfio-pci", PLAIN, "gone")])
def test_a_device_that_goes(machine, driver, device, looking):
    """Who waits for an interrupt is told; of a device that has none, who looks."""
    machine.run(f"vop bind --driver={driver} {device}")
    machine.start(f"pci-try open={device} map=0 {looking} close", "/tmp/going")
    machine.eventually("grep -q map /tmp/going", "it is open")
    machine.run(f"vop unbind {device}", 30)
    machine.eventually("grep -q close /tmp/going", "it is told")
    assert machine.run("cat /tmp/going").splitlines()[2:] == \
        [f"{looking} ENODEV: {device}: the device is gone: unplugged, or given to another driver", "close"]
