/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address.h - the address of a PCI device, which users write in two ways and the kernel in one.
 *
 * Room: pci.
 */
#ifndef VOP_PCI_ADDRESS_H
#define VOP_PCI_ADDRESS_H

#define VOP__PCI_ADDRESS_SIZE 16 /* 0000:00:04.0, and its end */

/** Makes 0000:00:04.0, the kernel's way, of that or of 00:04.0. 0, or -EINVAL without a text: it is no such address. */
int vop__pci_address(const char *text, char ret_address[VOP__PCI_ADDRESS_SIZE]);

#endif
