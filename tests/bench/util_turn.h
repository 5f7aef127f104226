/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_turn.h - one process gives tasks to another through shared memory, one at a time.
 *
 * Room: tests/bench. What the task is lies in shared memory of the two processes' own, valid from turn_give() until
 * turn_join().
 */
#ifndef BENCH_UTIL_TURN_H
#define BENCH_UTIL_TURN_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** In memory that both processes share; all zero to begin with. */
struct turn {
    _Alignas(256) _Atomic uint32_t given; /* counts up with each task; written by the one that gives them */
    _Alignas(256) _Atomic uint32_t done;  /* the last one finished; written by the other */
};

/** Gives the next task. */
void turn_give(struct turn *t);

/** Waits until the task given last is done. */
void turn_join(struct turn *t);

/** Waits for task number `number`, which begins with 1, ... */
void turn_take(struct turn *t, uint32_t number);

/** ... and reports that it is done. */
void turn_finish(struct turn *t, uint32_t number);

/** Memory that processes forked from this one share. Ends the program if there is none. */
void *shared_memory(size_t size);

/**
 * Forks the process that takes tasks: the child runs `child(context)` and ends; it dies with its parent. If it dies
 * first, the parent says so, removes the (empty) `directory` unless that is NULL, and ends with status 1.
 */
void child_start(void (*child)(void *context), void *context, const char *directory);

#endif
