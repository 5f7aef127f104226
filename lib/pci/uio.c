/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uio.c - a PCI device through UIO: vop_pci_uio, which has all that is needed, or uio_pci_generic.
 *
 * Room: pci. drivers/pci-uio/README.md says what the first offers. The second numbers its maps otherwise and leaves
 * out prefetchable BARs, so they are mapped through sysfs; and it has no irqcontrol, so INTx is let through again in
 * the configuration space.
 */
#include "core/error.h"
#include "pci/backend.h"
#include "sys/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESOURCE_MEMORY 0x200 /* IORESOURCE_MEM of the kernel */

struct uio {
    struct vop__pci pci;
    int fd;        /* /dev/uioN */
    int config_fd; /* configuration space, for uio_pci_generic; else -1 */
    int proof_fd;  /* a file of sysfs that is there as long as the driver has the device */
    char sysfs[PATH_MAX / 2];
    char name[32]; /* uioN */
};

static struct uio *uio_of(struct vop__pci *p)
{
    return (struct uio *)(void *)((char *)p - offsetof(struct uio, pci));
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
    const struct uio *u = (const struct uio *)(const void *)((const char *)p - offsetof(struct uio, pci));
    char byte;

    return pread(u->proof_fd, &byte, 1, 0) < 0 && errno == ENODEV;
}

/* Files of a device that is gone are gone, too. */
static int no_bar(const struct vop__pci *p, unsigned bar)
{
    if (uio_is_gone(p))
        return vop__pci_gone(p);
    return vop__error(ENXIO, "%s: the device has no memory at BAR%u", p->address, bar);
}

static int map_error(const struct vop__pci *p, unsigned bar, int err)
{
    if (err == EIO || err == EINVAL || err == ENODEV)
        return vop__error(err, "%s: cannot map BAR%u: %s; was it taken away? run: vop pci", p->address, bar,
                          strerror(err));
    return vop__error(err, "%s: cannot map BAR%u: %s", p->address, bar, strerror(err));
}

/* ---- vop_pci_uio ---- */

static int ours_map(struct vop__pci *p, unsigned bar, void **ret_base, size_t *ret_size, size_t *ret_offset)
{
    const struct uio *u = uio_of(p);
    uint64_t offset, size;
    char name[16], want[16];
    int err;

    (void)snprintf(want, sizeof(want), "bar%u", bar);
    if (vop__sysfs_line(name, sizeof(name), "%s/uio/%s/maps/map%u/name", u->sysfs, u->name, bar) < 0 ||
        vop__sysfs_number(&offset, "%s/uio/%s/maps/map%u/offset", u->sysfs, u->name, bar) < 0 ||
        vop__sysfs_number(&size, "%s/uio/%s/maps/map%u/size", u->sysfs, u->name, bar) < 0 || strcmp(name, want) != 0)
        return no_bar(p, bar);
    err = vop__map(u->fd, (off_t)bar * sysconf(_SC_PAGESIZE), (size_t)(offset + size), true, ret_base);
    if (err < 0)
        return map_error(p, bar, -err);
    *ret_size = (size_t)(offset + size);
    *ret_offset = (size_t)offset;
    return 0;
}

static int uio_irq_take(struct vop__pci *p)
{
    uint32_t count;

    if (read(uio_of(p)->fd, &count, sizeof(count)) == sizeof(count))
        return 1;
    return errno == EAGAIN ? 0 : vop__pci_gone(p);
}

static int ours_irq_enable(struct vop__pci *p)
{
    uint32_t on = 1;

    return write(uio_of(p)->fd, &on, sizeof(on)) == sizeof(on) ? 0 : vop__pci_gone(p);
}

