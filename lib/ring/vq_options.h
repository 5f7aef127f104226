/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_options.h - defaults of a queue's options, and the check of what a caller asks for.
 *
 * Room: ring.
 */
#ifndef VOP_RING_VQ_OPTIONS_H
#define VOP_RING_VQ_OPTIONS_H

#include <vopipc/virtqueue.h>

/** Copies options of an older or newer caller, fills in defaults and judges them, all but the place. */
int vop__vq_options_resolve(const struct vop_virtqueue_options *options, struct vop_virtqueue_options *ret_options);

/** Judges a place for a queue made with (resolved) options. */
int vop__vq_place_check(const struct vop_virtqueue_options *options, const struct vop_virtqueue_place *place);

#endif
