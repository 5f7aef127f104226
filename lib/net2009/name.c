/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name.c - the name of a link of 2009, taken apart.
 *
 * Room: net2009.
 */
#include "net2009/name.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME "mpc8349-2009:"

bool vop_net2009_is_name(const char *uri)
{
    return strncmp(uri, SCHEME, strlen(SCHEME)) == 0;
}

static bool read_number(const char *text, unsigned long most, uint32_t *ret_value)
{
    char *end;
    unsigned long value;

    if (*text < '0' || *text > '9')
        return false;
    value = strtoul(text, &end, 0);
    *ret_value = (uint32_t)value;
    return *end == '\0' && value <= most;
}

static bool read_option(const char *option, struct vop__2009_name *name, struct vop_net2009_options *options)
{
    uint32_t device;

    if (strncmp(option, "device=", 7) == 0) {
        if (!read_number(option + 7, VOP_NET2009_DEVICES - 1, &device))
            return false;
        options->devices = 1u << device;
        return true;
    }
    if (name->is_board && strncmp(option, "dma=", 4) == 0)
        return read_number(option + 4, 0xf, &options->dma_channels) && options->dma_channels != 0;
    if (name->is_board && strncmp(option, "uio=", 4) == 0 && strlen(option + 4) < sizeof(name->uio)) {
        memcpy(name->uio, option + 4, strlen(option + 4) + 1);
        return name->uio[0] != '\0';
    }
    return false;
}

int vop__2009_name_read(const char *uri, struct vop__2009_name *ret_name, struct vop_net2009_options *options)
{
    char text[160], *rest = text, *part;

    memset(ret_name, 0, sizeof(*ret_name));
    if (!vop_net2009_is_name(uri) || strlen(uri + strlen(SCHEME)) >= sizeof(text))
        return vop__error(EINVAL,
                          "'%.80s' is not the name of such a link: write " SCHEME "0000:02:00.0?device=0 on "
                          "the host, " SCHEME "board?device=0 on the board",
                          uri);
    memcpy(text, uri + strlen(SCHEME), strlen(uri + strlen(SCHEME)) + 1);
    part = strsep(&rest, "?");
    ret_name->is_board = strcmp(part, "board") == 0;
    if (!ret_name->is_board && vop__pci_address(part, ret_name->address) < 0)
        return vop__error(EINVAL,
                          "'%.80s': on the host name the board's PCI address, such as 0000:02:00.0 (vop pci "
                          "lists them); on the board write " SCHEME "board",
                          uri);
    while (rest) {
        part = strsep(&rest, "&");
        if (!read_option(part, ret_name, options))
            return vop__error(EINVAL, "'%.80s': '%.40s' makes no sense; there are device=0 to 3%s", uri, part,
                              ret_name->is_board ? ", dma=1 to 0xf and uio=NAME" : "");
    }
    return 0;
}
