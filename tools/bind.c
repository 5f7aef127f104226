/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bind.c - vop bind and vop unbind: a PCI device changes its driver.
 *
 * Room: tools. A driver takes a device that is in its own table; any other only if the device's driver_override names
 * it. So bind first tries without, and a device with an override is one that belonged to somebody else.
 */
#include "commands.h"
#include "device.h"
#include "sysfs.h"

#include <errno.h>
#include <string.h>

#define DEVICE "%s/sys/bus/pci/devices/%s"
#define DRIVER "%s/sys/bus/pci/drivers/%s"

static bool complain(const char *address, const char *what, int err)
{
    fprintf(stderr, "vop: %s: %s: %s%s\n", address, what, strerror(-err), err == -EACCES ? "; run this as root" : "");
    return false;
}

/* The address as the kernel writes it, and the device as it is. */
static bool look_up(const char *root, const char *text, struct device *ret_device)
{
    char address[16];

    if (device_address(text, address) < 0) {
        fprintf(stderr, "vop: %s: not the address of a PCI device, as 0000:00:04.0; see vop pci --all\n", text);
        return false;
    }
    if (device_read(root, address, ret_device) < 0) {
        fprintf(stderr, "vop: %s: no such PCI device; see vop pci --all\n", address);
        return false;
    }
    return true;
}

static bool can_be_bound(const char *root, const struct device *d, const char *driver, bool force)
{
    if (d->is_bridge)
        fprintf(stderr, "vop: %s: a bridge, which no program can use\n", d->address);
    else if (!sysfs_exists(DRIVER, root, driver))
        fprintf(stderr, "vop: %s: driver %s is not loaded: modprobe %s%s\n", d->address, driver, driver,
                strcmp(driver, OUR_DRIVER) == 0 ? " (drivers/pci-uio builds it)" : "");
    else if (d->driver[0] && !device_driver_is_usable(d->driver) && !force)
        fprintf(stderr, "vop: %s: driver %s has it, and something may depend on that; vop bind --force %s takes it\n",
                d->address, d->driver, d->address);
    else
        return true;
    return false;
}

static int detach(const char *root, const struct device *d)
{
    return d->driver[0] ? sysfs_write(d->address, DRIVER "/unbind", root, d->driver) : 0;
}

static int override(const char *root, const struct device *d, const char *driver)
{
    return sysfs_write(driver, DEVICE "/driver_override", root, d->address);
}

/* In this order, so that no other driver can come between. */
static int attach(const char *root, const struct device *d, const char *driver)
{
    int err = override(root, d, "\n");

    if (err < 0)
        return err;
    err = sysfs_write(d->address, DRIVER "/bind", root, driver);
    if (err != -ENODEV)
        return err;
    err = override(root, d, driver);
    return err < 0 ? err : sysfs_write(d->address, DRIVER "/bind", root, driver);
}

/* Whoever is entitled to it. Nobody is no error. */
static void give_back(const char *root, const struct device *d)
{
    (void) override(root, d, "\n");
    (void)sysfs_write(d->address, "%s/sys/bus/pci/drivers_probe", root);
}

static bool report(const char *root, const char *address, FILE *out)
{
    struct device d;

    if (device_read(root, address, &d) < 0)
        return false;
    fprintf(out, "%s: %s%s%s\n", address, d.driver[0] ? d.driver : "no driver", d.node[0] ? ", " : "", d.node);
    return true;
}

bool bind_device(const char *root, const char *address, const char *driver, bool force, FILE *out)
{
    struct device d;
    int err;

    if (!look_up(root, address, &d))
        return false;
    if (strcmp(d.driver, driver) == 0)
        return report(root, d.address, out);
    if (!can_be_bound(root, &d, driver, force))
        return false;
    err = detach(root, &d);
    if (err < 0)
        return complain(d.address, "its driver does not let go of it", err);
    err = attach(root, &d, driver);
    if (err < 0) {
        give_back(root, &d);
        complain(d.address, "the driver does not take it (dmesg may say why)", err);
        return false;
    }
    return report(root, d.address, out);
}

bool unbind_device(const char *root, const char *address, FILE *out)
{
    char overridden[64] = "(null)";
    struct device d;
    int err;

    if (!look_up(root, address, &d))
        return false;
    if (d.driver[0] && !device_driver_is_usable(d.driver)) {
        fprintf(stderr, "vop: %s: driver %s has it, and vop takes devices back from its own drivers only\n", d.address,
                d.driver);
        return false;
    }
    (void)sysfs_read(overridden, sizeof(overridden), DEVICE "/driver_override", root, d.address);
    err = detach(root, &d);
    if (err < 0)
        return complain(d.address, "its driver does not let go of it", err);
    if (strcmp(overridden, "(null)") != 0)
        give_back(root, &d);
    return report(root, d.address, out);
}
