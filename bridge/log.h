/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - one line to stderr for each thing that the user should know.
 *
 * Room: bridge. A failure reads "vop-bridge: what: why; remedy".
 */
#ifndef VOP_BRIDGE_LOG_H
#define VOP_BRIDGE_LOG_H

#include <stdbool.h>

/** Switches log_verbose() on or off; at first it is off. */
void log_set_verbose(bool verbose);

/** Logs a failure, a warning, or an event such as the link going down. No newline in `format`. Keeps errno. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same, with --verbose only. */
void log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
