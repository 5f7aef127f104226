/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.h - what pci.c, uio.c and vfio.c share: where a device is found, and small files of sysfs.
 *
 * Room: pci.
 */
#ifndef VOP_PCI_BACKEND_H
#define VOP_PCI_BACKEND_H

#include "pci/pci.h"

/** Where a device was found. */
struct vop__pci_place {
    const char *root;    /* what every path begins with */
    const char *address; /* 0000:00:04.0 */
    const char *driver;  /* who has it */
};

/** Opens through UIO, ours or uio_pci_generic. 0 or -errno with a text. Fills all of *ret_device but the identity. */
int vop__uio_open(const struct vop__pci_place *place, struct vop__pci **ret_device);

/** Opens through VFIO. As vop__uio_open(). */
int vop__vfio_open(const struct vop__pci_place *place, struct vop__pci **ret_device);

#define VOP__PCI_SYSFS "%s/sys/bus/pci/devices/%s" /* root, address */

/** First line of a file. 0 or -errno without a text. */
int vop__sysfs_line(char *ret_line, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** A number in the first line of a file, in C's notation or hexadecimal. 0 or -errno without a text. */
int vop__sysfs_number(uint64_t *ret_number, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Last part of a symbolic link's target. 0 or -errno without a text. */
int vop__sysfs_link(char *ret_name, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Opens a file of /dev or sysfs, close-on-exec. A descriptor or -errno without a text. */
int vop__sysfs_open(int flags, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Text for a device file that cannot be opened, with what to do about it. Returns -err.
 */
int vop__pci_open_error(const struct vop__pci_place *place, const char *file, int err);

/** Text for a device that went away. Returns -ENODEV. */
int vop__pci_gone(const struct vop__pci *p);

#endif
