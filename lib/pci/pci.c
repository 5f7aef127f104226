/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci.c - finds a PCI device and the driver that has it, and says what kind of memory its BARs are.
 *
 * Room: pci.
 */
#include "pci/pci.h"

#include "core/clock.h"
#include "core/error.h"
#include "pci/backend.h"
#include "sys/map.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* ---- From a name to an address ---- */

/* At most that many hexadecimal digits, at least one; moves on behind them. */
static bool take_hex(const char **text, unsigned digits_max, unsigned *ret_value)
{
    unsigned value = 0, digits = 0;

    for (; digits < digits_max && isxdigit((unsigned char)**text); digits++, (*text)++)
        value = value * 16 + (unsigned)(isdigit((unsigned char)**text) ? **text - '0' : (**text | 0x20) - 'a' + 10);
    *ret_value = value;
    return digits > 0;
}

static bool parse_address(const char *name, char ret_address[16])
{
    static const struct {
        unsigned digits;
        char end;
    } form[] = {{4, ':'}, {2, ':'}, {2, '.'}, {1, '\0'}}; /* domain, bus, slot, function */
    size_t first = strchr(name, ':') == strrchr(name, ':') ? 1 : 0;
    const char *text = name;
    unsigned part[4] = {0};

    for (size_t i = first; i < 4; i++) {
        if (!take_hex(&text, form[i].digits, &part[i]) || *text++ != form[i].end)
            return false;
    }
    if (part[2] > 31 || part[3] > 7)
        return false;
    (void)snprintf(ret_address, 16, "%04x:%02x:%02x.%x", part[0], part[1], part[2], part[3]);
    return true;
}

/* The PCI device behind a UIO device. */
static int uio_address(const char *root, const char *uio, char ret_address[16])
{
    char name[64];

    if (vop__sysfs_link(name, sizeof(name), "%s/sys/class/uio/%s/device", root, uio) < 0 ||
        !parse_address(name, ret_address))
        return vop__error(ENODEV, "%s: not the UIO device of a PCI device; vop pci lists them", uio);
    return 0;
}

/* By what the driver calls it. More than one is no answer. */
static int find_by_name(const char *root, const char *name, char ret_address[16])
{
    char path[PATH_MAX], found[64] = "", line[64];
    const struct dirent *entry;
    bool is_ambiguous = false;
    DIR *directory;

    (void)snprintf(path, sizeof(path), "%s/sys/class/uio", root);
    directory = opendir(path);
    while (directory && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.' || vop__sysfs_line(line, sizeof(line), "%s/%s/name", path, entry->d_name) < 0 ||
            strcmp(line, name) != 0)
            continue;
        is_ambiguous = found[0] != '\0';
        (void)snprintf(found, sizeof(found), "%.63s", entry->d_name);
        if (is_ambiguous)
            break;
    }
    if (directory)
        closedir(directory);
    if (is_ambiguous)
        return vop__error(EINVAL, "%s: several devices have this name; take an address from: vop pci", name);
    if (!found[0])
        return vop__error(EINVAL, "%.64s: neither a PCI address (0000:00:04.0) nor a UIO device; see: vop pci", name);
    return uio_address(root, found, ret_address);
}

static int find(const char *root, const char *name, char ret_address[16])
{
    if (parse_address(name, ret_address))
        return 0;
    if (strncmp(name, "uio", 3) == 0 && name[3] && strspn(name + 3, "0123456789") == strlen(name + 3))
        return uio_address(root, name, ret_address);
    return find_by_name(root, name, ret_address);
}

/* ---- From an address to an open device ---- */

static int open_driver(const struct vop__pci_place *place, struct vop__pci **ret_device)
{
    if (strcmp(place->driver, "vop_pci_uio") == 0 || strcmp(place->driver, "uio_pci_generic") == 0)
        return vop__uio_open(place, ret_device);
    if (strcmp(place->driver, "vfio-pci") == 0)
        return vop__vfio_open(place, ret_device);
    return vop__error(
        EBUSY, "%s: driver %s has it; if it is the device that you mean (vop pci --all), run: vop bind --force %s",
        place->address, place->driver, place->address);
}

