/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.c - texts for what goes wrong with a PCI device whatever kernel driver has it.
 *
 * Room: pci.
 */
#include "pci/error.h"

#include "core/error.h"

#include <string.h>

int vop__pci_open_error(const char *address, const char *file, int err)
{
    if (err == EBUSY)
        return vop__error(err, "%s: another process has %s open; who: fuser %s", address, file, file);
    if (err == EACCES || err == EPERM)
        return vop__error(err, "%s: no right to open %s; be root, or run: chown USER %s", address, file, file);
    return vop__error(err, "%s: cannot open %s: %s; run: vop bind %s", address, file, strerror(err), address);
}

int vop__pci_gone(const char *address)
{
    return vop__error(ENODEV, "%s: the device is gone: unplugged, or given to another driver", address);
}
