/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_histogram.c - how often a time was how long: buckets of 1/64 of an octave, so a percentile is right to 1 %.
 *
 * Room: tests/bench/ipc.
 */
#include "util_histogram.h"

#include <math.h>

double histogram_middle(unsigned bucket)
{
    unsigned octave = bucket >> HISTOGRAM_BITS;
    uint64_t within = bucket & ((1u << HISTOGRAM_BITS) - 1);

    if (octave == 0)
        return (double)within;
    /* histogram_bucket() adds a shift of which the value's highest one is a part */
    uint64_t width = (uint64_t)1 << (octave - 1);
    uint64_t lowest = (within + (1u << HISTOGRAM_BITS)) * width;
    return (double)lowest + (double)(width - 1) / 2;
}

double histogram_percentile(const struct histogram *h, double p)
{
    uint64_t wanted = (uint64_t)ceil(p * (double)h->count), seen = 0;

    if (h->count == 0)
        return NAN;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > 0 && seen >= wanted)
            return fmin(histogram_middle(i), (double)h->most);
    }
    return (double)h->most;
}
