/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_capture.h - vop bridge capture: what its arguments mean as parameters of a method, and its answers for people.
 *
 * Room: tools. What a value may be is known to the bridge, which says so: here only its form is looked at, and the
 * filter is compiled, as the bridge does not parse one.
 */
#ifndef TOOLS_BRIDGE_CAPTURE_H
#define TOOLS_BRIDGE_CAPTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/**
 * Sets a member of the parameters of capture.start, which has the name of the option with "_" for "-".
 *
 * Returns NULL, or what is wrong with the value.
 */
const char *capture_set_option(json_t *params, const char *option, const char *value);

/** Appends a word to the filter, behind a blank. False: no memory, or not text in UTF-8. */
bool capture_add_word(json_t *params, const char *word);

/** Compiles the filter, if there is one. False: `why` says what is wrong with it, in libpcap's words. */
bool capture_compile(json_t *params, char why[256]);

/** The answer to capture.start. */
void capture_print_file(const char *name, const json_t *answer, FILE *out);

/** The answer to capture.show, and to capture.stop. */
void capture_print(const char *name, const json_t *capture, FILE *out);

/** Whether an answer to capture.stop or capture.show says that something is still to be written. */
bool capture_is_stopping(const json_t *capture);

#endif
