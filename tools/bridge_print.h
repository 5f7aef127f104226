/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_print.h - what a bridge has answered, for people to read.
 *
 * Room: tools. A member that an answer lacks is left out, or is "-" in a table: it may come from another version.
 */
#ifndef TOOLS_BRIDGE_PRINT_H
#define TOOLS_BRIDGE_PRINT_H

#include <jansson.h>
#include <stdio.h>

/** Heads the table of `vop bridge list`. */
void bridge_print_list_head(FILE *out);

/** A line of that table. */
void bridge_print_list(const char *name, const json_t *status, FILE *out);

/** The answer to `status`. */
void bridge_print_status(const char *name, const json_t *status, FILE *out);

/** The answer to `queues`. */
void bridge_print_queues(const char *name, const json_t *queues, FILE *out);
void bridge_print_reload(const char *name, const json_t *result, FILE *out);

/** The answer to `stats`: a column for each queue, if there are several. */
void bridge_print_stats(const char *name, const json_t *stats, FILE *out);

#endif
