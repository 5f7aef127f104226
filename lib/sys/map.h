/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.h - mappings of shared memory, plain and twice in a row.
 *
 * Room: sys. What every wire does with a file descriptor that stands for memory.
 */
#ifndef VOP_SYS_MAP_H
#define VOP_SYS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * Maps `size` bytes of `fd` from `offset`, read-only unless `writable`, not inherited by fork(). Wires map what they
 * only read writable, too: on Zen 4 a load of a line that another processor has just written takes twice as long
 * through a read-only mapping (a round trip of 64 bytes through a bare ring 240 ns in place of 119, far apart 838 in
 * place of 444). A page is entered into the page table when it is first touched. Returns 0, or -errno (no text: the
 * caller knows what it was mapping).
 */
int vop__map(int fd, off_t offset, size_t size, bool writable, void **ret_base);

/**
 * Maps the same bytes twice, back to back, so that a stretch that passes the end goes on at the beginning:
 * base[i] and base[size + i] are one byte. -EINVAL if offset or size is not a multiple of the page size.
 */
int vop__map_mirrored(int fd, off_t offset, size_t size, bool writable, void **ret_base);

/**
 * Page faults now rather than in the first messages: touches every page of a stretch of a shared mapping, for storing
 * if it is `writable`. Of a large one it touches none: a peer who takes pages away meanwhile could hold the caller up
 * for seconds. Where the system cannot do that (Linux before 5.14), or memory is short, faults come later.
 */
void vop__map_populate(void *base, size_t size, bool writable);

/** Private memory of `size` bytes, all zero; a child of fork() finds it all zero again. NULL if there is none. */
void *vop__map_wiped(size_t size);

/**
 * Sees to it that a stretch of a shared, writable mapping has memory. 0, or -ENOMEM; -EINVAL if the system cannot do
 * that (Linux before 5.14), where the first store would be a SIGBUS if there is none.
 */
int vop__map_bring(void *base, size_t size);

/** Undoes either of them; `size` is that of the call, twice that for a mirrored one. NULL is allowed. */
void vop__unmap(void *base, size_t size);

#endif
