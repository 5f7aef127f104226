/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.c - reads the small files of sysfs, in which the kernel describes its devices.
 *
 * Room: pci.
 */
#include "pci/sysfs.h"

#include <dirent.h>
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
    int fd;

    (void)vsnprintf(path, sizeof(path), format, args);
    fd = open(path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
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

int vop__sysfs_first(char *ret_name, size_t size, const char *format, ...)
{
    const struct dirent *entry;
    char path[PATH_MAX];
    int ret = -ENOENT;
    DIR *directory;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    directory = opendir(path);
    if (!directory)
        return -errno;
    while (ret < 0 && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(ret_name, size, "%s", entry->d_name);
        ret = 0;
    }
    closedir(directory);
    return ret;
}
