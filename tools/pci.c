/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci.c - vop pci: which PCI devices there are, and what to do so that they can be used.
 *
 * Room: tools.
 */
#include "commands.h"
#include "device.h"

#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading them ---- */

static bool is_shown(const struct device *d, bool all)
{
    return all || d->is_known || vop__pci_is_usable(d->pci.driver);
}

static int is_no_dot(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Those that are to be shown, in the order of their addresses, in an array to be freed. False with a complaint. */
static bool read_devices(const char *root, bool all, struct device **ret_devices, int *ret_count, int *ret_present)
{
    struct dirent **entries;
    struct device *devices;
    char path[PATH_MAX];
    int present, count = 0;

    (void)snprintf(path, sizeof(path), "%s/sys/bus/pci/devices", root);
    present = scandir(path, &entries, is_no_dot, alphasort);
    if (present < 0) {
        fprintf(stderr, "vop: %s: %s; is there a PCI bus, and is sysfs mounted?\n", path, strerror(errno));
        return false;
    }
    devices = calloc((size_t)present + 1, sizeof(*devices));
    for (int i = 0; i < present; i++) {
        if (devices && device_read(root, entries[i]->d_name, &devices[count]) == 0 && is_shown(&devices[count], all))
            count++;
        free(entries[i]);
    }
    free(entries);
    if (!devices) {
        fprintf(stderr, "vop: no memory for %d devices\n", present);
        return false;
    }
    *ret_devices = devices;
    *ret_count = count;
    *ret_present = present;
    return true;
}

/* ---- Showing them ---- */

static void print_table(const struct device *devices, int count, FILE *out)
{
    fprintf(out, "%-13s %-10s %-16s %-30s %s\n", "ADDRESS", "ID", "DRIVER", "DEVICE", "USE");
    for (const struct device *d = devices; d < devices + count; d++)
        fprintf(out, "%-13s %04x:%04x  %-16s %-30s %s%s\n", d->pci.address, d->pci.vendor, d->pci.device,
                d->pci.driver[0] ? d->pci.driver : "-", d->what, d->is_ready ? "ready: " : "",
                d->is_ready ? d->pci.node : d->advice);
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static json_t *describe_device(const struct device *d)
{
    return json_pack("{s:s, s:o, s:o, s:s, s:s?, s:s?, s:b, s:s?}", "address", d->pci.address, "vendor",
                     json_sprintf("%04x", d->pci.vendor), "device", json_sprintf("%04x", d->pci.device), "what",
                     d->what, "driver", or_null(d->pci.driver), "node", or_null(d->pci.node), "ready", d->is_ready,
                     "advice", or_null(d->advice));
}

/* NULL: no memory. */
static char *make_json(const struct device *devices, int count)
{
    json_t *list = json_array();
    char *text = NULL;
    bool ok = true;

    for (int i = 0; ok && i < count; i++)
        ok = json_array_append_new(list, describe_device(&devices[i])) == 0;
    if (ok)
        text = json_dumps(list, JSON_INDENT(2));
    json_decref(list);
    return text;
}

static bool print_json(const struct device *devices, int count, FILE *out)
{
    char *text = make_json(devices, count);

    if (!text) {
        fprintf(stderr, "vop: no memory for %d devices as JSON\n", count);
        return false;
    }
    fprintf(out, "%s\n", text);
    free(text);
    return true;
}

bool list_devices(const char *root, bool all, bool as_json, FILE *out)
{
    struct device *devices;
    int count, present;
    bool ok = true;

    if (!read_devices(root, all, &devices, &count, &present))
        return false;
    if (as_json)
        ok = print_json(devices, count, out);
    else if (count > 0)
        print_table(devices, count, out);
    else
        fprintf(out, "no ivshmem device and no MPC8349 among the %d PCI devices here; vop pci --all lists them\n",
                present);
    free(devices);
    return ok;
}

/* ---- Its arguments ---- */

struct arguments {
    bool all, json;
};

enum key {
    KEY_ALL = 256,
    KEY_JSON
};

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case KEY_ALL:
        a->all = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "Too many arguments: %s; vop pci lists devices, and takes no address", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_pci(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"all", KEY_ALL, NULL, 0, "Every device, also those that were made for something else", 0},
        {"json", KEY_JSON, NULL, 0, "For programs", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = read_argument,
        .doc =
            "Lists PCI devices, one a line: which driver has it, and the file that programs open or the command that "
            "makes it usable.",
    };
    struct arguments a = {0};

    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return 2;
    return list_devices("", a.all, a.json, stdout) ? 0 : 1;
}
