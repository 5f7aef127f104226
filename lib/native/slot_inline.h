/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slot_inline.h - what every message goes through in a slot queue, to be compiled into its caller.
 *
 * Room: native. Theory of operation: slot.h. Letters of memory orders: core/barrier.h.
 *
 * A round trip of a small message takes some hundred nanoseconds, so that calls and copies of structs would be seen in
 * it. What happens seldom is in slot_device.c and slot_driver.c.
 */
#ifndef VOP_NATIVE_SLOT_INLINE_H
#define VOP_NATIVE_SLOT_INLINE_H

#include "core/event.h"
#include "native/slot.h"

#include <errno.h>

/* ---- Both roles ---- */

/** The 16-bit index in the high half of a ring's first word. */
static inline uint16_t vop__idx_of(uint32_t flags_idx)
{
    return (uint16_t)(flags_idx >> 16);
}

/** A ring's first word for an index. The low half is 0, as flags are with EVENT_IDX (virtio 1.2, 2.7.6.1, 2.7.8.1), or
 * a length (LAST_LEN). */
static inline uint32_t vop__word_of(uint16_t idx, uint16_t last_len)
{
    return (uint32_t)idx << 16 | last_len;
}

/* An index has moved from `old` to `idx`, and the peer's event word is `event`. */
static inline enum vop__kick vop__kick_of(uint32_t event, uint16_t idx, uint16_t old)
{
    if (__builtin_expect(!vop__need_event((uint16_t)event, idx, old), 1))
        return VOP__KICK_NONE;
    return event & VOP_EVENT_FUTEX ? VOP__KICK_FUTEX : VOP__KICK_BELL;
}

/** What of `length` bytes from `offset` on lies in one piece; the rest begins at slot 0. */
static inline size_t vop__slot_piece(size_t pool_size, bool mirrored, size_t offset, size_t length)
{
    return mirrored || length <= pool_size - offset ? length : pool_size - offset;
}

/**
 * `length` bytes of a pool from `offset` on. Straight into the application's struct: a copy made of it at once would
 * load wider words than were just stored, and so wait until all earlier stores, those to the peer among them, have left
 * the processor.
 */
static inline void vop__slot_fill(struct vop_buffer *ret_buffer, const uint8_t *pool, size_t pool_size, bool mirrored,
                                  size_t offset, size_t length)
{
    size_t head = vop__slot_piece(pool_size, mirrored, offset, length);

    ret_buffer->segment[0].iov_base = (void *)(uintptr_t)(pool + offset);
    ret_buffer->segment[0].iov_len = head;
    ret_buffer->segment[1].iov_base = (void *)(uintptr_t)pool;
    ret_buffer->segment[1].iov_len = length - head;
    ret_buffer->length = length;
}

/* ---- Device role ---- */

/** Slots that `length` bytes take. */
static inline uint32_t vop__slot_count(const struct vop__slot_device *d, size_t length)
{
    if (__builtin_expect(length <= d->slot_size, 1))
        return 1;
    return (uint32_t)((length + d->slot_size - 1) / d->slot_size);
}

static inline uint32_t vop__slot_device_room(const struct vop__slot_device *d)
{
    return (uint16_t)(d->room_end - d->next);
}

/**
 * Reserves room for 1 <= length <= N x S bytes: 0, -EAGAIN (no room), -ENOBUFS (there would be room, if more slots were
 * ready), -EPROTO (broken). No reservation may be open.
 */
static inline __attribute__((always_inline)) int vop__slot_device_reserve(struct vop__slot_device *d, size_t length,
                                                                          struct vop_buffer *ret_buffer)
{
    uint32_t slots = vop__slot_count(d, length);

    if (__builtin_expect(vop__slot_device_room(d) < slots, 0)) {
        int ret = vop__slot_device_look(d, slots);

        if (ret < 0)
            return ret;
    }
    vop__slot_fill(ret_buffer, d->pool, d->pool_size, d->mirrored, (size_t)(d->next & d->mask) * d->slot_size, length);
    return 0;
}

/** Copies a message into the slots from the next one on, for which there is room. */
static inline void vop__slot_device_copy(const struct vop__slot_device *d, const void *data, size_t length)
{
    size_t offset = (size_t)(d->next & d->mask) * d->slot_size;
    size_t head = vop__slot_piece(d->pool_size, d->mirrored, offset, length);

    vop__window_copy(&d->remote, d->pool + offset, data, head);
    if (__builtin_expect(head < length, 0))
        vop__window_copy(&d->remote, d->pool, (const uint8_t *)data + head, length - head);
}

