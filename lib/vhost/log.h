/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - the log of pages that change while a machine migrates: a bit for each page of the machine's addresses.
 *
 * Room: vhost. Front end and back end both write it, by atomic operations.
 */
#ifndef VOP_VHOST_LOG_H
#define VOP_VHOST_LOG_H

#include "vhost/memory.h"

struct vop__vhost_dirty {
    void *map; /* NULL: none */
    size_t map_size;
    uint8_t *bits;
    uint64_t size; /* bytes of it */
};

/** Puts another log in the place of the present one: 0, -EPROTO, -ENOMEM. */
int vop__vhost_dirty_set(struct vop__vhost_dirty *d, const struct vop__vhost_log *log, int fd);

void vop__vhost_dirty_clear(struct vop__vhost_dirty *d);

/** Marks the pages of bytes that are mapped here. What lies in no region, or beyond the log, is passed over. */
void vop__vhost_dirty_mark(const struct vop__vhost_dirty *d, const struct vop__vhost_memory *m, const void *base,
                           size_t size);

/** See vop_vhost_user_survive(). */
bool vop__vhost_dirty_survive(struct vop__vhost_dirty *d, const void *address);

#endif
