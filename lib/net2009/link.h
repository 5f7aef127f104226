/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - a link of 2009 over an end of the bus that is open already.
 *
 * Room: net2009. The calls of a link are in <vopipc/net2009.h>.
 */
#ifndef VOP_NET2009_LINK_H
#define VOP_NET2009_LINK_H

#include "wire/mpc8349.h"

#include <vopipc/net2009.h>

/** As vop_net2009_open(). Takes `end` on success only. */
int vop__net2009_adopt(const struct vop__mpc8349_end *end, unsigned side, const struct vop_net2009_options *options,
                       vop_net2009 **ret_link);

#endif
