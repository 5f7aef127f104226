/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_ticks.c - a clock that is cheap enough to be read for every message: the time stamp counter where there is one.
 *
 * Room: tests/bench/ipc.
 */
#include "util_ticks.h"

#include <time.h>

#define FIRST_MS 20

static uint64_t begin_ns, begin_ticks;

void ticks_begin(void)
{
    begin_ns = clock_ns();
    begin_ticks = ticks_now();
    nanosleep(&(struct timespec){.tv_nsec = FIRST_MS * 1000000}, NULL);
}

double ticks_length_ns(void)
{
    uint64_t ticks = ticks_now() - begin_ticks;

    return (double)(clock_ns() - begin_ns) / (double)ticks;
}
