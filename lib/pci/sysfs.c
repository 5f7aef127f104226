/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.c - reads the small files of sysfs, in which the kernel describes its devices.
 *
 * Room: pci.
 */
#include "pci/sysfs.h"

#include "sys/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int __attribute__((format(printf, 2, 0))) open_file(int flags, const char *format, va_list args)
{
    char path[PATH_MAX];

    (void)vsnprintf(path, sizeof(path), format, args);
    return vop__open(path, flags, 0);
}

int vop__sysfs_open(int flags, const char *format, ...)
{
    va_list args;
    int fd;

    va_start(args, format);
    fd = open_file(flags, format, args);
    va_end(args);
    return fd;
}

/* Closes the file. Takes what open_file() returned, and returns that if it is an error. */
static int read_line(int fd, char *ret_line, size_t size)
{
    ssize_t length;
    int err;

    if (fd < 0)
        return fd;
    length = read(fd, ret_line, size - 1);
    err = errno;
    close(fd);
    if (length < 0)
        return -err;
    ret_line[length] = '\0';
    ret_line[strcspn(ret_line, "\n")] = '\0';
    return 0;
}

int vop__sysfs_line(char *ret_line, size_t size, const char *format, ...)
{
    va_list args;
    int fd;

    va_start(args, format);
    fd = open_file(O_RDONLY, format, args);
    va_end(args);
    return read_line(fd, ret_line, size);
}

int vop__sysfs_number(uint64_t *ret_number, const char *format, ...)
{
    char line[64], *end;
    uint64_t number;
    va_list args;
    int fd, ret;

    va_start(args, format);
    fd = open_file(O_RDONLY, format, args);
    va_end(args);
    ret = read_line(fd, line, sizeof(line));
    if (ret < 0)
        return ret;
    number = strtoull(line, &end, 0);
    if (end == line || *end)
        return -EINVAL;
    *ret_number = number;
    return 0;
}

int vop__sysfs_link(char *ret_name, size_t size, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    return vop__open_link(path, ret_name, size);
}

int vop__sysfs_first(char *ret_name, size_t size, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    return vop__open_first(path, ret_name, size);
}
