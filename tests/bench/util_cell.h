/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_cell.h - one line of bench-echo's table: what is measured, the slices that count, and how they are reported.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_CELL_H
#define BENCH_UTIL_CELL_H

#include "util_json.h"
#include "util_link.h"
#include "util_stats.h"

/** Class F (fast): the bounce takes less, the processors are siblings. Class S (slow): they are far apart. */
#define CLASS_F_BELOW_NS 260.0

/** A bounce above this is none: another program had one of the processors. The slice is dropped. */
#define BOUNCE_MAX_NS 2000.0

/** What is measured on which link, and what its slices showed. */
struct cell {
    bool stream; /* a stream in one direction; else an echo */
    enum link_kind kind;
    size_t size;
    unsigned batch;                   /* messages published together */
    struct slices slices[PLACEMENTS]; /* ns per round trip, or per message of a stream; the floor is the bounce */
};

/** Takes a slice of `ns` each, measured between two bounces, into the cell, or drops it. */
void cell_record(struct cell *cell, double ns, double bounce_before, double bounce_after);

/** Prints the heading of the table. */
void cell_print_heading(void);

/** Prints the lines of the cell: all slices, then the classes, or one line if all slices are of one class. */
void cell_print(struct cell *cell, const struct bench_link *link);

/** The same as JSON. */
json_t *cell_json(struct cell *cell, const struct bench_link *link);

/** Frees its samples. */
void cell_free(struct cell *cell);

#endif
