/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.h - the small files of the kernel's device tree.
 *
 * Room: tools. Every path is formatted, and begins with a root that is "" except in tests.
 */
#ifndef TOOLS_SYSFS_H
#define TOOLS_SYSFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/** First line of a file, without its end. 0 or -errno. */
int sysfs_read(char *ret_text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Writes `text` to a file that is there. 0 or -errno: what the kernel answers to it. */
int sysfs_write(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Last part of what a symbolic link points to. 0 or -errno. */
int sysfs_link(char *ret_name, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Name of the first entry of a directory. 0 or -errno, -ENOENT for an empty one too. */
int sysfs_first(char *ret_name, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

bool sysfs_exists(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
