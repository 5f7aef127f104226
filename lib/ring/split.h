/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split.h - the split ring in memory, in each of its two shapes.
 *
 * Room: ring. No state: struct vop__split says where the words lie, and the functions load or store one descriptor.
 *
 *                  virtio 1.x (2.7), and 0.9           2009 (docs/PROTOCOL.md)
 *   descriptor     addr 64, len 32, flags, next        addr 32, len 32, flags, next
 *   driver area    flags 16, idx 16, ring[N],          flags 32, idx 32, ring[N]
 *                  used_event 16
 *   device area    flags 16, idx 16, ring[N],          flags 32, idx 32, ring[N]
 *                  avail_event 16
 *
 * All accesses to flags and indexes are 16 bits wide; of the 32-bit words of 2009 that is the low half, and the high
 * half stays zero. flags and next of a descriptor are one aligned word and are accessed as one.
 */
#ifndef VOP_RING_SPLIT_H
#define VOP_RING_SPLIT_H

#include "core/window.h"
#include "ring/vq.h"

#ifndef VOP__RING_BIG
#define VOP__RING_BIG 0 /* big.h */
#endif

/** Where the words of a split ring lie in this process. */
struct vop__split {
    uint8_t *desc;
    uint32_t desc_size; /* 16, or 12 */
    uint32_t mask;      /* N - 1 */
    uint16_t base;      /* used.idx at the start: all counters begin there */

    vop_le16 *avail_flags; /* driver area */
    vop_le16 *avail_idx;
    vop_le16 *avail_ring;
    vop_le16 *used_event; /* NULL in 2009 */

    vop_le16 *used_flags; /* device area */
    vop_le16 *used_idx;
    struct vop_used_elem *used_ring;
    vop_le16 *avail_event; /* NULL in 2009 */
};

static inline void vop__split_place(struct vop__split *s, const struct vop_virtqueue *vq,
                                    const struct vop_virtqueue_place *place)
{
    bool old = vq->options.layout == VOP_RING_2009;
    size_t header = old ? 4 : 2;
    uint8_t *driver = vop__window_at(&vq->driver, 0), *device = vop__window_at(&vq->device, 0);

    s->desc = vop__window_at(&vq->desc, 0);
    s->desc_size = old ? 12 : 16;
    s->mask = vq->size - 1;
    s->base = place->resume ? place->used_position : 0;
    s->avail_flags = (void *)driver;
    s->avail_idx = (void *)(driver + header);
    s->avail_ring = (void *)(driver + 2 * header);
    s->used_event = old ? NULL : (void *)(driver + 2 * header + 2 * (size_t)vq->size);
    s->used_flags = (void *)device;
    s->used_idx = (void *)(device + header);
    s->used_ring = (void *)(device + 2 * header);
    s->avail_event = old ? NULL : (void *)(device + 2 * header + 8 * (size_t)vq->size);
}

/** Buffers that a queue finds in flight where it resumes. */
static inline uint16_t vop__split_left(const struct vop_virtqueue_place *place)
{
    return place->resume ? (uint16_t)(place->position - place->used_position) : 0;
}

/** Clears the flags of an area and what follows, up to `end`, and stores the index: once, since the peer may run and
 * must never see another. */
static inline void vop__split_clear(vop_le16 *flags, const void *end, const vop_le16 *idx, uint16_t value)
{
    for (vop_le16 *p = flags; (const void *)p < end; p++)
        vop__store_le16(p, p == idx ? value : 0);
}

/** The address word or words first, then len, then flags and next. */
static inline vop_le32 *vop__split_words(const struct vop__split *s, uint32_t index)
{
    return (void *)(s->desc + (size_t)index * s->desc_size);
}

static inline void vop__split_store_desc(const struct vop__split *s, uint32_t index, uint64_t addr, uint32_t len,
                                         uint32_t flags, uint32_t next)
{
    vop_le32 *w = vop__split_words(s, index);

    vop__store_le32(w++, (uint32_t)(VOP__RING_BIG ? addr >> 32 : addr));
    if (s->desc_size == 16)
        vop__store_le32(w++, (uint32_t)(VOP__RING_BIG ? addr : addr >> 32));
    vop__store_le32(w++, len);
    vop__store_le32(w, VOP__RING_BIG ? flags << 16 | next : flags | next << 16);
}

#endif
