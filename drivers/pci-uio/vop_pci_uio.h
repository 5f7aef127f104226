/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vop_pci_uio.h - one PCI device handed to user space, and what each file of the driver does with it.
 *
 * Room: driver. README.md says what user space sees.
 */
#ifndef VOP_PCI_UIO_H
#define VOP_PCI_UIO_H

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/uio_driver.h>

#define VOP_DRIVER_NAME "vop_pci_uio"
#define VOP_DRIVER_VERSION "0.1"

struct vop_device;

/** What differs between devices. */
struct vop_kind {
    const char *name;         /* in /sys/class/uio/uioN/name */
    unsigned int cached_bars; /* a bit for each BAR that is coherent memory of the host */
    bool reaches_memory;      /* reads and writes host memory itself: gets a pool */
    bool is_reset;            /* between users, if the PCI core knows a way */

    /** Acquires what the calls below need; leaves INTx off. 0 or -errno. */
    int (*prepare)(struct vop_device *d);
    void (*unprepare)(struct vop_device *d);
    /** In the interrupt handler: if INTx is asserted by this device, masks it there and returns true. */
    bool (*claim_intx)(struct vop_device *d);
    void (*enable_intx)(struct vop_device *d, bool on);
};

struct vop_device {
    struct pci_dev *pdev;
    const struct vop_kind *kind;
    struct uio_info info;

    /* pool.c */
    void *pool;
    size_t pool_size;
    dma_addr_t pool_bus;
    int pool_map; /* its number */

    struct page *ghost; /* ghost.c: two pages that stand in for the device once that is gone */

    /* irq.c */
    int vectors;   /* 0: no interrupts */
    bool irq_on;   /* as user space wants it. Under lock */
    bool irq_live; /* handlers are installed. Under lock */

    /* life.c */
    struct mutex lock;    /* inside info_lock of UIO */
    struct inode *inode;  /* of the open file, or NULL. Under lock */
    struct mm_struct *mm; /* of the process that maps it, or NULL. Under lock */
    bool is_there;        /* may be opened and used: between vop_life_begin() and vop_life_end(). Under lock */

    void __iomem *mu; /* kinds.c: messaging unit of an MPC8349 */
};

static inline struct vop_device *vop_of(struct uio_info *info)
{
    return container_of(info, struct vop_device, info);
}

/* kinds.c */
enum vop_kind_number {
    VOP_KIND_GENERIC,
    VOP_KIND_IVSHMEM,
    VOP_KIND_MPC8349
}; /* new_id gives 0 */
extern const struct vop_kind vop_kinds[];

/* maps.c */
int vop_maps_open(struct vop_device *d);
void vop_maps_fill_gaps(struct vop_device *d); /* once the pool has its number */
void vop_maps_close(struct vop_device *d);
int vop_maps_mmap(struct vop_device *d, struct vm_area_struct *vma); /* under lock */

/* pool.c */
int vop_pool_open(struct vop_device *d, size_t size);
void vop_pool_close(struct vop_device *d);
void vop_pool_clear(struct vop_device *d);
int vop_pool_mmap(struct vop_device *d, struct vm_area_struct *vma);

/* ghost.c */
int vop_ghost_open(struct vop_device *d);
void vop_ghost_close(struct vop_device *d);
void vop_ghost_attach(struct vop_device *d, struct vm_area_struct *vma); /* to a mapping in the making */

/* irq.c */
int vop_irq_open(struct vop_device *d, bool msi);
void vop_irq_close(struct vop_device *d);
int vop_irq_start(struct vop_device *d); /* under lock, as are the next two */
void vop_irq_stop(struct vop_device *d);
void vop_irq_enable(struct vop_device *d, bool on);
extern const struct attribute_group *vop_irq_groups[];

/* life.c */
int vop_life_open(struct uio_info *info, struct inode *inode);
int vop_life_release(struct uio_info *info, struct inode *inode);
int vop_life_irqcontrol(struct uio_info *info, s32 on);
int vop_life_mmap(struct uio_info *info, struct vm_area_struct *vma);
void vop_life_begin(struct vop_device *d); /* once UIO has it */
void vop_life_end(struct vop_device *d);   /* before UIO loses it */

#endif
