/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_bounce.h - the floor under every round trip: two processes bounce two cache lines, one each way.
 *
 * Room: tests/bench.
 *
 * No message from one processor to another through memory is faster than this. A virtual machine may change the
 * distance between its processors at any moment, so a figure without the bounce beside it says little.
 */
#ifndef BENCH_UTIL_BOUNCE_H
#define BENCH_UTIL_BOUNCE_H

#include <stdatomic.h>
#include <stdint.h>

/** The two lines, in memory that both processes share; all zero to begin with. */
struct bounce {
    _Alignas(256) _Atomic uint32_t ping; /* written by the one that measures */
    _Alignas(256) _Atomic uint32_t pong; /* written by the other */
};

/**
 * Bounces for about `duration_ns`, while the other process is in bounce_answer(). Returns ns per round trip: the median
 * of short runs.
 */
double bounce_measure(struct bounce *b, uint64_t duration_ns);

/** Answers until bounce_measure() has ended. */
void bounce_answer(struct bounce *b);

#endif
