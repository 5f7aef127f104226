/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus_memory.c - memory that a device reaches, given out in pieces.
 *
 * Room: device. The first gap that is large enough is taken: a driver takes some pieces when it begins and gives them
 * back when it ends.
 */
#include "device/bus_memory.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

static int insert(struct vop__bus_memory *m, size_t at, const struct vop__bus_piece *piece)
{
    if (m->count == m->room) {
        size_t room = m->room ? 2 * m->room : 16;
        struct vop__bus_piece *grown = reallocarray(m->piece, room, sizeof(*grown));

        if (!grown)
            return vop__error_static(ENOMEM, "no memory to remember what memory was given out");
        m->piece = grown;
        m->room = room;
    }
    memmove(m->piece + at + 1, m->piece + at, (m->count - at) * sizeof(*m->piece));
    m->piece[at] = *piece;
    m->count++;
    return 0;
}

/* Of all memory of the process: its offset is its address. */
static int get_private(struct vop__bus_memory *m, size_t size, size_t align, void **ret_memory)
{
    void *memory;
    int ret;

    if (posix_memalign(&memory, align, size) != 0)
        return vop__error(ENOMEM, "no %zu bytes of memory for a queue or its buffers", size);
    ret = insert(m, m->count, &(struct vop__bus_piece){(uintptr_t)memory, size});
    if (ret < 0) {
        free(memory);
        return ret;
    }
    memset(memory, 0, size);
    *ret_memory = memory;
    return 0;
}

int vop__bus_memory_get(struct vop__bus_memory *m, size_t size, size_t align, void **ret_memory)
{
    size_t end = 0; /* of the piece before the gap */
    int ret;

    if (!m->all.base)
        return get_private(m, size, align, ret_memory);
    for (size_t i = 0; i <= m->count; i++) {
        size_t limit = i < m->count ? m->piece[i].offset : m->all.size;
        size_t begin = end + (size_t)(-(m->all.address + end) & (align - 1)); /* aligned for the device */

        if (begin <= limit && size <= limit - begin) {
            ret = insert(m, i, &(struct vop__bus_piece){begin, size});
            if (ret < 0)
                return ret;
            *ret_memory = (uint8_t *)m->all.base + begin;
            memset(*ret_memory, 0, size);
            return 0;
        }
        if (i < m->count)
            end = m->piece[i].offset + m->piece[i].size;
    }
    return vop__error(ENOMEM, "no %zu bytes left of the %zu that the device reaches", size, m->all.size);
}

void vop__bus_memory_put(struct vop__bus_memory *m, void *memory)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)m->all.base;

    for (size_t i = 0; memory && i < m->count; i++) {
        if (m->piece[i].offset != offset)
            continue;
        m->count--;
        memmove(m->piece + i, m->piece + i + 1, (m->count - i) * sizeof(*m->piece));
        if (!m->all.base)
            free(memory);
        return;
    }
}

uint64_t vop__bus_memory_address(const struct vop__bus_memory *m, const void *memory)
{
    if (!m->all.base)
        return (uintptr_t)memory;
    return m->all.address + (uint64_t)((const uint8_t *)memory - (const uint8_t *)m->all.base);
}

struct vop_region vop__bus_memory_region(const struct vop__bus_memory *m)
{
    if (!m->all.base)
        return (struct vop_region){.size = UINT64_MAX};
    return (struct vop_region){.address = m->all.address, .size = m->all.size, .base = m->all.base};
}

void vop__bus_memory_clear(struct vop__bus_memory *m)
{
    for (size_t i = 0; i < m->count && !m->all.base; i++)
        free((void *)m->piece[i].offset);
    free(m->piece);
    m->piece = NULL;
    m->count = m->room = 0;
}
