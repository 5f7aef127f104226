/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elsewhere.c - looks for a peer that sees memory of another size.
 *
 * Room: link. Theory: elsewhere.h.
 */
#include "link/elsewhere.h"

#define SMALLEST_HALF ((size_t)32 * 1024)

/* Somebody writes there, and did so since the last look: what was left behind at some time stands still. */
static bool is_alive(const struct vop__claim *before, const struct vop__claim *now)
{
    return now->incarnation != 0 && now->incarnation == before->incarnation && now->heartbeat != before->heartbeat;
}

bool vop__elsewhere_find(struct vop__elsewhere *e, const struct vop__window *remote, uint64_t *ret_half_size,
                         uint64_t *ret_incarnation)
{
    unsigned place = 0;

    for (size_t at = SMALLEST_HALF; at < remote->size && place < VOP__ELSEWHERE_PLACES; at *= 2, place++) {
        struct vop__window there = {.base = remote->base + at, .size = remote->size - at, .flags = remote->flags};
        struct vop__claim before = e->seen[place];
        struct vop__claim now = {0};

        if (vop__session_half_size(&there) == at)
            now = vop__session_claim(&there);
        e->seen[place] = now;
        if (is_alive(&before, &now)) {
            *ret_half_size = at;
            *ret_incarnation = now.incarnation;
            return true;
        }
    }
    return false;
}
