/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci.h - a PCI device that this process has open: its BARs as windows, its interrupt as a descriptor.
 *
 * Room: pci. Which kernel driver stands behind it (vop_pci_uio, uio_pci_generic, vfio-pci) is known to pci.c, uio.c
 * and vfio.c alone. No thread safety: a device belongs to whoever opened it, except that two threads may wait and kick.
 */
#ifndef VOP_PCI_PCI_H
#define VOP_PCI_PCI_H

#include "core/window.h"

#include <sys/types.h>

#define VOP__PCI_BARS 6u

struct vop__pci;

/** What a driver makes possible. A const table a driver. Failing calls leave a text. */
struct vop__pci_ops {
    /**
     * Maps a BAR that is there and was not mapped: *ret_base is where the mapping begins, *ret_size its length, and
     * *ret_offset where in it the BAR begins. 0 or -errno (-ENXIO: there is no such BAR).
     */
    int (*map)(struct vop__pci *p, unsigned bar, void **ret_base, size_t *ret_size, size_t *ret_offset);

    /** Takes what irq_fd announces. Never blocks. 1 there was an interrupt, 0 none, -ENODEV the device is gone. */
    int (*irq_take)(struct vop__pci *p);

    /** Lets INTx through again after it was taken and acknowledged at the device. 0 or -errno. Message interrupts need
     * no such thing, and then this does nothing. */
    int (*irq_enable)(struct vop__pci *p);

    /** Was it taken away? Once true it stays so, and it is true before a mapping shows anything but the device. */
    bool (*is_gone)(const struct vop__pci *p);

    /** Closes and frees. */
    void (*close)(struct vop__pci *p);
};

struct vop__pci {
    const struct vop__pci_ops *ops;
    char address[16]; /* 0000:00:04.0 */
    uint16_t vendor;
    uint16_t device;
    bool maps_cached;  /* whether the driver maps memory of the host as what it is */
    bool is_exclusive; /* whether the driver lets one process at a time have the device */
    int irq_fd;        /* readable when irq_take() has something to say; -1: the device has no interrupt */
    struct {
        void *base;
        size_t size;
    } mapping[VOP__PCI_BARS];
};

/**
 * Opens a device by its address (0000:00:04.0, 00:04.0), its UIO device (uio0), or the name that UIO has for it if only
 * one has this name (ivshmem). 0 or -errno with a text that ends in the command that repairs it, where there is one:
 * -ENODEV none or no driver, -EBUSY another driver or process has it, -EACCES, -EINVAL no such name.
 */
int vop__pci_open(const char *name, struct vop__pci **ret_device);

/** The same in a file system below `root` ("" is the real one): for tests. */
int vop__pci_open_at(const char *root, const char *name, struct vop__pci **ret_device);

/**
 * The window of a BAR, in its whole size, until close. Once for each BAR.
 * Its flags tell what kind of memory it is. 0, -ENXIO there is no such BAR, -EBUSY it is mapped, or -errno.
 */
int vop__pci_map(struct vop__pci *p, unsigned bar, struct vop__window *ret_window);

/**
 * Sleeps until there was an interrupt, which it takes. May block, for timeout_ns (VOP__NEVER: no limit).
 * 1 interrupt, 0 time is up, -EINTR, -ENODEV the device is gone, -EOPNOTSUPP it has no interrupt.
 */
int vop__pci_irq_wait(struct vop__pci *p, int64_t timeout_ns);

/** Is it QEMU's ivshmem, whose BAR2 is memory of the host? */
bool vop__pci_is_ivshmem(const struct vop__pci *p);

/** As irq_take() and irq_enable() above; -EOPNOTSUPP if the device has no interrupt. */
int vop__pci_irq_take(struct vop__pci *p);
int vop__pci_irq_enable(struct vop__pci *p);

/** 0, or -ENODEV with a text: the device is gone. For those without an interrupt, which would tell. Any thread. */
int vop__pci_check(const struct vop__pci *p);

/** Unmaps and closes. NULL is allowed. */
void vop__pci_close(struct vop__pci *p);

#endif
