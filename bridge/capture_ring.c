/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_ring.c - the frames of one worker on their way to the thread that writes them into a capture file.
 *
 * Room: bridge.
 */
#include "capture_ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define NOTHING_FOLLOWS 0u /* in place of a block's type: the next one is at the beginning of the ring */

struct capture_ring *capture_ring_open(const struct capture_choice *choice, uint32_t queue, size_t size,
                                       void (*call)(void *context), void *context)
{
    struct capture_ring *ring = calloc(1, sizeof(*ring));
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (!ring || bytes == MAP_FAILED) {
        if (bytes != MAP_FAILED)
            munmap(bytes, size);
        free(ring);
        return NULL;
    }
    ring->choice = choice;
    ring->queue = queue;
    ring->bytes = bytes;
    ring->size = size;
    ring->call = call;
    ring->context = context;
    return ring;
}

void capture_ring_close(struct capture_ring *ring)
{
    if (!ring)
        return;
    munmap(ring->bytes, ring->size);
    free(ring);
}

/* ---- The thread that adds ---- */

/* There is one writer, so nothing is lost between the load and the store. */
static void count_one(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELEASE); /* pairs with capture_ring_count() */
}

static size_t get_fill(struct capture_ring *ring)
{
    return (size_t)(ring->head - ring->released);
}

static bool has_room(struct capture_ring *ring, size_t length)
{
    if (get_fill(ring) + length <= ring->size)
        return true;
    ring->released = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    return get_fill(ring) + length <= ring->size;
}

/* Returns where a block of that length can lie, or NULL. What is skipped before it is not given to the other side
 * alone. */
static uint8_t *make_room(struct capture_ring *ring, size_t length)
{
    size_t at = (size_t)(ring->head & (ring->size - 1)), rest = ring->size - at;

    if (length <= rest)
        return has_room(ring, length) ? ring->bytes + at : NULL;
    if (!has_room(ring, rest + length))
        return NULL;
    memcpy(ring->bytes + at, &(uint32_t){NOTHING_FOLLOWS}, sizeof(uint32_t));
    ring->head += rest;
    return ring->bytes;
}

static void copy(uint8_t *to, const struct iovec *iov, int count, size_t length)
{
    for (int i = 0; i < count && length > 0; i++) {
        size_t part = iov[i].iov_len < length ? iov[i].iov_len : length;

        memcpy(to, iov[i].iov_base, part);
        to += part;
        length -= part;
    }
}

static uint64_t get_time_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void publish(struct capture_ring *ring, size_t length)
{
    ring->head += length;
    __atomic_store_n(&ring->published, ring->head, __ATOMIC_RELEASE); /* and so the block; see capture_ring_look() */
    if (get_fill(ring) <= ring->size / 2)
        return;
    ring->released = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    if (get_fill(ring) > ring->size / 2 && !__atomic_exchange_n(&ring->is_called, 1, __ATOMIC_ACQ_REL))
        ring->call(ring->context);
}

void capture_ring_add(struct capture_ring *ring, unsigned direction, const struct iovec *iov, int count, size_t length)
{
    const struct capture_choice *choice = ring->choice;
    size_t captured = length < choice->snaplen ? length : choice->snaplen;
    bool is_one = iov->iov_len >= length; /* piece. Else the filter needs a copy to run on */
    size_t copied = is_one || !choice->filter.count ? captured : length;
    uint8_t *block;

    if (!(choice->directions & direction))
        return;
    count_one(&ring->counts.received);
    if (is_one && !capture_filter_accepts(&choice->filter, iov->iov_base, length, length))
        return;
    block = make_room(ring, pcapng_packet_length(copied));
    if (block)
        copy(block + sizeof(struct pcapng_packet), iov, count, copied);
    if (block && !is_one &&
        !capture_filter_accepts(&choice->filter, block + sizeof(struct pcapng_packet), copied, length))
        return;
    count_one(&ring->counts.accepted);
    if (!block) {
        count_one(&ring->counts.dropped);
        ring->lost++;
        return;
    }
    pcapng_packet_fill(block, ring->queue, direction, get_time_ns(), captured, length, ring->lost);
    ring->lost = 0;
    publish(ring, pcapng_packet_length(captured));
}

/* ---- Any thread ---- */

void capture_ring_count(const struct capture_ring *ring, struct capture_counts *ret_counts)
{
    /* Backwards, so that none is beyond the one that it is a part of. */
    ret_counts->dropped = __atomic_load_n(&ring->counts.dropped, __ATOMIC_ACQUIRE);
    ret_counts->accepted = __atomic_load_n(&ring->counts.accepted, __ATOMIC_ACQUIRE);
    ret_counts->received = __atomic_load_n(&ring->counts.received, __ATOMIC_ACQUIRE);
}

/* ---- The thread that takes ---- */

void capture_ring_look(struct capture_ring *ring)
{
    __atomic_store_n(&ring->is_called, 0, __ATOMIC_RELEASE);
    ring->limit = __atomic_load_n(&ring->published, __ATOMIC_ACQUIRE); /* pairs with publish() */
}

static uint8_t *get_bytes(const struct capture_ring *ring)
{
    return ring->bytes + (ring->cursor & (ring->size - 1));
}

struct pcapng_packet *capture_ring_peek(struct capture_ring *ring)
{
    struct pcapng_packet *block = (struct pcapng_packet *)(void *)get_bytes(ring);

    if (ring->cursor == ring->limit)
        return NULL;
    if (block->type == NOTHING_FOLLOWS) {
        ring->cursor += ring->size - (ring->cursor & (ring->size - 1));
        block = (struct pcapng_packet *)(void *)get_bytes(ring);
    }
    return block;
}

void capture_ring_next(struct capture_ring *ring)
{
    ring->cursor += ((struct pcapng_packet *)(void *)get_bytes(ring))->length;
}

void capture_ring_release(struct capture_ring *ring)
{
    __atomic_store_n(&ring->tail, ring->cursor, __ATOMIC_RELEASE); /* pairs with has_room() and publish() */
}

size_t capture_ring_filled(const struct capture_ring *ring)
{
    return (size_t)(ring->limit - ring->cursor);
}
