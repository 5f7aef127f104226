/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bind.c - vop bind and vop unbind: a PCI device changes its driver.
 *
 * Room: tools. A driver takes a device that is in its own table; any other only if the device's driver_override names
 * it. So bind first tries without, unless another driver had the device: then an override is to say that it goes back.
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

static bool look_up(const char *root, const char *address, struct device *ret_device)
{
    if (device_read(root, address, ret_device) < 0) {
        fprintf(stderr, "vop: %s: no such PCI device; see vop pci --all\n", address);
        return false;
    }
    return true;
}

static bool is_of_another(const struct device *d)
{
    return d->driver[0] && !device_driver_is_usable(d->driver);
}

static bool can_be_bound(const char *root, const struct device *d, const char *driver, bool force)
{
    if (d->is_bridge)
        fprintf(stderr, "vop: %s: a bridge, which no program can use\n", d->address);
    else if (!sysfs_exists(DRIVER, root, driver))
        fprintf(stderr, "vop: %s: driver %s is not loaded: modprobe %s%s\n", d->address, driver, driver,
                strcmp(driver, OUR_DRIVER) == 0 ? " (drivers/pci-uio builds it)" : "");
    else if (is_of_another(d) && !force)
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

/* In this order, so that no other driver can come between. What was another's gets an override in any case. */
static int attach(const char *root, const struct device *d, const char *driver)
{
    int err = override(root, d, is_of_another(d) ? driver : "\n");

    if (err < 0)
        return err;
    err = sysfs_write(d->address, DRIVER "/bind", root, driver);
    if (err != -ENODEV || is_of_another(d))
        return err;
    err = override(root, d, driver);
    return err < 0 ? err : sysfs_write(d->address, DRIVER "/bind", root, driver);
}

/* To whoever is entitled to it. Nobody is no error. */
static void give_back(const char *root, const struct device *d)
{
    (void) override(root, d, "\n");
    (void)sysfs_write(d->address, "%s/sys/bus/pci/drivers_probe", root);
}

/* As if nothing had been. */
static void restore(const char *root, const struct device *d, const char *overridden)
{
    (void) override(root, d, overridden[0] ? overridden : "\n");
    if (d->driver[0] && sysfs_write(d->address, DRIVER "/bind", root, d->driver) < 0)
        (void)sysfs_write(d->address, "%s/sys/bus/pci/drivers_probe", root);
}

/* The driver_override, "" if there is none. */
static void read_override(const char *root, const struct device *d, char ret_driver[64])
{
    if (sysfs_read(ret_driver, 64, DEVICE "/driver_override", root, d->address) < 0 ||
        strcmp(ret_driver, "(null)") == 0)
        ret_driver[0] = '\0';
}

static bool report(const char *root, const char *address, FILE *out)
{
    struct device d;

    if (device_read(root, address, &d) < 0) {
        fprintf(stderr, "vop: %s: it is not there any more; see vop pci --all\n", address);
        return false;
    }
    fprintf(out, "%s: %s%s%s\n", address, d.driver[0] ? d.driver : "no driver", d.node[0] ? ", " : "", d.node);
    return true;
}

bool bind_device(const char *root, const char *address, const char *driver, bool force, FILE *out)
{
    char overridden[64];
    struct device d;
    int err;

    if (!look_up(root, address, &d))
        return false;
    if (strcmp(d.driver, driver) == 0)
        return report(root, d.address, out);
    if (!can_be_bound(root, &d, driver, force))
        return false;
    read_override(root, &d, overridden);
    err = detach(root, &d);
    if (err < 0)
        return complain(d.address, "its driver does not let go of it", err);
    err = attach(root, &d, driver);
    if (err < 0) {
        restore(root, &d, overridden);
        complain(d.address, "the driver does not take it (dmesg may say why)", err);
        return false;
    }
    return report(root, d.address, out);
}

bool unbind_device(const char *root, const char *address, FILE *out)
{
    char overridden[64];
    struct device d;
    int err;

    if (!look_up(root, address, &d))
        return false;
    if (is_of_another(&d)) {
        fprintf(stderr, "vop: %s: driver %s has it, and vop takes devices back from its own drivers only\n", d.address,
                d.driver);
        return false;
    }
    read_override(root, &d, overridden);
    err = detach(root, &d);
    if (err < 0)
        return complain(d.address, "its driver does not let go of it", err);
    /* An override that vop did not make keeps others away on purpose. */
    if (d.driver[0] ? strcmp(overridden, d.driver) == 0 : device_driver_is_usable(overridden))
        give_back(root, &d);
    return report(root, d.address, out);
}
