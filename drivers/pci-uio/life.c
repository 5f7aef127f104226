// SPDX-License-Identifier: GPL-2.0-only
/*
 * life.c - one process at a time has the device, and however that process ends, the device is quiet afterwards.
 *
 * Room: driver.
 *
 * The file in /dev appears before UIO is ready to hear of an interrupt, so until vop_life_begin() it cannot be opened.
 *
 * The device may go while a process has it open and mapped. Then even UIO's release() is no longer called. So from
 * vop_life_end() on nothing new is given out, mappings show the ghost of the device (ghost.c), and only then does UIO
 * learn of it and wake waiting readers: whoever gets EIO cannot reach the device any more. A mapping becomes visible to
 * unmap_mapping_range() only some time after our mmap() has filled it, but before its process drops its mmap_lock.
 * That is why mappings belong to one process, without its children, and why vop_life_end() takes them away under its
 * mmap_lock. The kernel's own account of memory types also needs that: it warns (in untrack_pfn) if the process unmaps
 * at the same moment.
 *
 * Locks: mmap_lock of the process, info_lock of UIO, ours.
 */
#include "vop_pci_uio.h"

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

static void silence(struct vop_device *d)
{
    vop_irq_stop(d);
    pci_clear_master(d->pdev);
}

/*
 * What the last user told the device to do ends here, before its pool is zeroed, and its registers are as after
 * power-on. A device that is being removed is locked, so it is left as it is: the attempt does not wait for that lock,
 * which the remover holds while it waits for ours. One that does not answer would be waited for, for a minute.
 */
static void reset(struct vop_device *d)
{
    int ret = d->kind->is_reset && pci_device_is_present(d->pdev) ? pci_try_reset_function(d->pdev) : 0;

    if (ret && ret != -ENOTTY && ret != -EAGAIN) /* no way, not now */
        pci_warn(d->pdev, "cannot reset the device after use: error %d\n", ret);
}

static int start(struct vop_device *d)
{
    int ret;

    pci_set_master(d->pdev);
    ret = vop_irq_start(d);
    if (ret)
        pci_clear_master(d->pdev);
    return ret;
}

int vop_life_open(struct uio_info *info, struct inode *inode)
{
    struct vop_device *d = vop_of(info);
    int ret;

    mutex_lock(&d->lock);
    if (!d->is_there)
        ret = -ENODEV;
    else if (d->inode)
        ret = -EBUSY;
    else
        ret = start(d);
    if (!ret) {
        ihold(inode); /* its address space is needed in vop_life_end() */
        d->inode = inode;
    }
    mutex_unlock(&d->lock);
    return ret;
}

/* Drops the references to its user, as far as they are still held. */
static void forget(struct inode *inode, struct mm_struct *mm)
{
    if (mm)
        mmdrop(mm);
    if (inode)
        iput(inode);
}

int vop_life_release(struct uio_info *info, struct inode *inode)
{
    struct vop_device *d = vop_of(info);

    mutex_lock(&d->lock);
    if (d->is_there) {
        silence(d);
        reset(d);
        vop_pool_clear(d);
        forget(d->inode, d->mm);
        d->inode = NULL;
        d->mm = NULL;
    }
    mutex_unlock(&d->lock);
    return 0;
}

int vop_life_mmap(struct uio_info *info, struct vm_area_struct *vma)
{
    struct vop_device *d = vop_of(info);
    int ret;

    mutex_lock(&d->lock);
    if (!d->is_there)
        ret = -ENODEV;
    else if (d->mm && d->mm != vma->vm_mm)
        ret = -EBUSY;
    else
        ret = vop_maps_mmap(d, vma);
    if (!ret)
        vop_ghost_attach(d, vma);
    if (!ret && !d->mm) {
        mmgrab(vma->vm_mm);
        d->mm = vma->vm_mm;
    }
    mutex_unlock(&d->lock);
    return ret;
}

int vop_life_irqcontrol(struct uio_info *info, s32 on)
{
    struct vop_device *d = vop_of(info);
    int ret = 0;

    mutex_lock(&d->lock);
    if (!d->is_there)
        ret = -EIO;
    else
        vop_irq_enable(d, on != 0);
    mutex_unlock(&d->lock);
    return ret;
}

static void take_mappings_away(struct inode *inode, struct mm_struct *mm)
{
    if (!mm)
        return;
    mmap_write_lock(mm);
    unmap_mapping_range(inode->i_mapping, 0, 0, 1);
    mmap_write_unlock(mm);
}

void vop_life_begin(struct vop_device *d)
{
    mutex_lock(&d->lock);
    d->is_there = true;
    mutex_unlock(&d->lock);
}

void vop_life_end(struct vop_device *d)
{
    mutex_lock(&d->lock);
    d->is_there = false;
    silence(d);
    vop_pool_clear(d);
    mutex_unlock(&d->lock);
    take_mappings_away(d->inode, d->mm);
    forget(d->inode, d->mm);
}
