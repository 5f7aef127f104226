// SPDX-License-Identifier: GPL-2.0-only
/*
 * pool.c - coherent memory for devices that read and write host memory, shown as a map with its bus address.
 *
 * Room: driver.
 */
#include "vop_pci_uio.h"

#include <linux/dma-mapping.h>
#include <linux/mm.h>

/* Contiguous even with an IOMMU: so it is mapped in one piece, and only once (ghost.c needs that). */
#define POOL_ATTRS (DMA_ATTR_FORCE_CONTIGUOUS | DMA_ATTR_NO_WARN)

static int free_map(const struct uio_mem *mem)
{
    for (int i = 0; i < MAX_UIO_MAPS; i++) {
        if (!mem[i].size)
            return i;
    }
    return -1;
}

int vop_pool_open(struct vop_device *d, size_t size)
{
    int ret;

    if (!size || !d->kind->reaches_memory)
        return 0;
    if (size > SIZE_MAX - PAGE_SIZE)
        return -EINVAL;
    size = PAGE_ALIGN(size);
    d->pool_map = free_map(d->info.mem);
    if (d->pool_map < 0) {
        pci_info(d->pdev, "all maps are BARs: no pool\n");
        return 0;
    }
    /* These devices have 32-bit bus addresses. */
    ret = dma_set_mask_and_coherent(&d->pdev->dev, DMA_BIT_MASK(32));
    if (ret)
        return ret;
    d->pool = dma_alloc_attrs(&d->pdev->dev, size, &d->pool_bus, GFP_KERNEL | __GFP_NOWARN, POOL_ATTRS);
    if (!d->pool) {
        pci_err(d->pdev, "no %zu bytes of memory for the device; load the module with a smaller pool_size\n", size);
        return -ENOMEM;
    }
    d->pool_size = size;
    d->info.mem[d->pool_map] = (struct uio_mem){
        .name = "pool",
        .addr = d->pool_bus,
        .size = size,
        .memtype = UIO_MEM_PHYS,
    };
    return 0;
}

void vop_pool_close(struct vop_device *d)
{
    if (d->pool)
        dma_free_attrs(&d->pdev->dev, d->pool_size, d->pool, d->pool_bus, POOL_ATTRS);
}

/* The next process must not read what the last one left. */
void vop_pool_clear(struct vop_device *d)
{
    if (d->pool)
        memset(d->pool, 0, d->pool_size);
}

int vop_pool_mmap(struct vop_device *d, struct vm_area_struct *vma)
{
    unsigned long map = vma->vm_pgoff;
    int ret;

    vma->vm_pgoff = 0; /* this call takes it for an offset into the pool */
    ret = dma_mmap_attrs(&d->pdev->dev, vma, d->pool, d->pool_bus, vma->vm_end - vma->vm_start, POOL_ATTRS);
    vma->vm_pgoff = map;
    return ret;
}
