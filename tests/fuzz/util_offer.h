/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_offer.h - a driver that offers chains to the device under test, and knows what the device must make of them.
 *
 * Room: tests. Written from virtio 1.2, 2.7 and 2.8, not from lib/ring. As long as it is clean (nobody poked a word,
 * the driver did not offer more than there is room for), the ring holds what it offered: so it knows whether each chain
 * is legal, and where its bytes are.
 */
#ifndef TESTS_FUZZ_UTIL_OFFER_H
#define TESTS_FUZZ_UTIL_OFFER_H

#include "fuzz/util_ring.h"

#define OFFERS 64u   /* chains that are remembered; more are not offered at once */
#define OFFER_MAX 8u /* segments of one */

struct segment {
    uint64_t addr;
    uint32_t len;
    bool write;
};

struct offer {
    struct segment segment[OFFER_MAX];
    uint32_t segments;
    uint32_t id;
    uint32_t descs; /* in the ring */
    uint16_t desc[OFFER_MAX + 1];
    bool legal;
    bool out; /* has not come back */
    bool completed;
    uint32_t len; /* as completed */
};

struct offers {
    struct offer offer[OFFERS]; /* by sequence number */
    uint64_t offered, visible;  /* made, and of these published */
    uint64_t done[OFFERS];      /* sequence numbers in the order of completion */
    uint64_t completed;
    uint64_t reaped; /* buffers that came back */
    bool clean;
    uint16_t idx, used; /* split: indexes */
    bool busy[512];     /* split: descriptors; no others are used */
    uint32_t cursor;    /* where to look for free ones */
    struct packed_at next, packed_used;
    uint32_t free; /* packed: descriptors */
};

void offers_start(struct offers *o, const struct ring *r);

/** Offers what the input asks for. */
void offers_make(struct offers *o, const struct ring *r, struct input *in);

/** Offers one readable and one writable segment, or one if there is no more room. */
void offers_plain(struct offers *o, const struct ring *r);

/** What take() must have returned when `taken` buffers were taken before it. */
void offers_check_taken(const struct offers *o, const struct ring *r, uint64_t taken, int ret, const struct iovec *iov,
                        unsigned room, const struct vop_taken_buf *buf);

/** How many segments of length 0 the buffer `seq` has. */
uint32_t offers_empty(const struct offers *o, uint64_t seq);

/** The device completed the buffer `seq`. */
void offers_completed(struct offers *o, uint64_t seq, uint32_t len);

/** Reads the used ring: what came back must be as it was completed and, with IN_ORDER, in its turn. `all`: nothing may
 * be missing. */
void offers_reap(struct offers *o, const struct ring *r, bool all);

#endif
