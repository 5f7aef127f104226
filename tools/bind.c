/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bind.c - vop bind: gives PCI devices to a kernel driver through which programs reach them.
 *
 * Room: tools. A driver takes a device that is in its own table; any other only if the device's driver_override names
 * it. So bind first tries without, unless another driver had the device: then an override is to say that it goes back.
 */
#include "addresses.h"
#include "commands.h"
#include "driver.h"
#include "sysfs.h"

#include <errno.h>
#include <string.h>

static bool can_be_bound(const char *root, const struct device *d, const char *driver, bool force)
{
    const char *address = d->pci.address;

    if (d->is_bridge)
        fprintf(stderr, "vop: %s: a bridge, which no program can use\n", address);
    else if (!sysfs_exists("%s/sys/bus/pci/drivers/%s", root, driver))
        fprintf(stderr, "vop: %s: driver %s is not loaded: modprobe %s%s\n", address, driver, driver,
                strcmp(driver, VOP__PCI_OURS) == 0 ? " (drivers/pci-uio builds it)" : "");
    else if (driver_is_foreign(d) && !force)
        fprintf(
            stderr,
            "vop: %s: driver %s has it (%04x:%04x, %s), and something may depend on that; vop bind --force %s takes "
            "it\n",
            address, d->pci.driver, d->pci.vendor, d->pci.device, d->what, address);
    else
        return true;
    return false;
}

/* In this order, so that no other driver can come between. What was another's gets an override in any case. */
static int attach(const char *root, const struct device *d, const char *driver)
{
    int ret = driver_override(root, d, driver_is_foreign(d) ? driver : "");

    if (ret < 0)
        return ret;
    ret = driver_attach(root, d, driver);
    if (ret != -ENODEV || driver_is_foreign(d))
        return ret;
    ret = driver_override(root, d, driver);
    return ret < 0 ? ret : driver_attach(root, d, driver);
}

/* As if nothing had been. */
static void restore(const char *root, const struct device *d, const char *override)
{
    (void)driver_override(root, d, override);
    if (d->pci.driver[0] && driver_attach(root, d, d->pci.driver) < 0)
        driver_probe(root, d);
}

bool bind_device(const char *root, const char *address, const char *driver, bool force, FILE *out)
{
    char override[DRIVER_SIZE];
    struct device d;
    int ret;

    if (!driver_find_device(root, address, &d))
        return false;
    if (strcmp(d.pci.driver, driver) == 0)
        return driver_report(root, &d, out);
    if (!can_be_bound(root, &d, driver, force))
        return false;
    driver_read_override(root, &d, override);
    ret = driver_detach(root, &d);
    if (ret < 0)
        return driver_complain(&d, "its driver does not let go of it", ret);
    ret = attach(root, &d, driver);
    if (ret < 0) {
        restore(root, &d, override);
        return driver_complain(&d, "the driver does not take it (dmesg may say why)", ret);
    }
    return driver_report(root, &d, out);
}

/* ---- Its arguments ---- */

#define DRIVERS VOP__PCI_OURS ", " VOP__PCI_VFIO " or " VOP__PCI_GENERIC

struct arguments {
    const char *driver;
    bool force;
    struct addresses addresses;
};

enum key {
    KEY_DRIVER = 256,
    KEY_FORCE
};

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case KEY_DRIVER:
        if (!vop__pci_is_usable(value))
            argp_error(state, "--driver=%s: choose " DRIVERS, value);
        a->driver = value;
        return 0;
    case KEY_FORCE:
        a->force = true;
        return 0;
    default:
        return addresses_read(&a->addresses, key, value, state);
    }
}

int command_bind(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"driver", KEY_DRIVER, "NAME", 0, "Driver: " DRIVERS " (default: " VOP__PCI_OURS ")", 0},
        {"force", KEY_FORCE, NULL, 0, "Take the device away from the driver that has it", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = read_argument,
        .args_doc = ADDRESSES_DOC,
        .doc =
            "Gives PCI devices to a driver through which programs reach them, and prints the file that programs open.",
    };
    struct arguments a = {.driver = VOP__PCI_OURS};
    bool ok = true;

    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    for (int i = 0; i < a.addresses.count; i++)
        ok &= bind_device("", a.addresses.address[i], a.driver, a.force, stdout);
    return ok ? 0 : 1;
}
