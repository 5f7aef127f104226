/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uio.c - a PCI device through UIO: vop_pci_uio, which has all that is needed, or uio_pci_generic.
 *
 * Room: pci. drivers/pci-uio/README.md says what the first offers. The second numbers its maps differently and leaves
 * out prefetchable BARs, so they are mapped through sysfs; and it has no irqcontrol, so INTx is let through again in
 * the configuration space.
 */
#include "core/container.h"
#include "core/error.h"
#include "pci/backend.h"
#include "pci/error.h"
#include "pci/sysfs.h"
#include "sys/map.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct uio {
    struct vop__pci pci;
    int fd;        /* /dev/uioN */
    int config_fd; /* configuration space, for uio_pci_generic; else -1 */
    int proof_fd;  /* a file of sysfs that is there as long as the kernel driver has the device */
    char sysfs[PATH_MAX / 2];
    const char *name; /* uioN */
};

static struct uio *uio_of(const struct vop__pci *p)
{
    return vop__container_of(p, struct uio, pci);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void uio_close(struct vop__pci *p)
{
    struct uio *u = uio_of(p);

    close_fd(u->fd);
    close_fd(u->config_fd);
    close_fd(u->proof_fd);
    free(u);
}

/* Even when another device has its place and its number by now, this open file is of the old one. */
static bool uio_is_gone(const struct vop__pci *p)
{
    char byte;

    return pread(uio_of(p)->proof_fd, &byte, 1, 0) < 0 && errno == ENODEV;
}

/* Files of a device that is gone are gone, too. */
static int no_bar(const struct vop__pci *p, unsigned bar)
{
    if (uio_is_gone(p))
        return vop__pci_gone(p->info.address);
    return vop__error(ENXIO, "%s: the device has no memory at BAR%u", p->info.address, bar);
}

static int map_error(const struct vop__pci *p, unsigned bar, int err)
{
    if (uio_is_gone(p))
        return vop__pci_gone(p->info.address);
    return vop__error(err, "%s: cannot map BAR%u: %s", p->info.address, bar, strerror(err));
}

/* ---- vop_pci_uio ---- */

static int ours_map(struct vop__pci *p, unsigned bar, void **ret_base, size_t *ret_size, size_t *ret_offset)
{
    const struct uio *u = uio_of(p);
    uint64_t offset, size;
    char name[16], want[16];
    int ret;

    (void)snprintf(want, sizeof(want), "bar%u", bar);
    if (vop__sysfs_line(name, sizeof(name), "%s/uio/%s/maps/map%u/name", u->sysfs, u->name, bar) < 0 ||
        vop__sysfs_number(&offset, "%s/uio/%s/maps/map%u/offset", u->sysfs, u->name, bar) < 0 ||
        vop__sysfs_number(&size, "%s/uio/%s/maps/map%u/size", u->sysfs, u->name, bar) < 0 || strcmp(name, want) != 0)
        return no_bar(p, bar);
    ret = vop__map(u->fd, (off_t)bar * sysconf(_SC_PAGESIZE), (size_t)(offset + size), true, ret_base);
    if (ret < 0)
        return map_error(p, bar, -ret);
    *ret_size = (size_t)(offset + size);
    *ret_offset = (size_t)offset;
    return 0;
}

/* It has the lowest number that is not a BAR. */
static int ours_map_pool(struct vop__pci *p, void **ret_base, size_t *ret_size, uint64_t *ret_bus_address)
{
    const struct uio *u = uio_of(p);
    char name[16] = "";
    uint64_t size;
    int ret;

    for (unsigned map = 0; map < VOP__PCI_BARS; map++) {
        if (vop__sysfs_line(name, sizeof(name), "%s/uio/%s/maps/map%u/name", u->sysfs, u->name, map) < 0 ||
            strcmp(name, "pool") != 0)
            continue;
        if (vop__sysfs_number(&size, "%s/uio/%s/maps/map%u/size", u->sysfs, u->name, map) < 0 ||
            vop__sysfs_number(ret_bus_address, "%s/uio/%s/maps/map%u/addr", u->sysfs, u->name, map) < 0)
            break;
        ret = vop__map(u->fd, (off_t)map * sysconf(_SC_PAGESIZE), (size_t)size, true, ret_base);
        if (ret < 0)
            return vop__error(-ret, "%s: cannot map the pool: %s", p->info.address, strerror(-ret));
        *ret_size = (size_t)size;
        return 0;
    }
    if (uio_is_gone(p))
        return vop__pci_gone(p->info.address);
    return vop__error(ENXIO, "%s: there is no pool; load the driver with one: modprobe vop_pci_uio pool_size=2097152",
                      p->info.address);
}

static int uio_irq_take(struct vop__pci *p)
{
    uint32_t count;

    if (read(uio_of(p)->fd, &count, sizeof(count)) == sizeof(count))
        return 1;
    return errno == EAGAIN ? 0 : vop__pci_gone(p->info.address);
}

static int ours_irq_enable(struct vop__pci *p)
{
    uint32_t on = 1;

    return write(uio_of(p)->fd, &on, sizeof(on)) == sizeof(on) ? 0 : vop__pci_gone(p->info.address);
}

static const struct vop__pci_ops ours_ops = {
    .map = ours_map,
    .map_pool = ours_map_pool,
    .irq_take = uio_irq_take,
    .irq_enable = ours_irq_enable,
    .is_gone = uio_is_gone,
    .close = uio_close,
};

static bool ours_has_irq(const struct uio *u)
{
    char line[32];

    return vop__sysfs_line(line, sizeof(line), "%s/interrupts", u->sysfs) == 0 && strcmp(line, "none") != 0;
}

/* ---- uio_pci_generic ---- */

static int generic_map(struct vop__pci *p, unsigned bar, void **ret_base, size_t *ret_size, size_t *ret_offset)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), offset;
    size_t size = (size_t)p->info.bar[bar].size;
    int fd, ret;

    if (size == 0)
        return no_bar(p, bar);
    fd = vop__sysfs_open(O_RDWR, "%s/resource%u", uio_of(p)->sysfs, bar);
    if (fd < 0)
        return map_error(p, bar, -fd);
    offset = (size_t)p->info.bar[bar].start & (page - 1);
    ret = vop__map(fd, 0, offset + size, true, ret_base);
    close(fd);
    if (ret < 0)
        return map_error(p, bar, -ret);
    *ret_size = offset + size;
    *ret_offset = offset;
    return 0;
}

