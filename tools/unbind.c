/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unbind.c - vop unbind: takes PCI devices back, and gives them to the kernel driver that they had before.
 *
 * Room: tools.
 */
#include "addresses.h"
#include "commands.h"
#include "driver.h"

#include <string.h>

/* An override that vop did not make keeps others away on purpose. */
static bool is_ours(const struct device *d, const char *override)
{
    return d->pci.driver[0] ? strcmp(override, d->pci.driver) == 0 : vop__pci_is_usable(override);
}

bool unbind_device(const char *root, const char *address, FILE *out)
{
    char override[DRIVER_SIZE];
    struct device d;
    int ret;

    if (!driver_find_device(root, address, &d))
        return false;
    if (driver_is_foreign(&d)) {
        fprintf(stderr, "vop: %s: driver %s has it, and vop takes devices back from its own drivers only\n",
                d.pci.address, d.pci.driver);
        return false;
    }
    driver_read_override(root, &d, override);
    ret = driver_detach(root, &d);
    if (ret < 0)
        return driver_complain(&d, "its driver does not let go of it", ret);
    if (is_ours(&d, override)) {
        (void)driver_override(root, &d, "");
        driver_probe(root, &d);
    }
    return driver_report(root, &d, out);
}

/* ---- Its arguments ---- */

static error_t read_argument(int key, char *value, struct argp_state *state)
{
    return addresses_read(state->input, key, value, state);
}

int command_unbind(int argc, char **argv)
{
    static const struct argp argp = {
        .parser = read_argument,
        .args_doc = ADDRESSES_DOC,
        .doc =
            "Takes PCI devices away from a driver through which programs reach them. A device that vop bind took from "
            "another driver goes back to that.",
    };
    struct addresses addresses = {0};
    bool ok = true;

    if (argp_parse(&argp, argc, argv, 0, NULL, &addresses) != 0)
        return 2;
    for (int i = 0; i < addresses.count; i++)
        ok &= unbind_device("", addresses.address[i], stdout);
    return ok ? 0 : 1;
}
