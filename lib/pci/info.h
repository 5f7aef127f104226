/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.h - what sysfs says of a PCI device: what it is, which kernel driver has it, and where a program opens it.
 *
 * Room: pci. The one place that reads this, for those who open a device and for those who only show it.
 */
#ifndef VOP_PCI_INFO_H
#define VOP_PCI_INFO_H

#include "pci/address.h"

#include <stdbool.h>
#include <stdint.h>

#define VOP__PCI_BARS 6u
#define VOP__PCI_SYSFS "%s/sys/bus/pci/devices/%s" /* directory of a device: root, address */

/* The kernel drivers that hand a device to a program: ours, and two of Linux. */
#define VOP__PCI_OURS "vop_pci_uio"
#define VOP__PCI_GENERIC "uio_pci_generic"
#define VOP__PCI_VFIO "vfio-pci"

struct vop__pci_info {
    char address[VOP__PCI_ADDRESS_SIZE];
    uint16_t vendor;
    uint16_t device;
    uint16_t class_code; /* base class and subclass, as 0x0604 */
    char driver[64];     /* kernel driver that has it; "" if none */
    char node[64];       /* what a program opens: /dev/uioN, or /dev/vfio/GROUP; "" if there is none */
    struct {
        uint64_t start; /* physical address */
        uint64_t size;  /* 0: no memory, but ports or nothing */
    } bar[VOP__PCI_BARS];
};

/**
 * Reads about the device with this address (as vop__pci_address() makes it) in the file system below `root`, which is
 * "" except in tests. 0, or -ENODEV without a text: there is no such device.
 */
int vop__pci_read_info(const char *root, const char *address, struct vop__pci_info *ret_info);

/** Is it QEMU's ivshmem, whose BAR2 is memory of the host? */
bool vop__pci_is_ivshmem(const struct vop__pci_info *info);

/** Is it an MPC8349 or a relative as an agent, as in drivers/pci-uio/main.c? */
bool vop__pci_is_mpc8349(const struct vop__pci_info *info);

/** Is it one of the three kernel drivers above? */
bool vop__pci_is_usable(const char *driver);

#endif
