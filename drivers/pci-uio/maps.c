// SPDX-License-Identifier: GPL-2.0-only
/*
 * maps.c - BAR N is map N of UIO.
 *
 * Room: driver.
 */
#include "vop_pci_uio.h"

#include <linux/mm.h>

static const char *const bar_names[MAX_UIO_MAPS] = {"bar0", "bar1", "bar2", "bar3", "bar4"};

static bool is_memory(const struct vop_device *d, int bar)
{
    return (pci_resource_flags(d->pdev, bar) & IORESOURCE_MEM) && pci_resource_len(d->pdev, bar) > 0;
}

static int bars(const struct vop_device *d)
{
    int mask = 0;

    for (int bar = 0; bar < MAX_UIO_MAPS; bar++)
        mask |= is_memory(d, bar) ? BIT(bar) : 0;
    return mask;
}

int vop_maps_open(struct vop_device *d)
{
    for (int bar = 0; bar < MAX_UIO_MAPS; bar++) {
        resource_size_t start = pci_resource_start(d->pdev, bar);

        if (!is_memory(d, bar))
            continue;
        d->info.mem[bar] = (struct uio_mem){
            .name = bar_names[bar],
            .addr = start - offset_in_page(start), /* PAGE_MASK may be narrower than a bus address */
            .offs = offset_in_page(start),
            .size = pci_resource_len(d->pdev, bar),
            .memtype = UIO_MEM_PHYS,
        };
    }
    return pci_request_selected_regions(d->pdev, bars(d), VOP_DRIVER_NAME);
}

/* UIO stops at the first map of size 0, so a gap gets a size, but no address. */
void vop_maps_fill_gaps(struct vop_device *d)
{
    struct uio_mem *mem = d->info.mem;
    int last = MAX_UIO_MAPS - 1;

    while (last > 0 && !mem[last].size)
        last--;
    for (int i = 0; i < last; i++) {
        if (!mem[i].size)
            mem[i] = (struct uio_mem){.name = "none", .size = 1};
    }
}

void vop_maps_close(struct vop_device *d)
{
    pci_release_selected_regions(d->pdev, bars(d));
}

/* UIO has checked the number and the length. */
int vop_maps_mmap(struct vop_device *d, struct vm_area_struct *vma)
{
    int map = (int)vma->vm_pgoff;

    if (!(vma->vm_flags & VM_MAYSHARE))
        return -EINVAL; /* a private copy of a device makes no sense */
    if (d->pool && map == d->pool_map)
        return vop_pool_mmap(d, vma);
    if (!is_memory(d, map))
        return -ENXIO;
    if (!(d->kind->cached_bars & BIT(map)))
        vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
    return io_remap_pfn_range(vma, vma->vm_start, d->info.mem[map].addr >> PAGE_SHIFT, vma->vm_end - vma->vm_start,
                              vma->vm_page_prot);
}
