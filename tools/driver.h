/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver.h - the steps by which a PCI device changes its kernel driver, which vop bind and vop unbind share.
 *
 * Room: tools. Every device is below `root`, which is "" except in tests.
 */
#ifndef TOOLS_DRIVER_H
#define TOOLS_DRIVER_H

#include "device.h"

#include <stdio.h>

#define DRIVER_SIZE sizeof(((struct vop__pci_info *)0)->driver)

/** Whether a driver has it through which no program reaches it. */
bool driver_is_foreign(const struct device *d);

/** Takes the device from its driver, if it has one. 0 or -errno. */
int driver_detach(const char *root, const struct device *d);

/** Gives the device to this driver: 0, -ENODEV the driver may not have it, or -errno. */
int driver_attach(const char *root, const struct device *d, const char *driver);

/** Lets the kernel choose a driver. There may be none for it, which is no error. */
void driver_probe(const char *root, const struct device *d);

/** The device's driver_override, the one driver that may have it; "" if any may that knows it. */
void driver_read_override(const char *root, const struct device *d, char ret_driver[DRIVER_SIZE]);

/** Writes it. 0 or -errno. */
int driver_override(const char *root, const struct device *d, const char *driver);

/** Reads a device for a command. False with a complaint: there is none. */
bool driver_find_device(const char *root, const char *address, struct device *ret_device);

/** Complains in one line about what the kernel answered. Returns false. */
bool driver_complain(const struct device *d, const char *what, int err);

/** Says who has the device now. False with a complaint: it is not there any more. */
bool driver_report(const char *root, const struct device *d, FILE *out);

#endif
