/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci_driver.h - what pci.c, uio.c and vfio.c share: where a device is found, and small files of sysfs.
 *
 * Room: wire.
 */
#ifndef VOP_WIRE_PCI_DRIVER_H
#define VOP_WIRE_PCI_DRIVER_H

#include "wire/pci.h"

/** Where a device was found. */
struct vop_pci_place {
    const char *root;    /* what every path begins with */
    const char *address; /* 0000:00:04.0 */
    const char *driver;  /* who has it */
};

/** Opens through UIO, ours or uio_pci_generic. 0 or -errno with a text. Fills all of *ret_device but the identity. */
int vop_uio_open(const struct vop_pci_place *place, struct vop_pci **ret_device);

/** Opens through VFIO. As vop_uio_open(). */
int vop_vfio_open(const struct vop_pci_place *place, struct vop_pci **ret_device);

#define VOP_PCI_SYSFS "%s/sys/bus/pci/devices/%s" /* root, address */

/** First line of a file. 0 or -errno without a text. */
int vop_sysfs_line(char *ret_line, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** A number in the first line of a file, in C's notation or hexadecimal. 0 or -errno without a text. */
int vop_sysfs_number(uint64_t *ret_number, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Last part of a symbolic link's target. 0 or -errno without a text. */
int vop_sysfs_link(char *ret_name, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Opens a file of /dev or sysfs, close-on-exec. A descriptor or -errno without a text. */
int vop_sysfs_open(int flags, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Text for a device file that cannot be opened, with what to do about it. Returns -err.
 */
int vop_pci_open_error(const struct vop_pci_place *place, const char *file, int err);

/** Text for a device that went away. Returns -ENODEV. */
int vop_pci_gone(const struct vop_pci *p);

#endif
