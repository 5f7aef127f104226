/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_options.h - the command line of a benchmark: one table says what the options are and do, and what --help prints.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_OPTIONS_H
#define BENCH_UTIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/** One option, "--name argument". */
struct bench_option {
    const char *name;
    const char *argument; /* its name in --help; NULL: it takes none */
    const char *help;
    /** Stores the argument `text` in `to`, or ends the program with status 2. */
    void (*take)(const struct bench_option *option, const char *text);
    void *to;
    unsigned long least, most; /* of a number */
};

/* What `take` can be; a program may bring its own. */
void option_flag(const struct bench_option *option, const char *text);   /* bool: becomes true */
void option_number(const struct bench_option *option, const char *text); /* unsigned long, decimal */
void option_text(const struct bench_option *option, const char *text);   /* const char * */
void option_cpus(const struct bench_option *option, const char *text);   /* int[2] */

/** Reads a decimal number within the option's limits, or ends the program with status 2. */
unsigned long option_parse_number(const struct bench_option *option, const char *text);

/** Reads the command line. --help prints `about` and the table; nonsense ends the program with status 2. */
void options_parse(const char *about, const struct bench_option *options, size_t count, int argc, char **argv);

/** The options of every benchmark that measures in slices. */
struct slice_options {
    unsigned long rounds, slice_ms;
    int cpus[2]; /* -1 if not given: slices_begin() picks two */
    const char *json_path;
};

#define OPTION_JSON(path)                                                                 \
    {                                                                                     \
        "json", "FILE", "write the same figures to FILE as JSON", option_text, path, 0, 0 \
    }

/** The rows for a struct slice_options. */
#define OPTIONS_OF_SLICES(s)                                                                                        \
    {"rounds", "N", "slices of each line of the table", option_number, &(s)->rounds, 1, 100000},                    \
        {"slice-ms", "N", "length of a slice", option_number, &(s)->slice_ms, 1, 10000},                            \
        {"cpus", "A,B", "processors of both sides (default: the first two allowed)", option_cpus, (s)->cpus, 0, 0}, \
        OPTION_JSON(&(s)->json_path)

/** Pins this process to the first processor, after checking that the other exists and that the file can be written:
 * what is wrong is reported before anything begins. */
void slices_begin(struct slice_options *s);

#endif
