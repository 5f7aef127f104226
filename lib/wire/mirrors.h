/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mirrors.h - stretches of memory that a wire has mapped twice, back to back, until it is closed.
 *
 * Room: wire.
 */
#ifndef VOP_WIRE_MIRRORS_H
#define VOP_WIRE_MIRRORS_H

#include <stdbool.h>
#include <vopipc/abi.h>

#define VOP__MIRRORS_MAX (2u * VOP_QUEUE_PAIRS_MAX) /* each pool of both halves once */

struct vop__mirrors {
    unsigned count;
    struct {
        void *base;
        size_t size; /* of both copies */
    } at[VOP__MIRRORS_MAX];
};

/** Is there room for another? */
bool vop__mirrors_have_room(const struct vop__mirrors *m);

/** Keeps what vop__map_mirrored() gave for a stretch of `size` bytes. There must be room. */
void vop__mirrors_keep(struct vop__mirrors *m, void *base, size_t size);

/** Leaves them to their fate: in a child of fork() they are not mapped. */
static inline void vop__mirrors_forget(struct vop__mirrors *m)
{
    m->count = 0;
}

/** Unmaps all of them. */
void vop__mirrors_unmap(struct vop__mirrors *m);

#endif
