/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geometry.h - where in a half each area of each queue lies (PROTOCOL.md, Geometry).
 *
 * Room: native. A pure function of the geometry, used by whoever makes memory, writes it or reads it.
 */
#ifndef VOP_NATIVE_GEOMETRY_H
#define VOP_NATIVE_GEOMETRY_H

#include <vopipc/abi.h>

#include <stdbool.h>

/** What a receive queue is made of. */
struct vop__slots {
    uint32_t queue_size; /* N, slots */
    uint32_t slot_size;  /* S, bytes */
};

/** Geometry of a link as one side of it sees it: what is offered, or what is in force. */
struct vop__geometry {
    uint32_t queue_pairs; /* P */
    struct vop__slots receive;
    struct vop__slots send; /* the peer's receive queues. All zero in an offer: as `receive`, whatever the peer says */
};

/** Offsets in a half, in bytes, of the areas of one queue pair. */
struct vop__areas {
    size_t desc;        /* descriptor table and available ring of the writer's receive queue */
    size_t avail;       /* ... */
    size_t used_event;  /* event word after the available ring */
    size_t used;        /* used ring of the reader's receive queue */
    size_t avail_event; /* event word after the used ring */
    size_t pool;        /* slots of the reader's receive queue */
};

/** 0 if every value is in its range, else -EINVAL with a text that names the value. */
int vop__geometry_check(const struct vop__geometry *g);

/** Does this offer, and the peer's, say what is sent? */
bool vop__geometry_is_uneven(const struct vop__geometry *mine, const struct vop__geometry *its);

/**
 * The geometry in force between two offers, as the first side sees it: the smaller of each value, of what one side
 * sends and the other receives.
 */
struct vop__geometry vop__geometry_combine(const struct vop__geometry *mine, const struct vop__geometry *its);

/** Bytes of one pool. */
size_t vop__geometry_pool_size(const struct vop__slots *slots);

/** Bytes of the half that this side reads, or (`remote`) writes, for a (checked) geometry in force. */
uint64_t vop__geometry_half_size(const struct vop__geometry *g, bool remote);

/** Bytes that both halves must have for whatever may be in force after a (checked) offer. */
uint64_t vop__geometry_offer_size(const struct vop__geometry *offer);

/** Offsets of queue pair `queue` (below queue_pairs) in either half, for a (checked) geometry in force. */
struct vop__areas vop__geometry_areas(const struct vop__geometry *g, bool remote, unsigned queue);

#endif
