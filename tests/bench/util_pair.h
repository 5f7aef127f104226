/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_pair.h - two processes that measure together, and a third one that only waits for them and cleans up.
 *
 * Room: tests/bench.
 *
 * Whatever a library does to the two - threads, signal handlers, a crash - the third is there to say so. If one of them
 * ends badly, it ends the other and itself with status 1. SIGINT, SIGTERM and SIGHUP end all three. None of them
 * outlives the third, which removes the directory in each case but SIGKILL.
 */
#ifndef BENCH_UTIL_PAIR_H
#define BENCH_UTIL_PAIR_H

/**
 * Makes a directory in /tmp, which is removed with all that is in it when this program ends. Call it once, and before
 * anything is started that must not be left behind. Ends the program if that fails.
 */
const char *pair_directory(void);

/** Runs side(context, 0) and side(context, 1), each in a process of its own, and returns when both are done. */
void pair_run(void (*side)(void *context, int number), void *context);

#endif
