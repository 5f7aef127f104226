/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - where the library's log lines go: nowhere, until a program says where.
 *
 * Room: the public headers.
 */
#ifndef VOPIPC_LOG_H
#define VOPIPC_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/** Severity of a log line. */
enum vop_log_level {
    VOP_LOG_ERROR = 0, /* a link was refused or broke */
    VOP_LOG_INFO = 1,  /* a link came up or went down */
    VOP_LOG_DEBUG = 2, /* steps on the way there */
};

/**
 * Called for each log line, in the thread that is inside the library. `line` has no newline and is valid during the
 * call only. The function must not call the library.
 */
typedef void (*vop_log_fn)(void *context, enum vop_log_level level, const char *line);

/**
 * Sets where log lines go, for the whole process; NULL (the default) is silence. Call it before any other thread uses
 * the library. Lines above `level` are not made. A hostile peer can cause no more than a few lines for each link.
 */
void vop_log_set(vop_log_fn fn, void *context, enum vop_log_level level);

#ifdef __cplusplus
}
#endif

#endif
