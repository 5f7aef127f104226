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

#include "sandbox_need.h"

#include <stdbool.h>

#define LOG_LINE_SIZE 512 /* bytes of a line, with the newline and the zero */
#define LOG_BURST 100
#define LOG_INTERVAL_MS 500
#define LOG_QUEUE 128
#define LOG_PARTING_MS 1000

/** How important a line is. The values are in the order in which --log-level has them (settings.c). */
enum log_level {
    LOG_LEVEL_ERROR,   /* something that was asked for was not done */
    LOG_LEVEL_WARNING, /* it was, but not as well as could be, or something is about to go wrong */
    LOG_LEVEL_NOTICE,  /* what usually happens and matters: the link is up */
    LOG_LEVEL_INFO,    /* what was done because somebody asked for it */
    LOG_LEVEL_DEBUG,   /* what is being done */
};

/** How a line is written. The values are in the order in which --log-format has them (settings.c). */
enum log_format {
    LOG_FORMAT_AUTO,     /* JOURNALD if stderr is the journal's, else TEXT */
    LOG_FORMAT_TEXT,     /* "vop-bridge: what" */
    LOG_FORMAT_JOURNALD, /* the same behind the level as sd-daemon(3) has it: "<3>vop-bridge: what" */
};

/** What is more important than this, or as important, is written; at first that is NOTICE. From any thread. */
void log_set_level(enum log_level level);

/** Are lines of this level written? */
bool log_has_level(enum log_level level);

/** At first it is TEXT. From any thread. */
void log_set_format(enum log_format format);

/** From now on lines are queued; before that they are written at once, and all of them. 0 or -errno. */
int log_open(void);

/** Starts the thread, which writes what is queued. */
void log_start(void);

/** Writes what is queued (it starts the thread if there is none yet), but gives up after LOG_PARTING_MS: the thread
 * then ends with the program. */
void log_close(void);

/** Logs a line, without a newline in `format`. Keeps errno. From any thread. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same for what the user asked for just now: it may come at any rate, and at any level. */
void log_answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Takes a line as it would be written as TEXT, with its newline. */
typedef void log_line_fn(enum log_level level, const char *line);

/** From now on all lines go there, in the thread that logs. For a process that another one logs for. */
void log_divert(log_line_fn *take);

/** Logs a line that another process has made: as it is, at the rate of all. */
void log_relay(enum log_level level, const char *line);

extern const struct sandbox_need log_need;

#endif
