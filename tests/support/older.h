/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * older.h - a side that plays a library from before LAST_LEN and LIVE_CONFIG.
 *
 * Room: tests. Header only, so that the tests of every room can use it.
 */
#ifndef TESTS_SUPPORT_OLDER_H
#define TESTS_SUPPORT_OLDER_H

#include "channel/channel.h"

/** A channel that has announced itself, but made no step yet: takes both back. */
static inline void older_make(vop_channel *c)
{
    struct vop__session *s = &c->link->session;
    struct vop_announce *block = vop__window_at(&s->remote, 0);

    s->mine.features[0] &= ~(1u << VOP_F_LAST_LEN | 1u << VOP_F_LIVE_CONFIG);
    block->features[0] = vop_to_le32(s->mine.features[0]);
}

/** Is LAST_LEN in force? */
static inline bool older_has_last_len(const vop_channel *c)
{
    return c->tx.queue.last_len && c->rx.queue.last_len_mask == UINT16_MAX;
}

#endif
