/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.h - does the peer want to be notified? The only place that decides it.
 *
 * Room: core. Prose and proof: docs/ORDERING.md.
 */
#ifndef VOP_CORE_EVENT_H
#define VOP_CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* Flags of a split ring (virtio 1.2, 2.7.6 and 2.7.8): NO_INTERRUPT and NO_NOTIFY. */
#define VOP__RING_F_QUIET 1u

/* Modes of a packed event word (virtio 1.2, 2.8.14): the high half of the word; the low half is offset | wrap << 15. */
#define VOP__EVENT_ENABLE 0u
#define VOP__EVENT_DISABLE 1u
#define VOP__EVENT_DESC 2u

/** virtio 1.2, 2.7.10: does moving an index from `old` to `new_idx` pass the event? */
static inline bool vop__need_event(uint16_t event, uint16_t new_idx, uint16_t old)
{
    return (uint16_t)(new_idx - event - 1) < (uint16_t)(new_idx - old);
}

/**
 * The same for a packed ring of `size` descriptors. `next`, whose wrap counter is `wrap`, has moved on by `count`
 * (1 to size) descriptors; `word` is one snapshot of the peer's event structure.
 *
 * The mode in the word decides, not the negotiated feature. The event's offset is taken to lie before `next`: in this
 * lap, or in the lap before if its wrap counter differs. Then it is passed if it is one of the last `count`, which the
 * 16-bit formula decides for every size, even for a batch of exactly `size`. Descriptors inside a list count, also
 * those that a used list skips. The reserved mode and an offset that does not exist notify: spurious at worst.
 */
static inline bool vop__event_packed(uint32_t word, uint32_t size, uint32_t next, bool wrap, uint32_t count)
{
    uint32_t mode = word >> 16 & 3;
    uint32_t offset = word & 0x7fff;
    bool same_lap = (word >> 15 & 1) == (uint32_t)wrap;

    if (mode == VOP__EVENT_DISABLE)
        return false;
    if (mode != VOP__EVENT_DESC || offset >= size)
        return true;
    return vop__need_event((uint16_t)(same_lap ? offset : offset - size), (uint16_t)next, (uint16_t)(next - count));
}

#endif
