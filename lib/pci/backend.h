/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backend.h - how pci.c reaches a device whatever kernel driver has it: through UIO (uio.c) or VFIO (vfio.c).
 *
 * Room: pci.
 */
#ifndef VOP_PCI_BACKEND_H
#define VOP_PCI_BACKEND_H

#include "pci/pci.h"

/** What a kernel driver makes possible. A const table each. Failing calls leave a text. */
struct vop__pci_ops {
    /**
     * Maps a BAR that was not mapped: *ret_base is where the mapping begins, *ret_size its length, and *ret_offset
     * where in it the BAR begins. 0 or -errno (-ENXIO: there is no such BAR).
     */
    int (*map)(struct vop__pci *p, unsigned bar, void **ret_base, size_t *ret_size, size_t *ret_offset);

    /** Maps the pool in the same way. NULL: this driver has none. 0 or -errno (-ENXIO: there is none). */
    int (*map_pool)(struct vop__pci *p, void **ret_base, size_t *ret_size, uint64_t *ret_bus_address);

    /** Takes what irq_fd announces. Never blocks. 1 there was an interrupt, 0 none, -ENODEV the device is gone. */
    int (*irq_take)(struct vop__pci *p);

    /**
     * Lets INTx through again after it was taken and acknowledged at the device. 0 or -errno. Message interrupts need
     * no such thing, and then this does nothing.
     */
    int (*irq_enable)(struct vop__pci *p);

    /** Was it taken away? Once true it stays so, and it is true before a mapping shows anything but the device. */
    bool (*is_gone)(const struct vop__pci *p);

    /** Closes and frees. */
    void (*close)(struct vop__pci *p);
};

/** Opens through UIO, ours or uio_pci_generic. 0 or -errno with a text. */
int vop__uio_open(const char *root, const struct vop__pci_info *info, struct vop__pci **ret_device);

/** Opens through VFIO. As vop__uio_open(). */
int vop__vfio_open(const char *root, const struct vop__pci_info *info, struct vop__pci **ret_device);

#endif