int vop__pci_open_at(const char *root, const char *name, struct vop__pci **ret_device)
{
    char address[16], driver[64];
    struct vop__pci_place place = {.root = root, .address = address, .driver = driver};
    uint64_t vendor, device;
    struct vop__pci *p;
    int err = find(root, name, address);

    if (err < 0)
        return err;
    if (vop__sysfs_number(&vendor, VOP__PCI_SYSFS "/vendor", root, address) < 0 ||
        vop__sysfs_number(&device, VOP__PCI_SYSFS "/device", root, address) < 0)
        return vop__error(ENODEV, "%s: no such PCI device; vop pci --all lists them", address);
    if (vop__sysfs_link(driver, sizeof(driver), VOP__PCI_SYSFS "/driver", root, address) < 0)
        return vop__error(ENODEV,
                          "%s: no driver has it; if it is the device that you mean (vop pci --all), run: vop bind %s",
                          address, address);
    err = open_driver(&place, &p);
    if (err < 0)
        return err;
    (void)snprintf(p->address, sizeof(p->address), "%s", address);
    p->vendor = (uint16_t)vendor;
    p->device = (uint16_t)device;
    *ret_device = p;
    return 0;
}

int vop__pci_open(const char *name, struct vop__pci **ret_device)
{
    return vop__pci_open_at("", name, ret_device);
}

int vop__pci_open_error(const struct vop__pci_place *place, const char *file, int err)
{
    if (err == EBUSY)
        return vop__error(err, "%s: another process has %s open; who: fuser %s", place->address, file, file);
    if (err == EACCES || err == EPERM)
        return vop__error(err, "%s: no right to open %s; be root, or run: chown USER %s", place->address, file, file);
    return vop__error(err, "%s: cannot open %s: %s; run: vop bind %s", place->address, file, strerror(err),
                      place->address);
}

int vop__pci_gone(const struct vop__pci *p)
{
    return vop__error(ENODEV, "%s: the device is gone: unplugged, or given to another driver", p->address);
}

int vop__pci_check(const struct vop__pci *p)
{
    return p->ops->is_gone(p) ? vop__pci_gone(p) : 0;
}

void vop__pci_close(struct vop__pci *p)
{
    if (!p)
        return;
    for (unsigned bar = 0; bar < VOP__PCI_BARS; bar++)
        vop__unmap(p->mapping[bar].base, p->mapping[bar].size);
    p->ops->close(p);
}

/* ---- BARs ---- */

bool vop__pci_is_ivshmem(const struct vop__pci *p)
{
    return p->vendor == 0x1af4 && p->device == 0x1110;
}

/* BAR2 of ivshmem is coherent, whatever way leads to it. All else is behind a bus. */
static unsigned window_flags(const struct vop__pci *p, unsigned bar)
{
    if (!vop__pci_is_ivshmem(p) || bar != 2)
        return VOP__WINDOW_POSTED | VOP__WINDOW_PLATFORM | VOP__WINDOW_UNCACHED;
    return p->maps_cached ? VOP__WINDOW_DIRECT_IO : VOP__WINDOW_UNCACHED;
}

int vop__pci_map(struct vop__pci *p, unsigned bar, struct vop__window *ret_window)
{
    size_t size, offset;
    void *base;
    int err;

    if (bar >= VOP__PCI_BARS)
        return vop__error(ENXIO, "%s: a PCI device has no BAR%u", p->address, bar);
    if (p->mapping[bar].base)
        return vop__error(EBUSY, "%s: BAR%u is mapped already", p->address, bar);
    err = p->ops->map(p, bar, &base, &size, &offset);
    if (err < 0)
        return err;
    p->mapping[bar].base = base;
    p->mapping[bar].size = size;
    *ret_window = (struct vop__window){
        .base = (uint8_t *)base + offset,
        .size = size - offset,
        .flags = window_flags(p, bar),
    };
    return 0;
}

/* ---- Interrupts ---- */

static int no_interrupt(const struct vop__pci *p)
{
    return vop__error(EOPNOTSUPP, "%s: this device has no interrupt", p->address);
}

int vop__pci_irq_take(struct vop__pci *p)
{
    return p->irq_fd < 0 ? no_interrupt(p) : p->ops->irq_take(p);
}

int vop__pci_irq_enable(struct vop__pci *p)
{
    return p->irq_fd < 0 ? no_interrupt(p) : p->ops->irq_enable(p);
}

int vop__pci_irq_wait(struct vop__pci *p, int64_t timeout_ns)
{
    struct pollfd fd = {.fd = p->irq_fd, .events = POLLIN};
    struct timespec ts = vop__timespec(timeout_ns);
    int n;

    if (p->irq_fd < 0)
        return no_interrupt(p);
    n = ppoll(&fd, 1, timeout_ns == VOP__NEVER ? NULL : &ts, NULL);
    if (n < 0)
        return -errno;
    return n == 0 ? 0 : p->ops->irq_take(p);
}
