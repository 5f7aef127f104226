/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci_caps.h - where a virtio device on PCI has its registers: what its capabilities say (virtio 1.2, 4.1.4).
 *
 * Room: transport. Pure: of the bytes of a configuration space.
 */
#ifndef VOP_TRANSPORT_PCI_CAPS_H
#define VOP_TRANSPORT_PCI_CAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A part of the registers; 4.1.4 has the numbers. */
enum vop__pci_part {
    VOP__PCI_COMMON = 1,
    VOP__PCI_NOTIFY = 2,
    VOP__PCI_ISR = 3,
    VOP__PCI_CONFIG = 4,
    VOP__PCI_PARTS
};

struct vop__pci_caps {
    struct {
        bool is_there;
        uint8_t bar;
        uint32_t offset, length;
    } part[VOP__PCI_PARTS];
    uint32_t notify_multiplier;
    bool has_msix; /* and it is enabled */
};

/** Reads them: 0, or -ENXIO with a text. */
int vop__pci_read_caps(const uint8_t *space, size_t size, struct vop__pci_caps *ret_caps);

#endif
