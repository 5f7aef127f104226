/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio_pci.h - virtio devices on PCI (virtio 1.2, 4.1), driven from this process.
 *
 * Room: the public headers. It needs driver.h.
 *
 * The device has to be given to a kernel driver that hands it to programs, by `vop bind` (vop(1)): vop_pci_uio, loaded
 * with a pool that is large enough for the driver's queues and buffers (pool_size=1048576), since the device must reach
 * them. Its modern interface is used, and message interrupts (MSI-X) if the kernel driver has turned them on, INTx
 * otherwise.
 */
#ifndef VOPIPC_VIRTIO_PCI_H
#define VOPIPC_VIRTIO_PCI_H

#include <vopipc/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Fill it with vop_virtio_pci_options_init() first. */
struct vop_virtio_pci_options {
    size_t struct_size;  /* set by vop_virtio_pci_options_init() */
    const char *address; /* of the device, as 0000:00:04.0 or 00:04.0 */
    uint32_t queue_size; /* as in struct vop_bus_options */
    uint32_t without[VOP_FEATURE_WORDS];
};

void vop_virtio_pci_options_init(struct vop_virtio_pci_options *options, size_t struct_size);

/**
 * Opens a device and puts it on a bus, as vop_bus_add() does.
 *
 * -EINVAL  an option makes no sense
 * -ENODEV  there is no such device, no kernel driver hands it to programs, or it is not one of virtio 1
 * -EBUSY   another driver or process has it
 * -ENXIO   it has no memory that it reaches, or its capabilities make no sense
 * -EACCES, -ENOMEM, and others of the system; the text says what to do
 */
int vop_virtio_pci_add(vop_bus *bus, const struct vop_virtio_pci_options *options, vop_bus_device **ret_device);

/** Polls readable when vop_virtio_pci_process() has something to do. -1: `d` is no such device. */
int vop_virtio_pci_fd(const vop_bus_device *d);

/** Takes interrupts of the device and runs what they stand for. 0; -ENODEV: the device is gone, remove it; -EINVAL: `d`
 * is no such device. */
int vop_virtio_pci_process(vop_bus_device *d);

#ifdef __cplusplus
}
#endif
#endif
