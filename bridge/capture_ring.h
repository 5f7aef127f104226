/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture_ring.h - the frames of one worker on their way to the thread that writes them into a capture file.
 *
 * Room: bridge. One thread adds, another one takes; neither waits for the other. A frame for which there is no room is
 * counted and left out.
 *
 * Theory of operation. A frame lies in the ring as the block of the file that it will be (pcapng.h), so it is copied
 * once, and blocks that lie side by side are written by one system call. A block lies in one piece: where the rest of
 * the ring is too short for it, a word says that nothing follows there. Positions only grow; each side publishes its
 * own.
 *
 * Whoever takes looks at the ring every so often. It is called in between only if the ring is half full: once, until it
 * has looked again. So a worker makes no system call for a frame.
 *
 * The filter is run by the worker, before the copy: what is not wanted takes no room from what is.
 */
#ifndef VOP_BRIDGE_CAPTURE_RING_H
#define VOP_BRIDGE_CAPTURE_RING_H

#include "capture_filter.h"
#include "pcapng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define CAPTURE_RING_BYTES (8u << 20)

/** Directions, as tcpdump -Q has them: what the interface receives, and what it sends. A set of them is an unsigned. */
#define CAPTURE_IN PCAPNG_INBOUND
#define CAPTURE_OUT PCAPNG_OUTBOUND

/** What all rings of a capture have in common. It does not change. */
struct capture_choice {
    unsigned directions;
    uint32_t snaplen; /* bytes of a frame that are kept */
    struct capture_filter filter;
};

/** What became of the frames. Written by the worker, and read by anybody. */
struct capture_counts {
    uint64_t received; /* of the directions that are wanted */
    uint64_t accepted; /* by the filter */
    uint64_t dropped;  /* of those: there was no room */
};

struct capture_ring {
    const struct capture_choice *choice;
    uint32_t queue;
    uint8_t *bytes;
    size_t size; /* a power of two */
    void (*call)(void *context);
    void *context;

    /* Of the thread that adds. */
    uint64_t head;     /* it has filled what is before */
    uint64_t released; /* as it has seen `tail` the last time */
    uint64_t lost;     /* since the last frame that is in the ring */
    struct capture_counts counts;
    uint64_t published; /* atomic: `head` for the other side */

    uint8_t apart[64]; /* so that neither thread writes into a cache line of the other */

    /* Of the thread that takes. */
    uint64_t cursor, limit; /* it has looked at what is before the one, and may look up to the other */
    uint64_t tail;          /* atomic: what is before has been taken */
    int is_called;          /* atomic, of both: `call` was called since the last look */
};

/**
 * Allocates a ring.
 *
 * queue     number of the worker's queue
 * size      bytes, a power of two; CAPTURE_RING_BYTES holds the longest frame some hundred times
 * call      what makes the other thread look at the ring. Called by the thread that adds; it may not block
 *
 * Returns NULL if there is no memory.
 */
struct capture_ring *capture_ring_open(const struct capture_choice *choice, uint32_t queue, size_t size,
                                       void (*call)(void *context), void *context);

/** Neither side uses it any more. Does nothing with NULL. */
void capture_ring_close(struct capture_ring *ring);

/**
 * Adds a frame, if it is wanted. By the thread that adds.
 *
 * direction   CAPTURE_IN or CAPTURE_OUT
 * iov, count  where it lies; what is there may change meanwhile
 * length      bytes in all of them
 */
void capture_ring_add(struct capture_ring *ring, unsigned direction, const struct iovec *iov, int count, size_t length);

/** What it has counted so far. By any thread. */
void capture_ring_count(const struct capture_ring *ring, struct capture_counts *ret_counts);

/** Looks how far the ring is filled; capture_ring_peek() then goes so far. By the thread that takes, as all below. */
void capture_ring_look(struct capture_ring *ring);

/** Returns the next block, or NULL: there is none before the next look. */
struct pcapng_packet *capture_ring_peek(struct capture_ring *ring);

/** Goes on behind the block that was peeked at. It stays where it is until it is released. */
void capture_ring_next(struct capture_ring *ring);

/** Gives the room of all blocks that lie before the next one back. */
void capture_ring_release(struct capture_ring *ring);

/** Bytes that lie in the ring, as far as was looked. */
size_t capture_ring_filled(const struct capture_ring *ring);

#endif
