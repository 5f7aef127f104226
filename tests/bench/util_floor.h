/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_floor.h - the floor under every queue: a plain ring of pointers with a single producer and a single consumer.
 *
 * Room: tests/bench.
 *
 * It has what a fast ring has: each side's index on cache lines of its own, and a private copy of the other side's,
 * reloaded only when the copy says full or empty. It checks nothing, returns nothing, and never notifies.
 */
#ifndef BENCH_UTIL_FLOOR_H
#define BENCH_UTIL_FLOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOOR_SLOTS 256u

/** In memory that both processes share; all zero to begin with. */
struct floor_ring {
    _Alignas(256) _Atomic uint32_t head; /* pointers put in; written by the producer */
    _Alignas(256) _Atomic uint32_t tail; /* pointers taken out; written by the consumer */
    _Alignas(256) void *slot[FLOOR_SLOTS];
};

/** Two of them, one each way. */
struct floor_rings {
    struct floor_ring there, back;
};

/**
 * Moves pointers for about `duration_ns` while the other process is in floor_answer() with the same `back`. Indexes are
 * published for every `batch` pointers. Returns ns per pointer, the median of short runs: through one ring,
 * or, with `back`, there and back.
 */
double floor_measure(struct floor_rings *f, bool back, unsigned batch, uint64_t duration_ns);

/** Takes pointers, and sends them back, until floor_measure() has ended. */
void floor_answer(struct floor_rings *f, bool back, unsigned batch);

#endif
