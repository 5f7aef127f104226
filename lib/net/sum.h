/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sum.h - the one's complement sum of the internet (RFC 1071), and numbers in network byte order.
 *
 * Room: net. All sums here are numbers, not bytes: the first byte summed is the high one, whatever the processor.
 */
#ifndef VOP_NET_SUM_H
#define VOP_NET_SUM_H

#include <stddef.h>
#include <stdint.h>

/**
 * Sum of `len` bytes at any alignment, folded to 16 bits and not complemented. An odd last byte counts as if a 0
 * followed.
 */
uint16_t vop__net_sum(const void *data, size_t len);

/** Folds a sum of sums to 16 bits. Only 0 folds to 0. */
static inline uint16_t vop__net_fold(uint32_t sum)
{
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)sum;
}

static inline uint16_t vop__net_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t vop__net_get32(const uint8_t *at)
{
    return (uint32_t)vop__net_get16(at) << 16 | vop__net_get16(at + 2);
}

static inline void vop__net_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void vop__net_put32(uint8_t *at, uint32_t value)
{
    vop__net_put16(at, (uint16_t)(value >> 16));
    vop__net_put16(at + 2, (uint16_t)value);
}

#endif