/** Where the next slot lies. */
static inline uint8_t *vop__slot_device_slot(const struct vop__slot_device *d)
{
    return d->pool + (size_t)(d->next & d->mask) * d->slot_size;
}

/* virtio 1.2, 2.7.9: one element for a batch of buffers used in order: it names the last, and lies in the place of the
 * first; all before the last are completely filled. */
static inline void vop__slot_device_store(const struct vop__slot_device *d, uint32_t first, uint32_t slots,
                                          size_t length)
{
    vop__store_le32(&d->ring[first].id, (first + slots - 1) & d->mask);
    vop__store_le32(&d->ring[first].len, (uint32_t)(length - (size_t)(slots - 1) * d->slot_size));
}

static inline void vop__slot_device_advance(struct vop__slot_device *d, uint32_t first, uint32_t slots)
{
    if (__builtin_expect(d->spans[first] != slots, 0)) /* a look costs less than a store, in a batch */
        d->spans[first] = (uint16_t)slots;
    d->next = (uint16_t)(d->next + slots);
}

/** The index has moved from `old`: is the driver to be kicked, and how? */
static inline enum vop__kick vop__slot_device_must_kick(struct vop__slot_device *d, uint16_t old)
{
    if (__builtin_expect(d->first, 0)) {
        d->first = false;
        return VOP__KICK_BOTH;
    }
    vop__window_fence(&d->remote, 'C');
    return vop__kick_of(vop__load_le32(&d->used_event->event), d->next, old);
}

/** Turns the next `slots` slots into a message of `length` bytes, for which they are the right number, not yet
 * published. */
static inline void vop__slot_device_commit(struct vop__slot_device *d, uint32_t slots, size_t length)
{
    uint32_t first = d->next & d->mask;

    vop__slot_device_store(d, first, slots, length);
    vop__slot_device_advance(d, first, slots);
}

/** Publishes all that was committed. Says how to kick the driver. */
static inline enum vop__kick vop__slot_device_publish(struct vop__slot_device *d)
{
    uint16_t old = d->published;

    if (d->next == old)
        return VOP__KICK_NONE;
    vop__window_publish32(&d->remote, &d->used->flags_idx, vop__word_of(d->next, 0), 'A');
    d->published = d->next;
    return vop__slot_device_must_kick(d, old);
}

/**
 * Both: turns the next `slots` slots into a message, and publishes it with all before it. The driver may have to be
 * kicked: vop__slot_device_must_kick() with the index that is returned says how.
 *
 * Where the message is short the index is stored directly behind the payload, and whatever else there is after it. A
 * processor fetches the line of its next store or two while it waits for that of the oldest one. So a store in between,
 * be it into memory of its own, has payload and index fetched one after the other: half a round trip more.
 */
static inline uint16_t vop__slot_device_send(struct vop__slot_device *d, uint32_t slots, size_t length)
{
    uint32_t first = d->next & d->mask;
    bool is_short = d->last_len && slots == 1 && length <= UINT16_MAX;
    uint16_t old = d->published;

    if (!is_short)
        vop__slot_device_store(d, first, slots, length);
    vop__window_publish32(&d->remote, &d->used->flags_idx,
                          vop__word_of((uint16_t)(d->next + slots), is_short ? (uint16_t)length : 0), 'A');
    vop__keep_order();
    if (is_short) /* for a driver that sees a later index first: whoever waits for this message need not read it */
        vop__slot_device_store(d, first, slots, length);
    vop__slot_device_advance(d, first, slots);
    d->published = d->next;
    return old;
}

/** For spinning: has avail.idx moved since it was last loaded? */
static inline bool vop__slot_device_has_news(const struct vop__slot_device *d)
{
    return vop__idx_of(vop__load_acquire_le32(&d->avail->flags_idx, 'B')) != d->avail_seen;
}

/* ---- Driver role ---- */

/** Takes in the word of used.idx: messages that came, 0 for none, or -EPROTO. */
static inline int vop__slot_driver_see(struct vop__slot_driver *d, uint32_t word)
{
    uint16_t filled = (uint16_t)(vop__idx_of(word) - d->used_seen);
    uint32_t first = d->next & d->mask;

    if (__builtin_expect(filled > d->mask + 1 - (uint16_t)(d->used_seen - d->published), 0)) {
        vop__slot_driver_breach(d, filled);
        return -EPROTO;
    }
    if (filled == 0)
        return 0;
    d->used_seen = vop__idx_of(word);
    d->last_len = (uint16_t)(word & d->last_len_mask);
    /* Element and payload lie in two lines that the peer has just written. Both are fetched now, side by side, and not
     * one after the other by the code that reads them. */
    if (filled > 1 || d->last_len == 0)
        __builtin_prefetch(&d->ring[first]);
    __builtin_prefetch(d->pool + (size_t)first * d->slot_size);
    return filled;
}

