/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.c - the small files of the kernel's device tree.
 *
 * Room: tools.
 */
#include "sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* `va_start` to `va_end` around vsnprintf, for every function here. */
#define FORMAT_PATH(path, format)                          \
    do {                                                   \
        va_list args;                                      \
        va_start(args, format);                            \
        (void)vsnprintf(path, sizeof(path), format, args); \
        va_end(args);                                      \
    } while (0)

static void copy(char *ret_text, size_t size, const char *text)
{
    (void)snprintf(ret_text, size, "%s", text);
}

int sysfs_read(char *ret_text, size_t size, const char *format, ...)
{
    char path[PATH_MAX], text[256];
    ssize_t length;
    int fd, err;

    FORMAT_PATH(path, format);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    length = read(fd, text, sizeof(text) - 1);
    err = errno;
    close(fd);
    if (length < 0)
        return -err;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    copy(ret_text, size, text);
    return 0;
}

int sysfs_write(const char *text, const char *format, ...)
{
    char path[PATH_MAX];
    int fd, err = 0;

    FORMAT_PATH(path, format);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, text, strlen(text)) < 0)
        err = errno;
    close(fd);
    return -err;
}

int sysfs_link(char *ret_name, size_t size, const char *format, ...)
{
    char path[PATH_MAX], target[PATH_MAX];
    const char *slash;
    ssize_t length;

    FORMAT_PATH(path, format);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    slash = strrchr(target, '/');
    copy(ret_name, size, slash ? slash + 1 : target);
    return 0;
}

int sysfs_first(char *ret_name, size_t size, const char *format, ...)
{
    const struct dirent *entry;
    char path[PATH_MAX];
    int ret = -ENOENT;
    DIR *directory;

    FORMAT_PATH(path, format);
    directory = opendir(path);
    if (!directory)
        return -errno;
    while (ret < 0 && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        copy(ret_name, size, entry->d_name);
        ret = 0;
    }
    closedir(directory);
    return ret;
}

bool sysfs_exists(const char *format, ...)
{
    char path[PATH_MAX];

    FORMAT_PATH(path, format);
    return access(path, F_OK) == 0;
}
