/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.c - keeps the text of the last failure of each thread.
 *
 * Room: core.
 */
#include "core/error.h"

#include <vopipc/error.h>

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char buffer[256];
static _Thread_local const char *current = "no error";

int(vop__error)(int err, const char *format, ...)
{
    char line[sizeof(buffer)]; /* the arguments may point into `buffer` */
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *c = line; *c; c++) { /* a name that the program was given may hold anything */
        if ((unsigned char)*c < ' ' || *c == '\x7f')
            *c = '?';
    }
    __builtin_memcpy(buffer, line, sizeof(buffer));
    current = buffer;
    return -err;
}

int(vop__error_static)(int err, const char *text)
{
    current = text;
    return -err;
}

const char *vop_error_text(void)
{
    return current;
}
