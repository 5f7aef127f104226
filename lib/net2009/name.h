/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name.h - the name of a link of 2009, taken apart.
 *
 * Room: net2009.
 */
#ifndef VOP_NET2009_NAME_H
#define VOP_NET2009_NAME_H

#include "pci/address.h"

#include <vopipc/net2009.h>

struct vop__2009_name {
    bool is_board;
    char address[VOP__PCI_ADDRESS_SIZE]; /* host */
    char uio[96];                        /* board; empty: whichever there is */
};

/** What the name says of devices and channels goes into `options`. 0, or -EINVAL with a text. */
int vop__2009_name_read(const char *uri, struct vop__2009_name *ret_name, struct vop_net2009_options *options);

#endif
