# SPDX-License-Identifier: BSD-3-Clause
"""The command vop on a machine with an IOMMU: what it lists, and devices that change hands."""
import json

import pytest

PLAIN, EDU, SERIAL = "0000:00:04.0", "0000:00:06.0", "0000:00:07.0"


@pytest.fixture(scope="module")
def machine(boot, tmp_path_factory):
    shm = tmp_path_factory.mktemp("shm") / "plain"
    return boot("v", board="q35,kernel-irqchip=split", append="intel_iommu=on",
                devices=["intel-iommu,intremap=on", "ivshmem-plain,memdev=shm,addr=4", "edu,addr=6",
                         "pci-serial,addr=7"],
                words=["-object", f"memory-backend-file,id=shm,size=1M,share=on,mem-path={shm}"]).wait_boot()


def devices(machine, *words):
    return {device["address"]: device for device in json.loads(machine.run(f"vop pci --json {' '.join(words)}"))}


def test_before_the_driver_is_loaded(machine):
    status, text = machine.status(f"vop bind {PLAIN}")
    assert status == 1 and text.strip() == \
        f"vop: {PLAIN}: driver vop_pci_uio is not loaded: modprobe vop_pci_uio (drivers/pci-uio builds it)"
    assert devices(machine)[PLAIN]["advice"] == f"modprobe vop_pci_uio && vop bind {PLAIN}"
    machine.load_modules("uio", "uio_pci_generic", "irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1",
                         "vfio-pci-core", "vfio-pci", "vop_pci_uio")


def test_what_is_listed(machine):
    listed = devices(machine)
    assert list(listed) == [PLAIN]
    assert listed[PLAIN] == {
        "address": PLAIN, "vendor": "1af4", "device": "1110", "what": "ivshmem, 1 MiB, no doorbell",
        "driver": "vop_pci_uio", "node": "/dev/uio0", "ready": True, "advice": None}
    everything = devices(machine, "--all")
    assert everything[EDU]["advice"] == f"vop bind {EDU}"
    assert everything[SERIAL]["advice"] == "none: in use by its driver, and neither ivshmem nor MPC8349"
    lines = machine.run("vop pci").splitlines()
    assert len(lines) == 2 and lines[1].split()[-2:] == ["ready:", "/dev/uio0"]


@pytest.mark.parametrize("driver, node", [
    ("vop_pci_uio", "/dev/uio"), ("uio_pci_generic", "/dev/uio"), ("vfio-pci", "/dev/vfio/")])
def test_bind_and_unbind(machine, driver, node):
    said = machine.run(f"vop bind --driver={driver} {EDU}")
    assert said.startswith(f"{EDU}: {driver}, {node}")
    assert devices(machine)[EDU]["ready"]
    assert machine.run(f"vop bind --driver={driver} {EDU}") == said, "once more changes nothing"
    assert machine.run(f"vop unbind {EDU}").strip() == f"{EDU}: no driver"
    assert not devices(machine, "--all")[EDU]["ready"]
    assert machine.run(f"cat /sys/bus/pci/devices/{EDU}/driver_override").strip() == "(null)"


def test_from_one_of_our_drivers_to_another(machine):
    for driver in ("vfio-pci", "vop_pci_uio", "uio_pci_generic", "vfio-pci"):
        assert machine.run(f"vop bind --driver={driver} {EDU}").startswith(f"{EDU}: {driver}")
    machine.run(f"vop unbind {EDU}")


def test_a_device_of_another_driver(machine):
    status, text = machine.status(f"vop bind {SERIAL}")
    assert status == 1 and text.strip() == f"vop: {SERIAL}: driver serial has it (1b36:0002, class 0700), and " \
        f"something may depend on that; vop bind --force {SERIAL} takes it"
    for ours_by_its_number in (False, True):
        if ours_by_its_number:
            machine.run("echo 1b36 0002 >/sys/bus/pci/drivers/vop_pci_uio/new_id")
        assert machine.run(f"vop bind --force {SERIAL}").startswith(f"{SERIAL}: vop_pci_uio")
        assert machine.run(f"vop unbind {SERIAL}").strip() == f"{SERIAL}: serial"
    machine.run("echo 1b36 0002 >/sys/bus/pci/drivers/vop_pci_uio/remove_id")


def test_what_belongs_to_us_by_its_number(machine):
    assert machine.run(f"vop unbind {PLAIN}").strip() == f"{PLAIN}: no driver"
    assert devices(machine)[PLAIN]["advice"] == f"vop bind {PLAIN}"
    assert machine.run("vop bind 00:04.0").startswith(f"{PLAIN}: vop_pci_uio, /dev/uio")


def override(machine, value=None):
    """driver_override of the edu device; writes it first."""
    file = f"/sys/bus/pci/devices/{EDU}/driver_override"
    return machine.run((f"echo '{value}' >{file}; " if value is not None else "") + f"cat {file}").strip()


def test_the_driver_refuses(machine):
    """Who had it gets it back, and who was to have it stays the one."""
    machine.run(f"vop bind --driver=vfio-pci {EDU}; rmmod vop_pci_uio; "
                "insmod /modules/vop_pci_uio.ko pool_size=268435456")  # more than there is
    refused = "the driver does not take it (dmesg may say why): Cannot allocate memory"
    status, text = machine.status(f"vop bind {EDU}")
    assert status == 1 and refused in text
    assert devices(machine)[EDU]["driver"] == "vfio-pci" and override(machine) == "vfio-pci"
    assert machine.run(f"vop unbind {EDU}").strip() == f"{EDU}: no driver" and override(machine) == "(null)"
    override(machine, "pci-stub")
    status, text = machine.status(f"vop bind {EDU}")
    assert status == 1 and refused in text and override(machine) == "pci-stub"
    assert machine.run(f"vop unbind {EDU}").strip() == f"{EDU}: no driver" and override(machine) == "pci-stub"
    override(machine, "")


def test_a_driver_that_is_none_of_ours(machine):
    for name in ("pcieport", "", "../serial"):
        status, text = machine.status(f"vop bind --driver={name} {PLAIN}")
        assert status == 2 and f"--driver={name}: choose vop_pci_uio, vfio-pci or uio_pci_generic" in text
    assert devices(machine)[PLAIN]["driver"] == "vop_pci_uio"


def test_exit_status(machine):
    for words, status, said in (("", 2, "Usage"), ("fly", 2, "no command fly"), ("bind", 2, "say which device"),
                                ("pci --what", 2, "unrecognized option"), ("bind 4", 2, "not the address"),
                                ("bind 00:19.0", 1, "no such PCI device"),
                                ("unbind 00:07.0", 1, "driver serial has it"),
                                ("--version", 0, "vop 0."), ("pci --help", 0, "--json")):
        assert machine.status(f"vop {words}")[0] == status, words
        assert said in machine.status(f"vop {words}")[1], words