static const struct vop__pci_ops ours_ops = {
    .map = ours_map,
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

/* Line `bar` of the file "resource": first and last address, flags. Of a BAR of ports there is nothing to map. */
static int resource(const struct uio *u, unsigned bar, uint64_t *ret_start, uint64_t *ret_size)
{
    char path[PATH_MAX], line[128] = "", *end;
    uint64_t first, last;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/resource", u->sysfs);
    file = fopen(path, "re");
    if (!file)
        return -ENXIO;
    for (unsigned skipped = 0; skipped <= bar; skipped++) {
        if (!fgets(line, sizeof(line), file))
            line[0] = '\0';
    }
    (void)fclose(file);
    first = strtoull(line, &end, 16);
    last = strtoull(end, &end, 16);
    if (last == 0 || !(strtoull(end, NULL, 16) & RESOURCE_MEMORY))
        return -ENXIO;
    *ret_start = first;
    *ret_size = last - first + 1;
    return 0;
}

static int generic_map(struct vop__pci *p, unsigned bar, void **ret_base, size_t *ret_size, size_t *ret_offset)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), offset;
    const struct uio *u = uio_of(p);
    uint64_t start, size;
    int fd, err;

    if (resource(u, bar, &start, &size) < 0)
        return no_bar(p, bar);
    fd = vop__sysfs_open(O_RDWR, "%s/resource%u", u->sysfs, bar);
    if (fd < 0)
        return map_error(p, bar, -fd);
    offset = (size_t)start & (page - 1);
    err = vop__map(fd, 0, offset + (size_t)size, true, ret_base);
    close(fd);
    if (err < 0)
        return map_error(p, bar, -err);
    *ret_size = offset + (size_t)size;
    *ret_offset = offset;
    return 0;
}

static int generic_irq_enable(struct vop__pci *p)
{
    const struct uio *u = uio_of(p);
    uint8_t command[2];

    if (pread(u->config_fd, command, sizeof(command), PCI_COMMAND) != sizeof(command))
        return vop__pci_gone(p);
    command[1] &= (uint8_t) ~(PCI_COMMAND_INTX_DISABLE >> 8);
    return pwrite(u->config_fd, command, sizeof(command), PCI_COMMAND) == sizeof(command) ? 0 : vop__pci_gone(p);
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

/* uio0, from the directory that has it as its only entry. */
static int find_name(struct uio *u)
{
    const struct dirent *entry;
    char path[PATH_MAX];
    DIR *directory;

    (void)snprintf(path, sizeof(path), "%s/uio", u->sysfs);
    directory = opendir(path);
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] != '.')
            (void)snprintf(u->name, sizeof(u->name), "%.31s", entry->d_name);
    }
    if (directory)
        closedir(directory);
    return u->name[0] ? 0 : -ENODEV;
}

static int open_files(struct uio *u, const struct vop__pci_place *place, bool is_ours)
{
    char file[64];

    if (find_name(u) < 0)
        return vop__error(ENODEV, "%s: driver %s has no UIO device for it; is the module uio loaded?", place->address,
                          place->driver);
    (void)snprintf(file, sizeof(file), "/dev/%s", u->name);
    u->fd = vop__sysfs_open(O_RDWR | O_NONBLOCK, "%s%s", place->root, file);
    if (u->fd == -EINVAL || u->fd == -ENXIO) /* UIO's own words for a device that is just going */
        u->fd = -ENODEV;
    if (u->fd < 0)
        return vop__pci_open_error(place, file, -u->fd);
    /* Ours appears last and disappears first, before the mappings change. */
    u->proof_fd = is_ours ? vop__sysfs_open(O_RDONLY, "%s/interrupts", u->sysfs)
                          : vop__sysfs_open(O_RDONLY, "%s/uio/%s/name", u->sysfs, u->name);
    if (u->proof_fd < 0)
        return vop__error(ENODEV, "%s: driver %s is just getting the device, or losing it; try again", place->address,
                          place->driver);
    if (is_ours)
        return 0;
    u->config_fd = vop__sysfs_open(O_RDWR, "%s/config", u->sysfs);
    return u->config_fd < 0 ? vop__pci_open_error(place, "its configuration space", -u->config_fd) : 0;
}

int vop__uio_open(const struct vop__pci_place *place, struct vop__pci **ret_device)
{
    bool is_ours = strcmp(place->driver, "vop_pci_uio") == 0;
    struct uio *u = calloc(1, sizeof(*u));
    int err;

    if (!u)
        return vop__error(ENOMEM, "%s: out of memory", place->address);
    u->fd = u->config_fd = u->proof_fd = -1;
    u->pci.ops = is_ours ? &ours_ops : &generic_ops;
    u->pci.maps_cached = u->pci.is_exclusive = is_ours;
    (void)snprintf(u->sysfs, sizeof(u->sysfs), VOP__PCI_SYSFS, place->root, place->address);
    err = open_files(u, place, is_ours);
    if (err < 0) {
        uio_close(&u->pci);
        return err;
    }
    u->pci.irq_fd = (is_ours ? ours_has_irq(u) : generic_has_irq(u)) ? u->fd : -1;
    *ret_device = &u->pci;
    return 0;
}
