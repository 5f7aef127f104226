/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elsewhere.h - the block of a peer that sees memory of another size, and so writes it where this side does not look.
 *
 * Room: link. PROTOCOL.md, The ivshmem wire, Region.
 *
 * The block of side 1 lies at the beginning of the memory whatever its size, so side 0 always finds it, with a
 * half_size to be refused. That of side 0 lies in the middle of what side 0 sees. If that is the smaller memory, the
 * place is in the half that side 1 writes; if it is the larger one, side 1 cannot see it.
 */
#ifndef VOP_LINK_ELSEWHERE_H
#define VOP_LINK_ELSEWHERE_H

#include "native/session.h"

#define VOP__ELSEWHERE_PLACES 32u

/** What each place showed at the last look. Begins as zero. */
struct vop__elsewhere {
    struct vop__claim seen[VOP__ELSEWHERE_PLACES];
};

/**
 * Looks once, through the half that side 1 writes, for a block of side 0 that has lived since the last look. True:
 * there is one. Loads cross the wire, so it is for the time before a session.
 */
bool vop__elsewhere_find(struct vop__elsewhere *e, const struct vop__window *remote, uint64_t *ret_half_size,
                         uint64_t *ret_incarnation);

#endif
