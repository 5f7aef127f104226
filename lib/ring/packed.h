/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packed.h - the packed ring in memory (virtio 1.2, 2.8), and positions in it.
 *
 * Room: ring.
 *
 * The ring is the one area that both sides write: the driver makes a descriptor available, the device makes it used,
 * and two flags in it say whose turn it is. A position is an index and the wrap counter of the lap; it advances by
 * compare and subtract, since N need not be a power of two.
 */
#ifndef VOP_RING_PACKED_H
#define VOP_RING_PACKED_H

#include "core/window.h"
#include "ring/vq.h"

#define VOP__DESC_F_AVAIL (1u << 7)
#define VOP__DESC_F_USED (1u << 15)

/** Descriptor (virtio 1.2, 2.8.13). id and flags are one aligned word: one load is a snapshot of both. */
struct vop__packed_desc {
    vop_le64 addr;
    vop_le32 len;
    vop_le32 id_flags; /* id in the low half, flags in the high half */
};
VOP_STATIC_ASSERT(sizeof(struct vop__packed_desc) == 16, "virtio 1.2, 2.8.13");
VOP_STATIC_ASSERT(offsetof(struct vop__packed_desc, len) == 8, "virtio 1.2, 2.8.13");
VOP_STATIC_ASSERT(offsetof(struct vop__packed_desc, id_flags) == 12, "virtio 1.2, 2.8.13");

/** Driver or device event suppression (virtio 1.2, 2.8.14): offset, wrap << 15, mode << 16. */
struct vop__packed_event {
    vop_le32 word;
};
VOP_STATIC_ASSERT(sizeof(struct vop__packed_event) == 4, "virtio 1.2, 2.8.14");

struct vop__position {
    uint32_t index; /* 0 to N - 1 */
    bool wrap;      /* starts true, toggles when the last descriptor is passed */
};

/** Moves on by `count` <= N descriptors. */
static inline void vop__position_advance(struct vop__position *p, uint32_t size, uint32_t count)
{
    p->index += count;
    if (p->index >= size) {
        p->index -= size;
        p->wrap = !p->wrap;
    }
}

/** Moves back by `count` <= N descriptors. */
static inline void vop__position_retreat(struct vop__position *p, uint32_t size, uint32_t count)
{
    if (p->index < count) {
        p->index += size;
        p->wrap = !p->wrap;
    }
    p->index -= count;
}

/** Descriptors from one position to a later one: 0 to N, or more if there is no such way. */
static inline uint32_t vop__position_distance(const struct vop__position *from, const struct vop__position *to,
                                              uint32_t size)
{
    return to->index + (to->wrap != from->wrap ? size : 0) - from->index;
}

/** As in struct vop_virtqueue_place, and in the low half of an event word. */
static inline uint16_t vop__position_word(const struct vop__position *p)
{
    return (uint16_t)(p->index | (uint32_t)p->wrap << 15);
}

/** Where a queue begins that resumes at `word`. */
static inline struct vop__position vop__position_start(const struct vop_virtqueue_place *place, uint16_t word)
{
    if (!place->resume)
        return (struct vop__position){.wrap = true};
    return (struct vop__position){.index = word & 0x7fffu, .wrap = word >> 15};
}

/** Flags that make a descriptor available in the lap of `wrap` (virtio 1.2, 2.8.1) ... */
static inline uint32_t vop__packed_avail(bool wrap)
{
    return wrap ? VOP__DESC_F_AVAIL : VOP__DESC_F_USED;
}

/** ... or used. */
static inline uint32_t vop__packed_used(bool wrap)
{
    return wrap ? VOP__DESC_F_AVAIL | VOP__DESC_F_USED : 0;
}

static inline bool vop__packed_is(uint32_t id_flags, uint32_t turn)
{
    return (id_flags >> 16 & (VOP__DESC_F_AVAIL | VOP__DESC_F_USED)) == turn;
}

/** Id word of a descriptor. */
static inline uint32_t vop__packed_word(uint32_t id, uint32_t flags)
{
    return id | flags << 16;
}

/** The word that asks for a notification once the descriptor at `p` is passed, or for each. */
static inline uint32_t vop__packed_event_word(const struct vop__position *p, uint32_t mode)
{
    return vop__position_word(p) | mode << 16;
}

#endif
