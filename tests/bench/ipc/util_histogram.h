/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_histogram.h - how often a time was how long: buckets of 1/64 of an octave, so a percentile is right to 1 %.
 *
 * Room: tests/bench/ipc.
 */
#ifndef BENCH_IPC_UTIL_HISTOGRAM_H
#define BENCH_IPC_UTIL_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 6 /* of a value after its highest one: they choose the bucket in its octave */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

/** All zero is an empty one. */
struct histogram {
    uint64_t count, most;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

/** Bucket of a value. Those below 128 have one each; from there on one has the 64 of each octave. */
static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < 1u << HISTOGRAM_BITS)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

/** Counts one value. */
static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->bucket[histogram_bucket(value)]++;
    h->count++;
    if (value > h->most)
        h->most = value;
}

/** Middle of a bucket. */
double histogram_middle(unsigned bucket);

/** Middle of the bucket below or in which the share `p` (0 to 1) of all values lies; NaN if there is none. */
double histogram_percentile(const struct histogram *h, double p);

#endif
