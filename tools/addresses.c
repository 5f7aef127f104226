/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * addresses.c - the PCI devices that a command line names, the same for every subcommand that takes some.
 *
 * Room: tools.
 */
#include "addresses.h"

error_t addresses_read(struct addresses *addresses, int key, const char *value, const struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_ARG:
        if (addresses->count == ADDRESSES_MAX)
            argp_error(state, "%s: more than %d addresses", value, ADDRESSES_MAX);
        else if (vop__pci_address(value, addresses->address[addresses->count]) < 0)
            argp_error(state, "%s: not the address of a PCI device, as 0000:00:04.0; vop pci lists them", value);
        else
            addresses->count++;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "say which device, as 0000:00:04.0; vop pci lists them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
