/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_stats.h - samples of a measurement and their summary: medians, because a mean follows every outlier.
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

/** The sample below which the share `p` (0 to 1) of all samples lies; NaN if there is none. Sorts the list. */
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

/** All slices, or those in which the processors were siblings (F, fast) or far apart (S, slow): a virtual machine moves
 * its processors as it likes, and a figure for both together says nothing about either. */
enum placement {
    PLACEMENT_ALL,
    PLACEMENT_F,
    PLACEMENT_S,
    PLACEMENTS
};

/** Their names in a table. */
extern const char *const placement_names[PLACEMENTS];

/** Takes a slice in, among all and in its class, or drops it. It is of class F if its floor is below `fast_below`. */
void slices_record(struct slices s[PLACEMENTS], double ns, double floor_before, double floor_after, double fast_below);

/** Frees them; there are none afterwards. */
void slices_free(struct slices s[PLACEMENTS]);

#endif
