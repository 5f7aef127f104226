/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options.h - defaults of the public options, and the check of what an application set.
 *
 * Room: channel.
 */
#ifndef VOP_CHANNEL_OPTIONS_H
#define VOP_CHANNEL_OPTIONS_H

#include "native/geometry.h"

#include <vopipc/channel.h>

/** Options with every default filled in, checked. -EINVAL with a text. `options` may be NULL. */
int vop__options_resolve(const struct vop_options *options, struct vop_options *ret_options);

/** The geometry to offer on a wire that can ring for so many queue pairs. */
struct vop__geometry vop__options_geometry(const struct vop_options *options, unsigned pairs_max);

#endif
