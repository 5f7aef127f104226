/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.c - what only vop does with files of sysfs: it writes them, and asks whether one is there.
 *
 * Room: tools.
 */
#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int sysfs_write(const char *text, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    int fd, ret = 0;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        ret = -errno;
    close(fd);
    return ret;
}

bool sysfs_exists(const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    return access(path, F_OK) == 0;
}
