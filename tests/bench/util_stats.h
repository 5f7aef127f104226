/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_stats.h - samples of a measurement and what to say of them: medians, because a mean believes every outlier.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_STATS_H
#define BENCH_UTIL_STATS_H

#include <stddef.h>

/** A growing list of samples. All zero is an empty list. */
struct samples {
    double *value;
    size_t count, size;
};

/** Adds one sample. */
void samples_add(struct samples *s, double value);

/** The sample below which the share `p` (0 to 1) of them lies; NaN if there is none. Sorts the list. */
double samples_percentile(struct samples *s, double p);

/** Frees the list; it is empty afterwards. */
void samples_free(struct samples *s);

#endif
