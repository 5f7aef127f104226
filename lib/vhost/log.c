/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.c - the log of pages that change while a machine migrates: a bit for each page of the machine's addresses.
 *
 * Room: vhost.
 */
#include "vhost/log.h"

#include "core/error.h"
#include "sys/map.h"

#include <string.h>
#include <sys/mman.h>

#define LOG_PAGE 4096u /* whatever the size of this machine's pages */

int vop__vhost_dirty_set(struct vop__vhost_dirty *d, const struct vop__vhost_log *log, int fd)
{
    struct vop__vhost_dirty new = {.size = log->size};
    int ret;

    if (log->size == 0 || log->size > SIZE_MAX / 2 || log->offset > SIZE_MAX / 2)
        return vop__error(EPROTO, "a log of %llu bytes at %#llx", (unsigned long long)log->size,
                          (unsigned long long)log->offset);
    ret = vop__vhost_memory_check_file(fd, log->size + log->offset);
    if (ret < 0)
        return ret;
    new.map_size = (size_t)(log->size + log->offset);
    ret = vop__map(fd, 0, new.map_size, true, &new.map);
    if (ret < 0)
        return vop__error(ENOMEM, "mapping the log of dirty pages: %s", strerror(-ret));
    new.bits = (uint8_t *)new.map + log->offset;
    vop__vhost_dirty_clear(d);
    *d = new;
    return 0;
}

void vop__vhost_dirty_clear(struct vop__vhost_dirty *d)
{
    vop__unmap(d->map, d->map_size);
    *d = (struct vop__vhost_dirty){.map = NULL};
}

void vop__vhost_dirty_mark(const struct vop__vhost_dirty *d, const struct vop__vhost_memory *m, const void *base,
                           size_t size)
{
    uint64_t first, last;

    if (!d->map || size == 0 || !vop__vhost_memory_guest(m, base, &first))
        return;
    last = (first + (size - 1)) / LOG_PAGE;
    for (uint64_t page = first / LOG_PAGE; page <= last && page / 8 < d->size; page++)
        __atomic_fetch_or(&d->bits[page / 8], (uint8_t)(1u << page % 8), __ATOMIC_SEQ_CST);
}

bool vop__vhost_dirty_survive(struct vop__vhost_dirty *d, const void *address)
{
    return d->map && (uintptr_t)address - (uintptr_t)d->map < d->map_size &&
           mmap(d->map, d->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                -1, 0) != MAP_FAILED;
}
