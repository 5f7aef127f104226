/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - one line to stderr for each thing that the user should know, without ever waiting for who reads it.
 *
 * Room: bridge. A failure reads "vop-bridge: what: why; remedy".
 *
 * Whoever reads stderr may stop: a pipe is full, ^S has stopped a terminal, a disk hangs. Frames and signals must
 * not wait for that, so a thread of its own writes the lines, and only that one waits. Without a thread each kind of
 * stderr needs its own way, and most are wrong at times: O_NONBLOCK belongs to the open file description, which others
 * share; what poll(2) says of a pipe others change before the write; a terminal says that there is room and then waits
 * for more; a file always says so; and opening /proc/self/fd/2 anew is refused where stderr belongs to another user.
 *
 * A peer that comes and goes must not fill a disk, either: LOG_BURST lines may come at once, then one each
 * LOG_INTERVAL_MS. What comes faster, or while the thread waits with LOG_QUEUE lines, is left out. As soon as a line
 * may come again it says how many were, and what the last was: so the end of the log is always how things stand.
 */
#ifndef VOP_BRIDGE_LOG_H
#define VOP_BRIDGE_LOG_H

#include <stdbool.h>

#define LOG_BURST 100
#define LOG_INTERVAL_MS 500
#define LOG_QUEUE 128
#define LOG_PARTING_MS 200

/** Switches log_verbose() on or off; at first it is off. */
void log_set_verbose(bool verbose);

/** Starts the thread. Before that lines are written at once, and all of them. */
void log_open(void);

/** Writes what is queued, but gives up after LOG_PARTING_MS: the thread then ends with the program. */
void log_close(void);

/** Logs a failure, a warning, or an event such as the link going down. No newline in `format`. Keeps errno. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same for what the user asked for just now: it may come at any rate. */
void log_answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same as log_line(), with --verbose only. */
void log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
