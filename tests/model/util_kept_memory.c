/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_kept_memory.c - the memory of links and channels is kept for the next execution: to get it from the kernel and
 * give it back, for each of a million executions, is what most of their time would go into.
 *
 * Room: tests/model. The linker puts these in the place of the library's own calls (--wrap).
 */
#include "sys/map.h"

#include <malloc.h>
#include <string.h>

#define KEPT_MAX 8
#define HEAP_KEPT (64 << 20) /* bytes that free() keeps */

static void *kept[KEPT_MAX]; /* all of one size, that of a link */
static unsigned kept_count;
static size_t kept_size;

void *__real_vop__map_wiped(size_t size);
void __real_vop__unmap(void *base, size_t size);
void *__wrap_vop__map_wiped(size_t size);
void __wrap_vop__unmap(void *base, size_t size);

__attribute__((constructor)) static void keep_heap(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_KEPT / 4);
}

void *__wrap_vop__map_wiped(size_t size)
{
    if (kept_count > 0 && size == kept_size)
        return memset(kept[--kept_count], 0, size);
    if (kept_count == 0)
        kept_size = size;
    return __real_vop__map_wiped(size);
}

void __wrap_vop__unmap(void *base, size_t size)
{
    if (base && size == kept_size && kept_count < KEPT_MAX)
        kept[kept_count++] = base;
    else
        __real_vop__unmap(base, size);
}
