/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.h - texts for what goes wrong with a PCI device whatever kernel driver has it.
 *
 * Room: pci.
 */
#ifndef VOP_PCI_ERROR_H
#define VOP_PCI_ERROR_H

/** Text for a file of the device at `address` that cannot be opened, with what to do about it. Returns -err. */
int vop__pci_open_error(const char *address, const char *file, int err);

/** Text for a device that went away. Returns -ENODEV. */
int vop__pci_gone(const char *address);

#endif
