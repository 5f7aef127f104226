/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_steer.h - what the steering program is to do, in plain C and written on its own, and frames to try it with.
 *
 * Room: tests. The reference is slow and simple: a whole frame in one piece of memory, the Toeplitz hash bit by bit.
 */
#ifndef TESTS_UNIT_BRIDGE_UTIL_STEER_H
#define TESTS_UNIT_BRIDGE_UTIL_STEER_H

#include "steer_policy.h"

#include <stddef.h>
#include <stdint.h>

/** The hash as its definition has it: a bit of the input that is set adds the key from there on. */
uint32_t reference_toeplitz(const uint8_t *key, const uint8_t *input, size_t length);

/** What of a frame decides besides its bytes. */
struct frame_facts {
    uint32_t mark;
    uint32_t priority;
    uint32_t user;
    uint32_t cpu;
};

/** The queue, and how it was decided. */
uint32_t reference_steer(const struct steer_policy *policy, const uint8_t *key, const struct frame_facts *facts,
                         const uint8_t *frame, size_t length, enum steer_stage *ret_stage);

/* ---- Frames. Each call appends a header, and returns the new length ---- */

size_t add_ethernet(uint8_t *frame, size_t length, uint16_t type);
size_t add_tag(uint8_t *frame, size_t length, uint16_t tpid, uint16_t tci); /* behind an Ethernet header only */
size_t add_ipv4(uint8_t *frame, size_t length, const char *source, const char *destination, uint8_t protocol);
size_t add_ipv6(uint8_t *frame, size_t length, const char *source, const char *destination, uint8_t next);
size_t add_ports(uint8_t *frame, size_t length, uint16_t source, uint16_t destination); /* and 16 bytes more */

/** A random one of all kinds, whole or cut off, right or wrong. Returns its length, which is 15 at least. */
size_t make_random_frame(uint64_t *seed, uint8_t frame[512]);

#endif
