/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - shared memory without a name, all of it there and never to be resized.
 *
 * Room: sys.
 */
#ifndef VOP_SYS_MEMORY_H
#define VOP_SYS_MEMORY_H

#include <fcntl.h>
#include <stddef.h>

#define VOP__MEMORY_MAX ((size_t)1 << 31)
#define VOP__MEMORY_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/** Makes, allocates and seals `size` bytes, a memfd that /proc calls `name`. 0, or -errno with a text. */
int vop__memory_make(const char *name, size_t size, int *ret_fd);

#endif
