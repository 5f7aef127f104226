/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci.c - opens a PCI device through the kernel driver that has it, and says what kind of memory its BARs are.
 *
 * Room: pci.
 */
#include "pci/pci.h"

#include "core/error.h"
#include "pci/backend.h"
#include "pci/error.h"
#include "pci/sysfs.h"
#include "sys/map.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define POOL VOP__PCI_BARS /* its place among the mappings */
#define MAPPINGS (VOP__PCI_BARS + 1)

/* ---- Opening and closing ---- */

static const char *find_load_command(const char *root)
{
    int fd = vop__sysfs_open(O_PATH, "%s/sys/bus/pci/drivers/" VOP__PCI_OURS, root);

    if (fd < 0)
        return "modprobe " VOP__PCI_OURS " && ";
    close(fd);
    return "";
}

/*
 * No usable driver has it. Only for a device that the library can drive this says how to take it: in a mistyped address
 * the machine's own disk may be meant, and something depends on its driver.
 */
static int refuse_device(const char *root, const struct vop__pci_info *info)
{
    const char *address = info->address, *load = find_load_command(root);
    const char *what = vop__pci_is_ivshmem(info) ? "ivshmem" : "MPC8349";
    int err = info->driver[0] ? EBUSY : ENODEV;

    if (!vop__pci_is_ivshmem(info) && !vop__pci_is_mpc8349(info))
        return vop__error(ENODEV,
                          "%s: %s%s has it, and it is neither ivshmem nor MPC8349 (%04x:%04x); vop pci lists those",
                          address, info->driver[0] ? "driver " : "no driver", info->driver, info->vendor, info->device);
    if (info->driver[0])
        return vop__error(err, "%s: driver %s has it (%s, %04x:%04x); run: %svop bind --force %s", address,
                          info->driver, what, info->vendor, info->device, load, address);
    return vop__error(err, "%s: no driver has it (%s, %04x:%04x); run: %svop bind %s", address, what, info->vendor,
                      info->device, load, address);
}

int vop__pci_open(const char *root, const char *address, struct vop__pci **ret_device)
{
    struct vop__pci_info info;

    if (vop__pci_read_info(root, address, &info) < 0)
        return vop__error(ENODEV, "%s: no such PCI device; vop pci --all lists them", address);
    if (!vop__pci_is_usable(info.driver))
        return refuse_device(root, &info);
    return strcmp(info.driver, VOP__PCI_VFIO) == 0 ? vop__vfio_open(root, &info, ret_device)
                                                   : vop__uio_open(root, &info, ret_device);
}

int vop__pci_check(const struct vop__pci *p)
{
    return p->ops->is_gone(p) ? vop__pci_gone(p->info.address) : 0;
}

void vop__pci_forget(struct vop__pci *p)
{
    for (unsigned i = 0; i < MAPPINGS; i++)
        p->mapping[i].base = NULL;
}

void vop__pci_close(struct vop__pci *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < MAPPINGS; i++)
        vop__unmap(p->mapping[i].base, p->mapping[i].size);
    p->ops->close(p);
}

/* ---- BARs ---- */

/* BAR2 of ivshmem is coherent, whatever way leads to it. All else is behind a bus. */
static unsigned window_flags(const struct vop__pci *p, unsigned bar)
{
    if (!vop__pci_is_ivshmem(&p->info) || bar != 2)
        return VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED;
    return p->maps_cached ? VOP__WINDOW_DIRECT_IO : VOP__WINDOW_UNCACHED;
}

int vop__pci_map(struct vop__pci *p, unsigned bar, struct vop__window *ret_window)
{
    size_t size, offset;
    void *base;
    int ret;

    if (bar >= VOP__PCI_BARS)
        return vop__error(ENXIO, "%s: a PCI device has no BAR%u", p->info.address, bar);
    if (p->mapping[bar].base)
        return vop__error(EBUSY, "%s: BAR%u is mapped already", p->info.address, bar);
    ret = p->ops->map(p, bar, &base, &size, &offset);
    if (ret < 0)
        return ret;
    p->mapping[bar].base = base;
    p->mapping[bar].size = size;
    *ret_window = (struct vop__window){
        .base = (uint8_t *)base + offset,
        .size = size - offset,
        .flags = window_flags(p, bar),
    };
    return 0;
}

int vop__pci_map_pool(struct vop__pci *p, struct vop__window *ret_window, uint64_t *ret_bus_address)
{
    size_t size;
    void *base;
    int ret;

    if (!p->ops->map_pool)
        return vop__error(ENXIO, "%s: only driver " VOP__PCI_OURS " has memory for the device; vop bind --force %s",
                          p->info.address, p->info.address);
    if (p->mapping[POOL].base)
        return vop__error(EBUSY, "%s: the pool is mapped already", p->info.address);
    ret = p->ops->map_pool(p, &base, &size, ret_bus_address);
    if (ret < 0)
        return ret;
    p->mapping[POOL].base = base;
    p->mapping[POOL].size = size;
    /* It is memory of this machine, but a device writes it. */
    *ret_window = (struct vop__window){.base = base, .size = size, .flags = VOP__WINDOW_PLATFORM};
    return 0;
}

/* ---- Interrupts ---- */

int vop__pci_irq_take(struct vop__pci *p)
{
    if (p->irq_fd < 0)
        return vop__error(EOPNOTSUPP, "%s: this device has no interrupt", p->info.address);
    return p->ops->irq_take(p);
}

int vop__pci_irq_enable(struct vop__pci *p)
{
    return p->ops->irq_enable(p);
}
