/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.c - small files of sysfs, for wires that find their device there.
 *
 * Room: pci.
 */
#include "pci/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_line(const char *path, char *ret_line, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length;
    int err;

    if (fd < 0)
        return -errno;
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
    char path[PATH_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    return read_line(path, ret_line, size);
}

int vop__sysfs_number(uint64_t *ret_number, const char *format, ...)
{
    char path[PATH_MAX], line[64], *end;
    va_list args;
    int err;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    err = read_line(path, line, sizeof(line));
    if (err < 0)
        return err;
    *ret_number = strtoull(line, &end, 0);
    return end == line || *end ? -EINVAL : 0;
}

int vop__sysfs_link(char *ret_name, size_t size, const char *format, ...)
{
    char path[PATH_MAX], target[PATH_MAX];
    const char *slash;
    ssize_t length;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    slash = strrchr(target, '/');
    (void)snprintf(ret_name, size, "%s", slash ? slash + 1 : target);
    return 0;
}

int vop__sysfs_open(int flags, const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    int fd;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
