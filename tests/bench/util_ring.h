/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_ring.h - a virtqueue between two processes: its two ends, how they wait, and a driver and a device that do
 * nothing else.
 *
 * Room: tests/bench.
 *
 * Each buffer is one segment of 64 bytes that the device reads, like a packet to send. Nobody touches the bytes: only
 * the queue is measured. Addresses are translated through a region on both sides.
 */
#ifndef BENCH_UTIL_RING_H
#define BENCH_UTIL_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <vopipc/virtqueue.h>

#define RING_SIZE 256u /* entries of the queue */
#define RING_BATCH 32u /* buffers published together at full load */
#define RING_SEGMENT 64u

/** What is negotiated. */
struct ring_kind {
    const char *name;
    enum vop_ring_layout layout;
    bool in_order;
    bool event_idx;
};

/** A queue in memory that both processes share, and the doorbells that both inherited. */
struct ring_place {
    _Alignas(4096) uint8_t areas[16384];
    _Alignas(4096) uint8_t data[RING_SIZE * RING_SEGMENT];
    _Alignas(256) uint32_t stop; /* the driver is done */
    int bells[2];                /* eventfds: the driver's, which the device rings, and the device's */
};

/** Makes the doorbells. Call it before the fork. */
void ring_open(struct ring_place *place);

/**
 * Keeps up to `outstanding` buffers in flight for about `duration_ns`, published up to a batch at a time, while the
 * other process is in ring_answer() with the same arguments. Call ring_reset() before both. Returns ns per buffer,
 * added, taken, completed and got back: the median of short runs. With `sleep` the waiting side sleeps at once; else
 * it spins.
 */
double ring_measure(struct ring_place *place, const struct ring_kind *kind, bool sleep, unsigned outstanding,
                    uint64_t duration_ns);

/** Takes and completes buffers until ring_measure() has ended. */
void ring_answer(struct ring_place *place, const struct ring_kind *kind, bool sleep);

/** Makes a place ready for the next measurement. */
void ring_reset(struct ring_place *place);

/** The same in one thread, `buffers` of them in batches of `batch`: for counting instructions. */
void ring_loop(struct ring_place *place, const struct ring_kind *kind, unsigned batch, uint64_t buffers);

#endif
