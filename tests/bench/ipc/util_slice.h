/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_slice.h - one slice of a measurement, made by two processes with an end of a carrier each.
 *
 * Room: tests/bench/ipc.
 *
 *   rtt SIZE MS            round trips, copied: sent from a buffer of the program's, received into one
 *   latency SIZE MS        the same, each one timed by itself
 *   rate SIZE BATCH MS     one way, copied, BATCH messages published together
 *   copied SIZE MS         rate SIZE 1 MS
 *   inplace SIZE MS        one way, in place: every word is written and read
 *   inplace-rtt SIZE MS    the same as round trips
 *
 * Side 0 gives tasks to side 1 (util_turn.h): the bounce, the slice, the bounce again; then both sleep until the next
 * command. While they are at it they spin between two tasks, which takes some hundred nanoseconds.
 */
#ifndef BENCH_IPC_UTIL_SLICE_H
#define BENCH_IPC_UTIL_SLICE_H

#include "ipc.h"
#include "util_bounce.h"
#include "util_histogram.h"
#include "util_turn.h"

#include <stdint.h>

enum slice_kind {
    SLICE_RTT,
    SLICE_LATENCY,
    SLICE_RATE,
    SLICE_IN_PLACE,
    SLICE_IN_PLACE_RTT,
    SLICE_KINDS
};

/** What a command asks for. */
struct slice {
    enum slice_kind kind;
    size_t size;
    unsigned batch; /* of a rate */
    uint64_t duration_ns;
};

/** What came out. */
struct slice_result {
    double ns;            /* of a round trip, or of a message one way: the median of short runs */
    double bounce_before; /* ns of the bare bounce */
    double bounce_after;
    uint64_t count; /* round trips or messages that were timed */
};

/** A task of side 1. */
enum stage_task {
    STAGE_BOUNCE,
    STAGE_ECHO,     /* sends copied messages back, up to number 0 */
    STAGE_ECHO_ALL, /* ... and checks all their words */
    STAGE_TAKE,     /* receives copied messages, up to number 0 */
    STAGE_ECHO_IN_PLACE,
    STAGE_TAKE_IN_PLACE,
    STAGE_REST, /* the command is done */
    STAGE_END
};

/** In memory that both processes share. */
struct stage_shared {
    struct bounce bounce;
    struct turn turn;
    enum stage_task task; /* valid for this turn */
    size_t size;
};

#define STAGE_SIZES_MAX 256

/** What a side measures with. */
struct stage {
    const struct ipc_carrier *carrier;
    void *end;
    struct stage_shared *shared;
    int wake_fd;    /* a pipe: side 0 writes a byte for each command, side 1 reads it */
    void *out, *in; /* buffers for messages of the largest size */
    uint32_t turn;  /* side 1: number of the next task */
    struct {
        size_t size;
        bool in_place;
    } warm[STAGE_SIZES_MAX]; /* side 0: what has been carried in full before */
    size_t warm_count;
};

/** Makes the buffers. The other fields are there. */
void stage_begin(struct stage *s, size_t size_max);

/** Frees them. */
void stage_end(struct stage *s);

/**
 * Side 0: measures one slice; `histogram`, all zero, gets the ticks of each round trip of SLICE_LATENCY, and is NULL
 * otherwise. The caller has seen to it that the carrier can do what is asked for.
 */
struct slice_result slice_measure(struct stage *s, const struct slice *slice, struct histogram *histogram);

/** Side 0: tells side 1 that no more comes. */
void slice_end(struct stage *s);

/** Side 1: does what side 0 says until slice_end(), or until side 0 is gone. */
void slice_answer(struct stage *s);

#endif
