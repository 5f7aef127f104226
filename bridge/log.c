/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - one line to stderr for each thing that the user should know.
 *
 * Room: bridge.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static bool is_verbose;

void log_set_verbose(bool verbose)
{
    is_verbose = verbose;
}

/* One write(2) for a line, so that lines of two bridges on one terminal do not mix. */
__attribute__((format(printf, 1, 0))) static void write_line(const char *format, va_list arguments)
{
    char line[512] = "vop-bridge: ";
    size_t prefix = sizeof("vop-bridge: ") - 1;
    int saved_errno = errno;
    int length = vsnprintf(line + prefix, sizeof(line) - prefix - 1, format, arguments);

    if (length >= 0) {
        size_t end = prefix + (size_t)length;

        if (end > sizeof(line) - 2)
            end = sizeof(line) - 2;
        line[end] = '\n';
        if (write(STDERR_FILENO, line, end + 1) < 0) {
            /* Nobody is left to be told. */
        }
    }
    errno = saved_errno;
}

void log_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void log_verbose(const char *format, ...)
{
    va_list arguments;

    if (!is_verbose)
        return;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}
