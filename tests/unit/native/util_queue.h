/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_queue.h - one slot queue with both its ends, in two plain halves, and every shared word of it by name.
 *
 * Room: tests. The device is side 0, the driver side 1. Offsets are computed here from PROTOCOL.md, not by lib/native.
 */
#ifndef TESTS_UNIT_NATIVE_UTIL_QUEUE_H
#define TESTS_UNIT_NATIVE_UTIL_QUEUE_H

#include "support/test.h"

#include "native/slot_inline.h"

struct queue {
    uint32_t n, s;
    size_t half_size;
    bool mirrored;
    int memory[2];             /* memfds of the halves; -1: on the heap */
    struct vop__window own[2]; /* own[i]: half i as its reader, side i, sees it */
    struct vop__window far[2]; /* far[i]: half i as its writer sees it */
    void *pool_tx, *pool_rx;   /* mirrored mappings */
    struct vop__slot_place place_device, place_driver;
    uint16_t *spans;
    struct vop__slot_device device;
    struct vop__slot_driver driver;
};

/** Offsets in a half, from the tables in PROTOCOL.md. */
struct offsets {
    size_t desc, avail, ring, used_event, used, elements, avail_event, pool, size;
};
struct offsets queue_offsets(uint32_t pairs, uint32_t n, uint32_t s, uint32_t queue);

/** The same in a half whose writer receives in `writer_n` slots, and whose reader in `n` of `s` bytes. */
struct offsets queue_offsets_uneven(uint32_t pairs, uint32_t writer_n, uint32_t n, uint32_t s, uint32_t queue);

/** Both ends, initialised and attached. `mirrored`: memfds, different addresses for both sides, pools mapped twice. */
void queue_open(struct queue *q, uint32_t n, uint32_t s, bool mirrored);
void queue_close(struct queue *q);

/** Initialises both ends again, in a session in which LAST_LEN is in force, or not. It is not after queue_open(). */
void queue_set_last_len(struct queue *q, bool last_len);

/** Initialises both ends again, as a new session does. */
void queue_reset(struct queue *q);

/* Words as they lie in memory. */
vop_le32 *queue_used(struct queue *q);        /* flags and used.idx */
vop_le32 *queue_avail(struct queue *q);       /* flags and avail.idx */
vop_le32 *queue_used_event(struct queue *q);  /* word after the available ring */
vop_le32 *queue_avail_event(struct queue *q); /* word after the used ring */
struct vop_used_elem *queue_element(struct queue *q, uint32_t i);
struct vop_desc *queue_desc(struct queue *q, uint32_t i);
vop_le16 *queue_avail_ring(struct queue *q, uint32_t i);

static inline uint16_t queue_idx(const vop_le32 *word)
{
    return (uint16_t)(vop_from_le32(*word) >> 16);
}

static inline void queue_set_idx(vop_le32 *word, uint16_t idx)
{
    *word = vop_to_le32((uint32_t)idx << 16);
}

/** Writes, or checks, bytes that follow from a seed. */
void queue_fill(const struct vop_buffer *span, uint64_t seed);
bool queue_holds(const struct vop_buffer *span, size_t length, uint64_t seed);

/** Commits the open reservation, or sends it and says how to kick. */
void queue_commit(struct vop__slot_device *d, size_t length);
enum vop__kick queue_publish(struct vop__slot_device *d, size_t length);

/** Reserves, fills, commits: -EAGAIN or 0. */
int queue_put(struct queue *q, size_t length, uint64_t seed);

/** The same, and publishes at once: -EAGAIN, or whether to kick. */
int queue_send(struct queue *q, size_t length, uint64_t seed);

#endif
