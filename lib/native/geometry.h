/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geometry.h - where in a half each area of each queue lies (PROTOCOL.md, Geometry).
 *
 * Room: native. A pure function of the geometry, used by whoever makes memory, writes it or reads it.
 */
#ifndef VOP_NATIVE_GEOMETRY_H
#define VOP_NATIVE_GEOMETRY_H

#include <vopipc/abi.h>

/** Geometry of a link: what is offered, or what is in force. */
struct vop__geometry {
    uint32_t queue_pairs; /* P */
    uint32_t queue_size;  /* N, slots */
    uint32_t slot_size;   /* S, bytes */
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

/** The geometry in force between two offers: the smaller of each value. */
struct vop__geometry vop__geometry_combine(const struct vop__geometry *a, const struct vop__geometry *b);

/** Bytes of one pool. */
size_t vop__geometry_pool_size(const struct vop__geometry *g);

/** Bytes that a half must have for a (checked) geometry. */
uint64_t vop__geometry_half_size(const struct vop__geometry *g);

/** Offsets of queue pair `queue` (below queue_pairs) in a half, for a (checked) geometry. */
struct vop__areas vop__geometry_areas(const struct vop__geometry *g, unsigned queue);

#endif
