/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - a PCI device as the kernel shows it: what it is, who has it, and what to do so that we can.
 *
 * Room: tools.
 */
#ifndef TOOLS_DEVICE_H
#define TOOLS_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#define OUR_DRIVER "vop_pci_uio"
#define DEVICE_ADDRESS_SIZE 16 /* 0000:00:04.0, and its end */

struct device {
    char address[DEVICE_ADDRESS_SIZE];
    uint16_t vendor;
    uint16_t number;
    bool is_bridge;
    bool is_known;    /* a device this project is made for */
    bool is_ready;    /* a program can open it as it is now */
    char what[64];    /* in words */
    char driver[64];  /* "" if none */
    char node[64];    /* in /dev, "" if none */
    char advice[160]; /* what to do, in one line; "" if it is ready */
};

/** Makes 0000:00:04.0 of 00:04.0 or 0000:00:04.0. 0 or -EINVAL. */
int device_address(const char *address, char ret_address[DEVICE_ADDRESS_SIZE]);

/** Reads a device by its full address from the sysfs under `root`. 0 or -errno (-ENODEV: there is none). */
int device_read(const char *root, const char *address, struct device *ret_device);

/** Whether this is a driver through which programs of this project reach a device. */
bool device_driver_is_usable(const char *driver);

#endif
