/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_usage.h - what a process has: descriptors, mappings, memory. The difference of two looks is what came between.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_USAGE_H
#define BENCH_UTIL_USAGE_H

struct usage {
    unsigned long descriptors, mappings;
    unsigned long private_kib;            /* of this process alone */
    unsigned long shared_kib, kernel_kib; /* of the whole machine: shared memory, and the kernel's own objects */
};

/** What this process has now. */
struct usage usage_now(void);

/** Raises the limit of open files to `descriptors`, if it is lower and may be. Returns the limit. */
unsigned long usage_allow(unsigned long descriptors);

#endif
