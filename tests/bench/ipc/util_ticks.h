/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_ticks.h - a clock that is cheap enough to be read for every message: the time stamp counter where there is one.
 *
 * Room: tests/bench/ipc.
 */
#ifndef BENCH_IPC_UTIL_TICKS_H
#define BENCH_IPC_UTIL_TICKS_H

#include "util_machine.h"

#include <stdint.h>

/** Now. The counter is not read before all loads ahead of it are done: what has been received has arrived. */
static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
#else
    return clock_ns();
#endif
}

/** Begins to compare the ticks with the clock: the longer ago that is, the better is ticks_length_ns(). Sleeps for some
 * milliseconds, so that it is good enough from the start. */
void ticks_begin(void);

/** Nanoseconds of a tick, as it was from ticks_begin() until now. */
double ticks_length_ns(void);

#endif