/** The same, of the word that is there now. */
static inline int vop__slot_driver_look(struct vop__slot_driver *d)
{
    return vop__slot_driver_see(d, vop__window_observe32(&d->local, &d->used->flags_idx, 'A'));
}

/** Is there a message that was not yet taken? 1, 0, -EPROTO. */
static inline __attribute__((always_inline)) int vop__slot_driver_any(struct vop__slot_driver *d)
{
    int ret;

    if (d->next != d->used_seen)
        return 1;
    ret = __builtin_expect(d->broken, 0) ? -EPROTO : vop__slot_driver_look(d);
    return ret > 0 ? 1 : ret;
}

/** The next message: its slots and its bytes. 1, 0 (none), -EPROTO. Nothing is taken. */
static inline __attribute__((always_inline)) int vop__slot_driver_next(struct vop__slot_driver *d, uint32_t *ret_slots,
                                                                       size_t *ret_length)
{
    uint32_t first = d->next & d->mask;
    uint32_t id = first, len = 0, slots;
    int ret = vop__slot_driver_any(d);
    uint16_t filled;

    if (ret <= 0)
        return ret;
    filled = (uint16_t)(d->used_seen - d->next);
    if (filled == 1)
        len = d->last_len;
    if (len == 0) {
        id = vop__load_le32(&d->ring[first].id);
        len = vop__load_le32(&d->ring[first].len);
    }
    slots = ((id - first) & d->mask) + 1;
    if (__builtin_expect(id > d->mask || slots > filled || len - 1 >= d->slot_size, 0)) {
        vop__slot_driver_refuse(d, id, len);
        return -EPROTO;
    }
    *ret_slots = slots;
    *ret_length = (size_t)(slots - 1) * d->slot_size + len;
    return 1;
}

/** Where the next message lies, if it has `length` bytes. */
static inline void vop__slot_driver_fill(const struct vop__slot_driver *d, size_t length, struct vop_buffer *ret_buffer)
{
    vop__slot_fill(ret_buffer, d->pool, d->pool_size, d->mirrored, (size_t)(d->next & d->mask) * d->slot_size, length);
}

/** Where its first slot lies. */
static inline const uint8_t *vop__slot_driver_slot(const struct vop__slot_driver *d)
{
    return d->pool + (size_t)(d->next & d->mask) * d->slot_size;
}

/** Takes the next message: 1, 0 (none), -EPROTO. */
static inline __attribute__((always_inline)) int vop__slot_driver_peek(struct vop__slot_driver *d,
                                                                       struct vop_buffer *ret_buffer)
{
    uint32_t slots;
    size_t length;
    int ret = vop__slot_driver_next(d, &slots, &length);

    if (ret <= 0)
        return ret;
    vop__slot_driver_fill(d, length, ret_buffer);
    d->next = (uint16_t)(d->next + slots);
    return 1;
}

/** Takes the next message, of `slots` slots, and releases it and all that was held. Nothing is published, so it may
 * still be read. */
static inline void vop__slot_driver_pass(struct vop__slot_driver *d, uint32_t slots)
{
    d->next = (uint16_t)(d->next + slots);
    d->released = d->next;
}

/** Returns all slots before counter `position` (a value of `next`): 0, or -EINVAL if it is not within what is held. */
static inline int vop__slot_driver_release(struct vop__slot_driver *d, uint16_t position)
{
    uint16_t returned = (uint16_t)(position - d->released);

    if (__builtin_expect(returned == 0 || returned > (uint16_t)(d->next - d->released), 0))
        return -EINVAL;
    d->released = position;
    return 0;
}

/** True when a quarter of the ring is held back: publish now. */
static inline bool vop__slot_driver_should_publish(const struct vop__slot_driver *d)
{
    return (uint16_t)(d->released - d->published) * 4u > d->mask;
}

/** For spinning: has used.idx moved since it was last loaded? One load; it decides nothing, for peeking loads it anew.
 */
static inline bool vop__slot_driver_has_news(const struct vop__slot_driver *d)
{
    return vop__idx_of(vop__load_acquire_le32(&d->used->flags_idx, 'A')) != d->used_seen;
}

#endif
