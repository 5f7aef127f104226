/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.c - mappings of shared memory, plain and twice in a row.
 *
 * Room: sys.
 */
#include "sys/map.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define POPULATE_MAX ((size_t)16 << 20)

static int protection(bool writable)
{
    return writable ? PROT_READ | PROT_WRITE : PROT_READ;
}

int vop__map(int fd, off_t offset, size_t size, bool writable, void **ret_base)
{
    void *base = mmap(NULL, size, protection(writable), MAP_SHARED, fd, offset);

    if (base == MAP_FAILED)
        return -errno;
    /* A child that inherited the half would be a second writer without knowing it. */
    if (madvise(base, size, MADV_DONTFORK) < 0) {
        int err = errno;

        munmap(base, size);
        return -err;
    }
    *ret_base = base;
    return 0;
}

int vop__map_mirrored(int fd, off_t offset, size_t size, bool writable, void **ret_base)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *base;

    if (size == 0 || size % page || (size_t)offset % page || size > SIZE_MAX / 2)
        return -EINVAL;
    base = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -errno;
    for (int copy = 0; copy < 2; copy++) {
        if (mmap(base + (copy ? size : 0), size, protection(writable), MAP_SHARED | MAP_FIXED, fd, offset) ==
            MAP_FAILED)
            goto err_unmap;
    }
    if (madvise(base, 2 * size, MADV_DONTFORK) < 0)
        goto err_unmap;
    *ret_base = base;
    return 0;

err_unmap:;
    int err = errno;

    munmap(base, 2 * size);
    return -err;
}

void vop__map_populate(void *base, size_t size, bool writable)
{
    if (size <= POPULATE_MAX)
        (void)madvise(base, size, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

void *vop__map_wiped(size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED)
        return NULL;
    if (madvise(base, size, MADV_WIPEONFORK) < 0) {
        munmap(base, size);
        return NULL;
    }
    return base;
}

int vop__map_bring(void *base, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)base / page * page;
    int ret;

    do {
        ret = madvise((void *)from, (uintptr_t)base + size - from, MADV_POPULATE_WRITE);
    } while (ret < 0 && (errno == EINTR || errno == EAGAIN));
    if (ret < 0)
        return errno == EINVAL ? -EINVAL : -ENOMEM;
    return 0;
}

void vop__unmap(void *base, size_t size)
{
    if (base)
        munmap(base, size);
}
