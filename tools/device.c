/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - a PCI device as the kernel shows it: what it is, who has it, and what to do so that we can.
 *
 * Room: tools.
 */
#include "device.h"

#include "sysfs.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BARS 6

/* At most that many hexadecimal digits, at least one; moves on behind them. */
static bool take_hex(const char **text, unsigned digits_max, unsigned *ret_value)
{
    unsigned value = 0, digits = 0;

    for (; digits < digits_max && isxdigit((unsigned char)**text); digits++, (*text)++)
        value = value * 16 + (unsigned)(isdigit((unsigned char)**text) ? **text - '0' : (**text | 0x20) - 'a' + 10);
    *ret_value = value;
    return digits > 0;
}

int device_address(const char *address, char ret_address[DEVICE_ADDRESS_SIZE])
{
    static const struct {
        unsigned digits;
        char end;
    } form[] = {{4, ':'}, {2, ':'}, {2, '.'}, {1, '\0'}}; /* domain, bus, slot, function */
    size_t first = strchr(address, ':') == strrchr(address, ':') ? 1 : 0;
    const char *text = address;
    unsigned part[4] = {0};

    for (size_t i = first; i < 4; i++) {
        if (!take_hex(&text, form[i].digits, &part[i]) || *text++ != form[i].end)
            return -EINVAL;
    }
    if (part[2] > 31 || part[3] > 7)
        return -EINVAL;
    (void)snprintf(ret_address, DEVICE_ADDRESS_SIZE, "%04x:%02x:%02x.%x", part[0], part[1], part[2], part[3]);
    return 0;
}

bool device_driver_is_usable(const char *driver)
{
    return strcmp(driver, OUR_DRIVER) == 0 || strcmp(driver, "uio_pci_generic") == 0 || strcmp(driver, "vfio-pci") == 0;
}

static unsigned long read_number(const char *root, const char *address, const char *file)
{
    char text[32];

    return sysfs_read(text, sizeof(text), "%s/sys/bus/pci/devices/%s/%s", root, address, file) < 0
               ? 0
               : strtoul(text, NULL, 16);
}

/* Sizes of the memory behind the BARs, from the six first lines of "resource". */
static void read_bars(const char *root, const char *address, uint64_t ret_size[BARS])
{
    char path[PATH_MAX], line[128], *end;
    FILE *file;

    memset(ret_size, 0, BARS * sizeof(ret_size[0]));
    (void)snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/resource", root, address);
    file = fopen(path, "re");
    if (!file)
        return;
    for (int bar = 0; bar < BARS && fgets(line, sizeof(line), file); bar++) {
        uint64_t first = strtoull(line, &end, 16), last = strtoull(end, NULL, 16);

        ret_size[bar] = last ? last - first + 1 : 0;
    }
    (void)fclose(file);
}

/* MPC8349 and relatives, as in drivers/pci-uio/main.c. */
static bool is_mpc8349(const struct device *d)
{
    return d->vendor == 0x1957 &&
           ((d->number >= 0x0080 && d->number <= 0x0087) || d->number == 0x00b4 || d->number == 0x00b6 ||
            (d->number >= 0x00c2 && d->number <= 0x00c7) || d->number == 0xc006);
}

static void describe(const char *root, struct device *d)
{
    unsigned long class = read_number(root, d->address, "class") >> 8;
    uint64_t bar[BARS];

    read_bars(root, d->address, bar);
    d->is_bridge = class >> 8 == 0x06;
    d->is_known = true;
    if (d->vendor == 0x1af4 && d->number == 0x1110) {
        bool is_small = bar[2] < 1u << 20;

        (void)snprintf(d->what, sizeof(d->what), "ivshmem, %llu %s, %s",
                       (unsigned long long)(bar[2] >> (is_small ? 10 : 20)), is_small ? "KiB" : "MiB",
                       bar[1] ? "doorbell" : "no doorbell");
    } else if (is_mpc8349(d)) {
        (void)snprintf(d->what, sizeof(d->what), "MPC8349 or relative");
    } else {
        d->is_known = false;
        (void)snprintf(d->what, sizeof(d->what), d->is_bridge ? "bridge" : "class %04lx", class);
    }
}

/* Where a program opens it: /dev/uioN, or /dev/vfio/GROUP. */
static void find_node(const char *root, struct device *d)
{
    const char *device = d->address;
    char name[32];

    if (strcmp(d->driver, "vfio-pci") == 0) {
        if (sysfs_link(name, sizeof(name), "%s/sys/bus/pci/devices/%s/iommu_group", root, device) == 0)
            (void)snprintf(d->node, sizeof(d->node), "/dev/vfio/%s", name);
    } else if (device_driver_is_usable(d->driver)) {
        if (sysfs_first(name, sizeof(name), "%s/sys/bus/pci/devices/%s/uio", root, device) == 0)
            (void)snprintf(d->node, sizeof(d->node), "/dev/%s", name);
    }
    d->is_ready = d->node[0] && sysfs_exists("%s%s", root, d->node);
}

static void advise(const char *root, struct device *d)
{
    bool loaded = sysfs_exists("%s/sys/bus/pci/drivers/" OUR_DRIVER, root);
    const char *load = loaded ? "" : "modprobe " OUR_DRIVER " && ";

    if (d->is_ready)
        return;
    if (d->is_bridge)
        (void)snprintf(d->advice, sizeof(d->advice), "none: a bridge cannot be used");
    else if (strcmp(d->driver, "vfio-pci") == 0 && !d->node[0])
        (void)snprintf(d->advice, sizeof(d->advice), "%svop bind %s (vfio-pci needs an IOMMU, and there is none)", load,
                       d->address);
    else if (d->node[0])
        (void)snprintf(d->advice, sizeof(d->advice), "%s is missing: does udev or devtmpfs run here?", d->node);
    else if (d->driver[0])
        (void)snprintf(d->advice, sizeof(d->advice), "in use; to take it from its driver: %svop bind --force %s", load,
                       d->address);
    else
        (void)snprintf(d->advice, sizeof(d->advice), "%svop bind %s", load, d->address);
}

int device_read(const char *root, const char *address, struct device *ret_device)
{
    struct device d = {0};

    if (!sysfs_exists("%s/sys/bus/pci/devices/%s", root, address))
        return -ENODEV;
    (void)snprintf(d.address, sizeof(d.address), "%s", address);
    d.vendor = (uint16_t)read_number(root, address, "vendor");
    d.number = (uint16_t)read_number(root, address, "device");
    if (sysfs_link(d.driver, sizeof(d.driver), "%s/sys/bus/pci/devices/%s/driver", root, address) < 0)
        d.driver[0] = '\0';
    describe(root, &d);
    find_node(root, &d);
    advise(root, &d);
    *ret_device = d;
    return 0;
}
