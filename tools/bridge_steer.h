/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_steer.h - vop bridge steer: what its arguments mean as parameters of a method, and its answers for people.
 *
 * Room: tools. What a value may be is known to the bridge, which says so: here only its form is looked at.
 */
#ifndef TOOLS_BRIDGE_STEER_H
#define TOOLS_BRIDGE_STEER_H

#include <jansson.h>
#include <stdio.h>

/** The most words of a subcommand before the names of bridges. */
#define STEER_WORDS_MAX 4

/**
 * Sets a member of the parameters of steer.rss, which has the name of the option.
 *
 * Returns NULL, or what is wrong with the value.
 */
const char *steer_set_option(json_t *params, const char *option, const char *value);

/** The parameters of steer.pin: protocol, source, destination, queue. NULL: `ret_why` says what is wrong. */
json_t *steer_read_pin(const char *const *words, const char **ret_why);

/** The parameters of steer.class: kind, value, queue. */
json_t *steer_read_class(const char *const *words, const char **ret_why);

/** The answer to steer.show. */
void steer_print(const char *name, const json_t *steer, FILE *out);

#endif
