/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slot.h - a receive queue whose buffers are consecutive slots of one pool: the ring of the native link, both roles.
 *
 * Room: native. Knows memory, not wires; makes no system call.
 *
 * Theory of operation
 *
 * It is a split virtqueue with VIRTIO_F_IN_ORDER whose descriptor i is slot i for ever. Because buffers are used in
 * ring order, the descriptor table and the entries of the available ring say nothing that the indexes do not say, and
 * after the session came up nobody reads or writes them. What is left to move for a message of k slots is the payload,
 * one used element, and used.idx. It is a byte ring in the shape of virtio (PROTOCOL.md, Queues and Messages).
 *
 *       device (sender)                                    driver (receiver)
 *       struct vop__slot_device                             struct vop__slot_driver
 *
 *       next       where the next message goes             next       the next message to peek
 *       published  used.idx as the driver sees it          used_seen  used.idx as last loaded
 *       avail_seen avail.idx as last loaded                released   slots returned by the application
 *                                                          published  of these, what the device may know
 *
 *       published <= next <= avail_seen <= published + N   published <= released <= next <= used_seen <= published + N
 *
 * All counters are 16 bits wide and free-running; differences are taken modulo 65536. Each side decides from these
 * private counters only, never from what it wrote. What it loads from its half it loads once and checks against the
 * inequalities above; a violation breaks the queue (-EPROTO) for good.
 *
 * A queue never kicks: publishing returns whether to. One thread per queue.
 */
#ifndef VOP_NATIVE_SLOT_H
#define VOP_NATIVE_SLOT_H

#include "core/window.h"
#include "native/geometry.h"

#include <stdbool.h>
#include <vopipc/channel.h>

/** How a queue lies in memory. `pool` is where this side sees it: inside the window, or mapped twice elsewhere. */
struct vop__slot_place {
    const struct vop__window *local;  /* the half this side reads */
    const struct vop__window *remote; /* the half this side writes */
    struct vop__geometry geometry;    /* in force, checked against both windows */
    unsigned queue;                   /* which queue pair */
    uint8_t *pool;                    /* slot 0 */
    bool mirrored;                    /* slot 0 follows slot N-1 */
};

/** Device role: fills slots of the peer's receive queue. */
struct vop__slot_device {
    const struct vop_avail *avail;      /* local: written by the driver */
    const struct vop_event *used_event; /* local */
    struct vop_used *used;              /* remote: written here */
    struct vop_used_elem *ring;         /* remote */
    struct vop_event *avail_event;      /* remote */
    const struct vop__window *local;    /* the strength of what is loaded */
    const struct vop__window *remote;   /* and of what is stored */
    uint8_t *pool;
    uint32_t size; /* N */
    uint32_t slot_size;
    bool mirrored;
    bool broken;
    bool first; /* the next publication kicks without asking */
    uint16_t next;
    uint16_t published;
    uint16_t avail_seen;
    uint16_t room_end; /* what `next` may reach: avail_seen, or `ready` while that is less than N */
    uint32_t ready;    /* slots whose memory is there: N, but for the first lap of a queue that began with less */
    uint16_t *spans;   /* spans[f]: slots of the message whose first slot is f. For counting what is in doubt */
};

/** Driver role: owns the pool and takes messages out of it. */
struct vop__slot_driver {
    const struct vop_used *used;      /* local: written by the device */
    const struct vop_used_elem *ring; /* local */
    const struct vop_event *avail_event;
    struct vop_avail *avail; /* remote: written here */
    struct vop_event *used_event;
    const struct vop__window *local;
    const struct vop__window *remote;
    const uint8_t *pool;
    uint32_t size;
    uint32_t slot_size;
    bool mirrored;
    bool broken;
    bool first;
    uint16_t next;
    uint16_t used_seen;
    uint16_t released;
    uint16_t published;
};

/* ---- Device role ---- */

/**
 * Takes a place and resets every word that the device writes (used ring head and avail_event). `spans` is memory for
 * N entries that outlives the queue. Nothing is loaded.
 */
void vop__slot_device_init(struct vop__slot_device *d, const struct vop__slot_place *place, uint16_t *spans);

/** Once the session is up, checks what the driver wrote for it: -EPROTO if a descriptor does not describe its slot. */
int vop__slot_device_attach(struct vop__slot_device *d, const struct vop__slot_place *place);

/** Slots that `length` bytes take. */
uint32_t vop__slot_count(const struct vop__slot_device *d, size_t length);

