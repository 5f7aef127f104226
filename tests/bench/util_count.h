/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_count.h - the instructions that a piece of this program takes, counted with valgrind: a figure without jitter.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_COUNT_H
#define BENCH_UTIL_COUNT_H

#include <stdbool.h>

/** Can instructions be counted here? If not, `ret_why` says what is missing. */
bool count_possible(const char **ret_why);

/**
 * Runs this program again under valgrind --tool=callgrind, with the arguments `--<option> <argument>`; returns the
 * instructions of the whole run. Ends the program if that fails.
 */
double count_instructions(const char *option, const char *argument);

#endif
