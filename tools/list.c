/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list.c - vop pci: which devices there are, and what to do so that they can be used.
 *
 * Room: tools.
 */
#include "commands.h"
#include "device.h"
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_shown(const struct device *d, bool all)
{
    return all || d->is_known || device_driver_is_usable(d->driver);
}

static void show_line(const struct device *d, FILE *out)
{
    fprintf(out, "%-13s %04x:%04x  %-16s %-30s %s%s\n", d->address, d->vendor, d->number,
            d->driver[0] ? d->driver : "-", d->what, d->is_ready ? "ready: " : "", d->is_ready ? d->node : d->advice);
}

static void show(const struct device *d, bool as_json, bool is_first, FILE *out)
{
    if (as_json) {
        fputs(is_first ? "[\n  " : ",\n  ", out);
        json_device(d, out);
        return;
    }
    if (is_first)
        fprintf(out, "%-13s %-10s %-16s %-30s %s\n", "ADDRESS", "ID", "DRIVER", "DEVICE", "USE");
    show_line(d, out);
}

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

bool list_devices(const char *root, bool all, bool as_json, FILE *out)
{
    struct dirent **entries;
    char path[PATH_MAX];
    bool is_first = true;
    struct device d;
    int count;

    (void)snprintf(path, sizeof(path), "%s/sys/bus/pci/devices", root);
    count = scandir(path, &entries, no_dots, alphasort);
    if (count < 0) {
        fprintf(stderr, "vop: %s: %s; is there a PCI bus, and is sysfs mounted?\n", path, strerror(errno));
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (device_read(root, entries[i]->d_name, &d) == 0 && is_shown(&d, all)) {
            show(&d, as_json, is_first, out);
            is_first = false;
        }
        free(entries[i]);
    }
    free(entries);
    if (as_json)
        fputs(is_first ? "[]\n" : "\n]\n", out);
    else if (is_first)
        fprintf(out, "no device that is made for this among %d; vop pci --all shows all of them\n", count);
    return true;
}
