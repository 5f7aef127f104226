/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_stats.h - samples of a measurement and what to say of them: medians, because a mean believes every outlier.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_STATS_H
#define BENCH_UTIL_STATS_H

#include <stdbool.h>
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

/** A slice is dropped if the floors before and after it differ by more than this share: the machine has changed. */
#define FLOOR_CHANGE_MAX 0.20

/** Slices of a measurement, each between two of its floor. All zero is none. */
struct slices {
    struct samples ns, floor_ns, ratio;
    size_t dropped;
};

/** Takes a slice in, or drops it; says which. */
bool slices_record(struct slices *s, double ns, double floor_before, double floor_after);

/** Frees them; there are none afterwards. */
void slices_free(struct slices *s);

#endif