static int generic_irq_enable(struct vop__pci *p)
{
    const struct uio *u = uio_of(p);
    uint8_t command[2];

    if (pread(u->config_fd, command, sizeof(command), PCI_COMMAND) != sizeof(command))
        return vop__pci_gone(p->info.address);
    command[1] &= (uint8_t) ~(PCI_COMMAND_INTX_DISABLE >> 8);
    return pwrite(u->config_fd, command, sizeof(command), PCI_COMMAND) == sizeof(command)
               ? 0
               : vop__pci_gone(p->info.address);
}

static const struct vop__pci_ops generic_ops = {
    .map = generic_map,
    .irq_take = uio_irq_take,
    .irq_enable = generic_irq_enable,
    .is_gone = uio_is_gone,
    .close = uio_close,
};

static bool generic_has_irq(const struct uio *u)
{
    uint64_t irq;

    return vop__sysfs_number(&irq, "%s/irq", u->sysfs) == 0 && irq != 0;
}

/* ---- Both ---- */

static int open_files(struct uio *u, const char *root, bool is_ours)
{
    const struct vop__pci_info *info = &u->pci.info;

    if (!info->node[0])
        return vop__error(ENODEV, "%s: driver %s has no UIO device for it; is the module uio loaded?", info->address,
                          info->driver);
    u->name = info->node + strlen("/dev/");
    u->fd = vop__sysfs_open(O_RDWR | O_NONBLOCK, "%s%s", root, info->node);
    if (u->fd == -EINVAL || u->fd == -ENXIO) /* UIO's own words for a device that is just going */
        u->fd = -ENODEV;
    if (u->fd < 0)
        return vop__pci_open_error(info->address, info->node, -u->fd);
    /* Ours appears last and disappears first, before the mappings change. */
    u->proof_fd = is_ours ? vop__sysfs_open(O_RDONLY, "%s/interrupts", u->sysfs)
                          : vop__sysfs_open(O_RDONLY, "%s/uio/%s/name", u->sysfs, u->name);
    if (u->proof_fd < 0)
        return vop__error(ENODEV, "%s: driver %s is just getting the device, or losing it; try again", info->address,
                          info->driver);
    if (is_ours)
        return 0;
    u->config_fd = vop__sysfs_open(O_RDWR, "%s/config", u->sysfs);
    return u->config_fd < 0 ? vop__pci_open_error(info->address, "its configuration space", -u->config_fd) : 0;
}

int vop__uio_open(const char *root, const struct vop__pci_info *info, struct vop__pci **ret_device)
{
    bool is_ours = strcmp(info->driver, VOP__PCI_OURS) == 0;
    struct uio *u = calloc(1, sizeof(*u));
    int ret;

    if (!u)
        return vop__error(ENOMEM, "%s: out of memory", info->address);
    u->fd = u->config_fd = u->proof_fd = -1;
    u->pci.ops = is_ours ? &ours_ops : &generic_ops;
    u->pci.info = *info;
    u->pci.maps_cached = u->pci.is_exclusive = is_ours;
    (void)snprintf(u->sysfs, sizeof(u->sysfs), VOP__PCI_SYSFS, root, info->address);
    ret = open_files(u, root, is_ours);
    if (ret < 0) {
        uio_close(&u->pci);
        return ret;
    }
    u->pci.irq_fd = (is_ours ? ours_has_irq(u) : generic_has_irq(u)) ? u->fd : -1;
    *ret_device = &u->pci;
    return 0;
}
