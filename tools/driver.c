/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * driver.c - the steps by which a PCI device changes its kernel driver, which vop bind and vop unbind share.
 *
 * Room: tools.
 */
#include "driver.h"

#include "pci/sysfs.h"
#include "sysfs.h"

#include <errno.h>
#include <string.h>

bool driver_is_foreign(const struct device *d)
{
    return d->pci.driver[0] && !vop__pci_is_usable(d->pci.driver);
}

int driver_detach(const char *root, const struct device *d)
{
    const char *driver = d->pci.driver;

    return driver[0] ? sysfs_write(d->pci.address, "%s/sys/bus/pci/drivers/%s/unbind", root, driver) : 0;
}

int driver_attach(const char *root, const struct device *d, const char *driver)
{
    return sysfs_write(d->pci.address, "%s/sys/bus/pci/drivers/%s/bind", root, driver);
}

void driver_probe(const char *root, const struct device *d)
{
    (void)sysfs_write(d->pci.address, "%s/sys/bus/pci/drivers_probe", root);
}

/* The kernel writes "(null)" for none. */
void driver_read_override(const char *root, const struct device *d, char ret_driver[DRIVER_SIZE])
{
    if (vop__sysfs_line(ret_driver, DRIVER_SIZE, VOP__PCI_SYSFS "/driver_override", root, d->pci.address) < 0 ||
        strcmp(ret_driver, "(null)") == 0)
        ret_driver[0] = '\0';
}

int driver_override(const char *root, const struct device *d, const char *driver)
{
    return sysfs_write(driver[0] ? driver : "\n", VOP__PCI_SYSFS "/driver_override", root, d->pci.address);
}

bool driver_find_device(const char *root, const char *address, struct device *ret_device)
{
    if (device_read(root, address, ret_device) == 0)
        return true;
    fprintf(stderr, "vop: %s: no such PCI device; see vop pci --all\n", address);
    return false;
}

bool driver_complain(const struct device *d, const char *what, int err)
{
    fprintf(stderr, "vop: %s: %s: %s%s\n", d->pci.address, what, strerror(-err),
            err == -EACCES ? "; run this as root" : "");
    return false;
}

bool driver_report(const char *root, const struct device *d, FILE *out)
{
    struct device now;

    if (device_read(root, d->pci.address, &now) < 0) {
        fprintf(stderr, "vop: %s: it is not there any more; see vop pci --all\n", d->pci.address);
        return false;
    }
    fprintf(out, "%s: %s%s%s\n", now.pci.address, now.pci.driver[0] ? now.pci.driver : "no driver",
            now.pci.node[0] ? ", " : "", now.pci.node);
    return true;
}
