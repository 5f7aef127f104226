// SPDX-License-Identifier: GPL-2.0-only
/*
 * ghost.c - what mappings show once their device is gone: a page of ordinary memory, repeated over each half.
 *
 * Room: driver.
 *
 * No process dies because a card was pulled. Mappings are filled when they are made, so a fault in one means that
 * vop_life_end() took the device out of it. Both pages are there from the start, so that this cannot fail; they are
 * zero until the process itself stores something. There are two, because a program that shares a map with a peer stores
 * into one half and loads from the other, where it must not find its own stores. So a mapping is not divided either,
 * since its parts would have halves of their own. Each mapping counts as a user, because the last of them may outlive
 * struct vop_device; another device never has the same pages.
 */
#include "vop_pci_uio.h"

#include <linux/mm.h>
#include <linux/version.h>

int vop_ghost_open(struct vop_device *d)
{
    d->ghost = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP, 1);
    return d->ghost ? 0 : -ENOMEM;
}

void vop_ghost_close(struct vop_device *d)
{
    put_page(d->ghost);
}

static void ghost_get(struct vm_area_struct *vma)
{
    get_page(vma->vm_private_data);
}

static void ghost_put(struct vm_area_struct *vma)
{
    put_page(vma->vm_private_data);
}

static vm_fault_t ghost_fault(struct vm_fault *vmf)
{
    struct vm_area_struct *vma = vmf->vma;
    struct page *page = vma->vm_private_data;

    if (!(vma->vm_flags & VM_PFNMAP))
        return VM_FAULT_SIGBUS; /* no kernel that this is made for maps a device or a pool differently */
    if (vmf->address - vma->vm_start >= (vma->vm_end - vma->vm_start) / 2)
        page++;
    /* Cached, whatever the device was. */
    return vmf_insert_pfn_prot(vma, vmf->address, page_to_pfn(page), vm_get_page_prot(vma->vm_flags));
}

static int ghost_may_split(struct vm_area_struct *vma, unsigned long address)
{
    return -EINVAL;
}

static const struct vm_operations_struct ghost_ops = {
    .open = ghost_get,
    .close = ghost_put,
    .fault = ghost_fault,
    .may_split = ghost_may_split,
};

/* Children do not get it either: when the device goes, its owner must be known (life.c). */
void vop_ghost_attach(struct vop_device *d, struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
    vma->vm_flags |= VM_DONTCOPY;
#else
    vm_flags_set(vma, VM_DONTCOPY);
#endif
    vma->vm_private_data = d->ghost;
    vma->vm_ops = &ghost_ops;
    ghost_get(vma);
}
