/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci.h - a PCI device that this process has open: its BARs as windows, its interrupt as a descriptor.
 *
 * Room: pci. Which kernel driver stands behind it is known to its backend alone (backend.h). No thread safety: a device
 * belongs to whoever opened it, except that two threads may wait and kick.
 */
#ifndef VOP_PCI_PCI_H
#define VOP_PCI_PCI_H

#include "core/window.h"
#include "pci/info.h"

#include <stddef.h>

struct vop__pci_ops;

struct vop__pci {
    const struct vop__pci_ops *ops;
    struct vop__pci_info info; /* as it was when the device was opened */
    bool maps_cached;          /* whether the kernel driver maps memory of the host as what it is */
    bool is_exclusive;         /* whether the kernel driver lets one process at a time have the device */
    int irq_fd;                /* readable when vop__pci_irq_take() has something to say; -1: there is no interrupt */
    struct {
        void *base;
        size_t size;
    } mapping[VOP__PCI_BARS + 1]; /* of the BARs, and of the pool */
};

/**
 * Opens the device with this address (as vop__pci_address() makes it) in the file system below `root`, which is ""
 * except in tests. 0 or -errno with a text that ends in the command that repairs it, where there is one: -ENODEV no
 * such device, or no kernel driver has it; -EBUSY another driver or process has it; -EACCES.
 */
int vop__pci_open(const char *root, const char *address, struct vop__pci **ret_device);

/**
 * The window of a BAR, in its whole size, until close. Once for each BAR.
 * Its flags tell what kind of memory it is. 0, -ENXIO there is no such BAR, -EBUSY it is mapped, or -errno.
 */
int vop__pci_map(struct vop__pci *p, unsigned bar, struct vop__window *ret_window);

/**
 * The window of the pool, memory of this machine that the device reaches, and the bus address where it does so. Until
 * close, once. 0, -ENXIO there is none (the text says how to get one), -EBUSY it is mapped, or -errno.
 */
int vop__pci_map_pool(struct vop__pci *p, struct vop__window *ret_window, uint64_t *ret_bus_address);

/**
 * Takes what irq_fd announces. Never blocks. 1 there was an interrupt, 0 none, -ENODEV the device is gone, -EOPNOTSUPP
 * it has no interrupt.
 */
int vop__pci_irq_take(struct vop__pci *p);

/**
 * After an interrupt was taken and acknowledged at the device: lets the next one through. A level that is still there
 * is the next one. Message interrupts need no such thing. 0 or -ENODEV.
 */
int vop__pci_irq_enable(struct vop__pci *p);

/** 0, or -ENODEV with a text: the device is gone. For those without an interrupt, which would tell. Any thread. */
int vop__pci_check(const struct vop__pci *p);

/** In a child of fork(), before it is closed: its mappings are not there, so nothing is to be unmapped. */
void vop__pci_forget(struct vop__pci *p);

/** Unmaps and closes. NULL is allowed. */
void vop__pci_close(struct vop__pci *p);

#endif