/** Slots from `ready` on have no memory yet. For a queue that is attached and unused; then to raise that, up to N. */
void vop__slot_device_set_ready(struct vop__slot_device *d, uint32_t ready);

/**
 * Reserves room for 1 <= length <= N x S bytes: 0, -EAGAIN (no room), -ENOBUFS (there would be room, if more slots were
 * ready), -EPROTO (broken). No reservation may be open.
 */
int vop__slot_device_reserve(struct vop__slot_device *d, size_t length, struct vop_buffer *ret_buffer);

/** Turns the open reservation into a message of `length` bytes (no more than reserved), not yet published. */
void vop__slot_device_commit(struct vop__slot_device *d, size_t length);

/** Publishes all that was committed. True: kick the driver. */
bool vop__slot_device_publish(struct vop__slot_device *d);

/**
 * Arms avail_event for `slots` free slots, everything being published, and looks again: 1 there is room already, 0
 * armed, -EPROTO.
 */
int vop__slot_device_arm(struct vop__slot_device *d, uint32_t slots);

/** Messages published and not returned. Loads avail.idx once; a broken or lying driver leaves the last known value. */
uint32_t vop__slot_device_in_doubt(const struct vop__slot_device *d);

/** Slots published and not returned, as last seen: how many there are, from *ret_first on. */
uint32_t vop__slot_device_unreturned(const struct vop__slot_device *d, uint32_t *ret_first);

/* ---- Driver role ---- */

/** Takes a place and resets every word that the driver writes: descriptors, available ring, used_event. */
void vop__slot_driver_init(struct vop__slot_driver *d, const struct vop__slot_place *place);

/** The next message: 1, 0 (none), -EPROTO. Moves on to the one after it. */
int vop__slot_driver_peek(struct vop__slot_driver *d, struct vop_buffer *ret_buffer);

/** Puts the message just peeked back: the next peek returns it again. `next` is the counter before that peek. */
void vop__slot_driver_unpeek(struct vop__slot_driver *d, uint16_t next);

/** Returns all slots before counter `position` (a value of `next`): 0, or -EINVAL if it is not within what is held. */
int vop__slot_driver_release(struct vop__slot_driver *d, uint16_t position);

/** True when a quarter of the ring is held back: publish now. */
bool vop__slot_driver_should_publish(const struct vop__slot_driver *d);

/** Publishes what was released, if anything. True: kick the device. */
bool vop__slot_driver_publish(struct vop__slot_driver *d);

/** Arms used_event and looks again: 1 there is a message already, 0 armed, -EPROTO. */
int vop__slot_driver_arm(struct vop__slot_driver *d);

/* ---- Both ---- */

/** The 16-bit index in the high half of a ring's first word. */
static inline uint16_t vop__idx_of(uint32_t flags_idx)
{
    return (uint16_t)(flags_idx >> 16);
}

/** For spinning: has used.idx moved since it was last loaded? One load; it decides nothing, for peeking loads it anew.
 */
static inline bool vop__slot_driver_has_news(const struct vop__slot_driver *d)
{
    return vop__idx_of(vop__load_acquire_le32(&d->used->flags_idx, 'A')) != d->used_seen;
}

/** For spinning: has avail.idx moved since it was last loaded? */
static inline bool vop__slot_device_has_news(const struct vop__slot_device *d)
{
    return vop__idx_of(vop__load_acquire_le32(&d->avail->flags_idx, 'B')) != d->avail_seen;
}

/** A ring's first word for an index: flags are 0 (virtio 1.2, 2.7.6.1 and 2.7.8.1, with EVENT_IDX). */
static inline uint32_t vop__word_of(uint16_t idx)
{
    return (uint32_t)idx << 16;
}

/**
 * `length` bytes of a pool from slot `first` on. Straight into the application's struct: a copy made of it at once
 * would load wider words than were just stored, and so wait until all earlier stores, those to the peer among them,
 * have left the processor.
 */
static inline void vop__slot_fill(struct vop_buffer *ret_buffer, const uint8_t *pool, uint32_t size, uint32_t slot_size,
                                  bool mirrored, uint32_t first, size_t length)
{
    size_t offset = (size_t)first * slot_size;
    size_t until_end = (size_t)size * slot_size - offset;
    size_t head = mirrored || length <= until_end ? length : until_end;

    ret_buffer->segment[0].iov_base = (void *)(uintptr_t)(pool + offset);
    ret_buffer->segment[0].iov_len = head;
    ret_buffer->segment[1].iov_base = (void *)(uintptr_t)pool;
    ret_buffer->segment[1].iov_len = length - head;
    ret_buffer->length = length;
}

#endif
