/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.h - reads the small files of sysfs, in which the kernel describes its devices.
 *
 * Room: pci. Every path is formatted, and begins with a root that is "" except in tests. No call leaves a text.
 */
#ifndef VOP_PCI_SYSFS_H
#define VOP_PCI_SYSFS_H

#include <stddef.h>
#include <stdint.h>

/** Opens a file, of /dev too, close-on-exec. A descriptor or -errno. */
int vop__sysfs_open(int flags, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** First line of a file, without its end. 0 or -errno. */
int vop__sysfs_line(char *ret_line, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** The number that is the first line of a file, in C's notation. 0 or -errno, -EINVAL if it is none. */
int vop__sysfs_number(uint64_t *ret_number, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Last part of what a symbolic link points to. 0 or -errno. */
int vop__sysfs_link(char *ret_name, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/** Name of the first entry of a directory. 0 or -errno, -ENOENT for an empty one too. */
int vop__sysfs_first(char *ret_name, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
