/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.c - where the queues of a link lie in its memory, and which thread this is.
 *
 * Room: channel.
 */
#include "channel/link.h"

#include "core/error.h"
#include "sys/map.h"

_Thread_local char vop__thread_mark;

struct vop__link *vop__link_new(struct vop__wire *wire)
{
    struct vop__link *l = vop__map_wiped(sizeof(*l));

    if (!l)
        return NULL;
    l->wire = wire;
    l->watched = wire->watched;
    l->fate = VOP__FATE_HERE;
    return l;
}

void vop__link_free(struct vop__link *l)
{
    vop__unmap(l, sizeof(*l));
}

int vop__link_interrupted(void)
{
    return vop__error_static(ECANCELED, "vop_channel_interrupt() has ended all waits on this channel");
}

struct vop__slot_place vop__link_place(struct vop__link *l, unsigned queue, bool remote)
{
    const struct vop__geometry *g = &l->session.geometry;
    const struct vop__window *w = remote ? &l->wire->remote : &l->wire->local;
    size_t offset = vop__geometry_areas(g, remote, queue).pool;
    size_t size = vop__geometry_pool_size(remote ? &g->send : &g->receive);
    void *mirror = l->wire->ops->mirror(l->wire, remote, offset, size);

    return (struct vop__slot_place){
        .local = &l->wire->local,
        .remote = &l->wire->remote,
        .geometry = *g,
        .queue = queue,
        .pool = mirror ? mirror : vop__window_at(w, offset),
        .mirrored = mirror != NULL,
        .last_len = vop__session_has(&l->session, VOP_F_LAST_LEN),
    };
}
