/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_serve.h - a device that serves the driver under test, honest where the input says so, and knows what it
 * returned.
 *
 * Room: tests. Written from virtio 1.2, 2.7 and 2.8, not from lib/ring.
 */
#ifndef TESTS_FUZZ_UTIL_SERVE_H
#define TESTS_FUZZ_UTIL_SERVE_H

#include "fuzz/util_ring.h"

#define SERVED 128u /* lengths that are remembered */

struct server {
    struct {
        uint32_t id, descs;
    } held[64]; /* taken, oldest first */
    uint32_t count;
    uint16_t seen, used;                /* split */
    struct packed_at next, packed_used; /* packed */
    uint64_t len[SERVED];               /* what it said, in the order it returned buffers */
    uint64_t returned;
    bool honest; /* so far */
};

void serve_start(struct server *s, const struct ring *r);

/** Takes what there is, and returns some of it, or lies, as the input asks. */
void serve(struct server *s, const struct ring *r, struct input *in);

/** Takes and returns all there is. */
void serve_all(struct server *s, const struct ring *r);

/** The length that the driver must report for the nth returned buffer, of which `writable` bytes were writable. */
uint32_t served_len(const struct server *s, uint64_t nth, uint32_t writable);

#endif
