/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_json.c - the figures of a benchmark as JSON; NaN (no sample) becomes null, since JSON has no NaN.
 *
 * Room: tests/bench.
 */
#include "util_json.h"

#include "util_machine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

json_t *json_figure(double value)
{
    return isnan(value) ? json_null() : json_real(round(value * 1e4) / 1e4);
}

void json_check_path(const char *path)
{
    FILE *file = path ? fopen(path, "ae") : NULL;

    if (path && !file)
        die(-errno, "cannot write %s", path);
    if (file)
        fclose(file);
}

void json_write(const char *path, json_t *root)
{
    FILE *file = fopen(path, "we");

    if (!file)
        die(-errno, "cannot write %s", path);
    int err = json_dumpf(root, file, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    err |= fputc('\n', file) == EOF;
    err |= fclose(file);
    if (err)
        die(-errno, "cannot write %s", path);
    json_decref(root);
}
