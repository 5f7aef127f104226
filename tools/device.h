/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - a PCI device as vop shows it: what it is in words, and what to do so that programs can use it.
 *
 * Room: tools.
 */
#ifndef TOOLS_DEVICE_H
#define TOOLS_DEVICE_H

#include "pci/info.h"

struct device {
    struct vop__pci_info pci;
    bool is_bridge;
    bool is_known;    /* a device that this project is made for */
    bool is_ready;    /* a program can open it as it is now */
    char what[64];    /* in words */
    char advice[160]; /* what to do, in one line; "" if it is ready */
};

/** Reads a device by its full address from the sysfs below `root`. 0, or -ENODEV: there is none. */
int device_read(const char *root, const char *address, struct device *ret_device);

#endif
