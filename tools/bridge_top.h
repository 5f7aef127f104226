/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_top.h - vop bridge top: what bridges do just now, looked at again and again.
 *
 * Room: tools. It is bridge_top.c, which asks the bridges; bridge_top_print.c, which has lines for people and for
 * programs; and bridge_top_screen.c, which has a terminal.
 */
#ifndef TOOLS_BRIDGE_TOP_H
#define TOOLS_BRIDGE_TOP_H

#include "bridge_rates.h"

#include <stddef.h>
#include <stdio.h>

#define TOP_LINE_SIZE 256

/** The head of the table. Returns `ret_line`. */
char *top_format_head(char ret_line[TOP_LINE_SIZE]);

/** A line of it: one queue of a bridge, or, with `line` its total, all of them. Returns `ret_line`. */
char *top_format_line(const struct rates_bridge *bridge, const struct rates_line *line, char ret_line[TOP_LINE_SIZE]);

/** A bridge that has not answered. Returns `ret_line`. */
char *top_format_failure(const struct rates_bridge *bridge, char ret_line[TOP_LINE_SIZE]);

/** The whole table, with an empty line behind it. Those that have answered only once are left out. */
void top_print(const struct rates *rates, FILE *out);

/** The same as JSON: a list on one line. */
void top_print_json(const struct rates *rates, FILE *out);

/** Asks all bridges that are meant. False: no memory; that was said. */
typedef bool top_ask(void *context, struct rates *rates);

/**
 * Takes the terminal that standard input and output are, until the user has enough.
 *
 * interval_ms   from one look to the next
 *
 * Returns false if it was nothing to be done with, or there is no memory; that was said.
 */
bool top_run_screen(top_ask *ask, void *context, struct rates *rates, unsigned interval_ms);

/** What the user wants. */
struct top_setup {
    const char *const *names; /* of bridges */
    unsigned count;           /* of names; 0: all bridges */
    const char *control;      /* directory of control sockets, or NULL */
    unsigned interval_ms;     /* from one look to the next */
    unsigned rounds;          /* so often lines are printed; 0: until it is ended */
    bool json;
};

#define TOP_INTERVAL_MS 1000

/** Option `interval`, `count` or `once`, which has no value. Returns why not, or NULL. */
const char *top_set_option(struct top_setup *setup, const char *name, const char *value);

/** In a terminal or in lines, until the user has enough. False: something failed, which was said. */
bool top_run(const struct top_setup *setup);

#endif
