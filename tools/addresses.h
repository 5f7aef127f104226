/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * addresses.h - the PCI devices that a command line names, the same for every subcommand that takes some.
 *
 * Room: tools.
 */
#ifndef TOOLS_ADDRESSES_H
#define TOOLS_ADDRESSES_H

#include "pci/address.h"

#include <argp.h>

#define ADDRESSES_MAX 64
#define ADDRESSES_DOC "ADDRESS..." /* for struct argp */

struct addresses {
    char address[ADDRESSES_MAX][VOP__PCI_ADDRESS_SIZE];
    int count;
};

/** What an argp parser does with the keys that it does not know itself: at least one address, and nothing else. */
error_t addresses_read(struct addresses *addresses, int key, const char *value, const struct argp_state *state);

#endif
