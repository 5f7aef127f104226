/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mirrors.c - stretches of memory that a wire has mapped twice.
 *
 * Room: wire.
 */
#include "wire/mirrors.h"

#include "sys/map.h"

bool vop__mirrors_have_room(const struct vop__mirrors *m)
{
    return m->count < VOP__MIRRORS_MAX;
}

void vop__mirrors_keep(struct vop__mirrors *m, void *base, size_t size)
{
    m->at[m->count].base = base;
    m->at[m->count].size = 2 * size;
    m->count++;
}

void vop__mirrors_unmap(struct vop__mirrors *m)
{
    while (m->count > 0) {
        m->count--;
        vop__unmap(m->at[m->count].base, m->at[m->count].size);
    }
}
