/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_evil.h - frames with virtio-net headers, right ones and wrong ones of every kind, marked so that whoever finds
 * one again knows which it was.
 *
 * Room: tests. What is legal is decided here from virtio 1.4, 5.1.6, not by the library: these frames are to try it.
 */
#ifndef VOP_TESTS_SYSTEM_EVIL_H
#define VOP_TESTS_SYSTEM_EVIL_H

#include <stddef.h>
#include <stdint.h>
#include <vopipc/net.h>

#define EVIL_MARK_SIZE 8

/** What is to become of a frame. */
enum evil_verdict {
    EVIL_LEGAL,   /* the kernel gets it */
    EVIL_ILLEGAL, /* it is dropped and counted */
    EVIL_EITHER,  /* chance has made it; dropped or not, it is counted */
    EVIL_VERDICTS
};

/** Found once in each frame that is long enough, by verdict. */
extern const char evil_marks[EVIL_VERDICTS][EVIL_MARK_SIZE + 1];

#define EVIL_MESSAGE_MAX (70 * 1024)

/**
 * Makes a message: a header of `header_size` bytes (of struct vop_net_hdr or vop_net_tunnel_hdr) and a frame.
 *
 * random        state of the generator; not 0
 * ret_message   room for EVIL_MESSAGE_MAX bytes
 *
 * Returns its verdict.
 */
enum evil_verdict evil_make(uint64_t *random, size_t header_size, uint8_t *ret_message, size_t *ret_length);

/** The next random number. */
uint64_t evil_random(uint64_t *random);

#endif
