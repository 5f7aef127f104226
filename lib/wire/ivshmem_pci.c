/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem_pci.c - the memory of an ivshmem device, and its doorbell, seen from inside the virtual machine.
 *
 * Room: wire. BAR2 is the memory, BAR0 the registers. The device raises message interrupts only, so an interrupt that
 * was taken need not be enabled again. A device without interrupts (ivshmem-plain, or a kernel driver that offers none)
 * makes a polled wire, which still rings the doorbell of a peer that has one.
 */
#include "core/error.h"
#include "pci/pci.h"
#include "wire/ivshmem.h"

#include <stdlib.h>

#define SIZE_MIN ((size_t)64 * 1024)
#define IV_POSITION 0x08u /* register: by what number peers ring this device, -1 if nobody can */
#define IV_DOORBELL 0x0cu /* register: peer << 16 | vector */

struct device {
    struct vop__pci *pci;
    struct vop__window registers;
    struct vop__window memory;
};

static void device_kick(void *context, uint32_t address, unsigned queue)
{
    const struct device *d = context;

    vop__fence_platform('-');
    vop__store_le32(vop__window_at(&d->registers, IV_DOORBELL), (address - 1) << 16 | queue);
}

static int device_take(void *context)
{
    const struct device *d = context;

    return vop__pci_irq_take(d->pci);
}

static int device_check(void *context)
{
    const struct device *d = context;

    return vop__pci_check(d->pci);
}

static void device_forget(void *context)
{
    const struct device *d = context;

    vop__pci_forget(d->pci);
}

static void device_close(void *context)
{
    struct device *d = context;

    vop__pci_close(d->pci);
    free(d);
}

/* A BAR is mapped in one piece and only once, so there is no mirror. */
static const struct vop__ivshmem_ops device_ops = {
    .kick = device_kick,
    .take = device_take,
    .check = device_check,
    .forget = device_forget,
    .close = device_close,
};

static int open_device(struct device *d, const char *root, const char *address)
{
    int ret = vop__pci_open(root, address, &d->pci);

    if (ret < 0)
        return ret;
    if (!vop__pci_is_ivshmem(&d->pci->info))
        return vop__error(EINVAL, "%s is not an ivshmem device (%04x:%04x); vop pci lists those", address,
                          d->pci->info.vendor, d->pci->info.device);
    ret = vop__pci_map(d->pci, 0, &d->registers);
    if (ret == 0)
        ret = vop__pci_map(d->pci, 2, &d->memory);
    if (ret == 0 && d->memory.size < SIZE_MIN)
        return vop__error(EINVAL,
                          "%s has %zu bytes of memory, and a link needs %zu; start the virtual machine with size=16M",
                          address, d->memory.size, SIZE_MIN);
    return ret;
}

static uint32_t doorbell_of(const struct device *d)
{
    return d->pci->irq_fd < 0 ? 0 : vop__load_le32(vop__window_at(&d->registers, IV_POSITION)) + 1;
}

int vop__ivshmem_pci_open_at(const char *root, const char *address, struct vop__ivshmem_memory *ret_memory)
{
    struct device *d = calloc(1, sizeof(*d));
    int ret;

    if (!d)
        return vop__error(ENOMEM, "no memory for a link");
    ret = open_device(d, root, address);
    if (ret < 0) {
        device_close(d);
        return ret;
    }
    *ret_memory = (struct vop__ivshmem_memory){
        .half = {d->memory.base, d->memory.base + d->memory.size / 2},
        .half_size = d->memory.size / 2,
        .local_flags = d->memory.flags & (VOP__WINDOW_DIRECT_IO | VOP__WINDOW_PLATFORM), /* loads may have any width */
        .remote_flags = d->memory.flags,
        .ops = &device_ops,
        .context = d,
        .doorbell_fd = d->pci->irq_fd,
        .doorbell_address = doorbell_of(d),
        .is_exclusive = d->pci->is_exclusive,
    };
    return 0;
}

int vop__ivshmem_pci_open(const char *address, struct vop__ivshmem_memory *ret_memory)
{
    return vop__ivshmem_pci_open_at("", address, ret_memory);
}
