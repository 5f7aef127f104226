/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address.c - the address of a PCI device, which users write in two ways and the kernel in one.
 *
 * Room: pci.
 */
#include "pci/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* At most that many hexadecimal digits, at least one; moves on behind them. */
static bool take_hex(const char **text, unsigned digits_max, unsigned *ret_value)
{
    unsigned value = 0, digits = 0;

    for (; digits < digits_max && isxdigit((unsigned char)**text); digits++, (*text)++)
        value = value * 16 + (unsigned)(isdigit((unsigned char)**text) ? **text - '0' : (**text | 0x20) - 'a' + 10);
    *ret_value = value;
    return digits > 0;
}

int vop__pci_address(const char *text, char ret_address[VOP__PCI_ADDRESS_SIZE])
{
    static const struct {
        unsigned digits;
        char end;
    } form[] = {{4, ':'}, {2, ':'}, {2, '.'}, {1, '\0'}}; /* domain, bus, device number, function */
    size_t first = strchr(text, ':') == strrchr(text, ':') ? 1 : 0;
    unsigned part[4] = {0};

    for (size_t i = first; i < 4; i++) {
        if (!take_hex(&text, form[i].digits, &part[i]) || *text++ != form[i].end)
            return -EINVAL;
    }
    if (part[2] > 31 || part[3] > 7)
        return -EINVAL;
    (void)snprintf(ret_address, VOP__PCI_ADDRESS_SIZE, "%04x:%02x:%02x.%x", part[0], part[1], part[2], part[3]);
    return 0;
}
