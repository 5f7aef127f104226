/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_json.h - the figures of a benchmark as JSON; NaN (no sample) becomes null, since JSON has no NaN.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_JSON_H
#define BENCH_UTIL_JSON_H

#include <jansson.h>

/** A number rounded to four decimals, or null for NaN. */
json_t *json_figure(double value);

/** Ends the program now if the file `path` could not be written later. NULL is allowed. */
void json_check_path(const char *path);

/** Writes `root` to the file `path` and gives up the reference. Ends the program if that fails. */
void json_write(const char *path, json_t *root);

#endif
