/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - the one place that knows the application's log callback.
 *
 * Room: core. The callback is set before threads start (vop_log_set() says so), so it needs no lock.
 */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>

static vop_log_fn log_fn;
static void *log_context;
static enum vop_log_level log_level;

void vop_log_set(vop_log_fn fn, void *context, enum vop_log_level level)
{
    log_fn = fn;
    log_context = context;
    log_level = level;
}

void vop__log(enum vop_log_level level, const char *format, ...)
{
    char line[256];
    va_list args;

    if (!log_fn || level > log_level)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    log_fn(log_context, level, line);
}
