/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sysfs.h - what only vop does with files of sysfs: it writes them, and asks whether one is there.
 *
 * Room: tools. Paths are formatted, as in pci/sysfs.h, which reads them.
 */
#ifndef TOOLS_SYSFS_H
#define TOOLS_SYSFS_H

#include <stdbool.h>

/** Writes `text` to a file that is there. 0 or -errno: what the kernel answers to it. */
int sysfs_write(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool sysfs_exists(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
