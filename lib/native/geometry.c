/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * geometry.c - where in a half each area of each queue lies (PROTOCOL.md, Geometry).
 *
 * Room: native.
 */
#include "native/geometry.h"

#include "core/error.h"

static size_t align_up(size_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static int check_slots(const struct vop__slots *slots)
{
    if (slots->queue_size < VOP_QUEUE_SIZE_MIN || slots->queue_size > VOP_QUEUE_SIZE_MAX ||
        (slots->queue_size & (slots->queue_size - 1)))
        return vop__error(EINVAL, "queue size %u: must be a power of two, %u to %u", slots->queue_size,
                          VOP_QUEUE_SIZE_MIN, VOP_QUEUE_SIZE_MAX);
    if (slots->slot_size < VOP_SLOT_SIZE_MIN || slots->slot_size > VOP_SLOT_SIZE_MAX ||
        slots->slot_size % VOP_SLOT_ALIGN)
        return vop__error(EINVAL, "slot size %u: must be a multiple of %u, %u to %u", slots->slot_size, VOP_SLOT_ALIGN,
                          VOP_SLOT_SIZE_MIN, VOP_SLOT_SIZE_MAX);
    if ((uint64_t)slots->queue_size * slots->slot_size > VOP_POOL_SIZE_MAX)
        return vop__error(EINVAL, "%u slots of %u bytes: a pool must not exceed %u bytes", slots->queue_size,
                          slots->slot_size, VOP_POOL_SIZE_MAX);
    return 0;
}

static bool says_send(const struct vop__geometry *g)
{
    return g->send.queue_size || g->send.slot_size;
}

int vop__geometry_check(const struct vop__geometry *g)
{
    int ret;

    if (g->queue_pairs < 1 || g->queue_pairs > VOP_QUEUE_PAIRS_MAX)
        return vop__error(EINVAL, "%u queue pairs: must be 1 to %u", g->queue_pairs, VOP_QUEUE_PAIRS_MAX);
    ret = check_slots(&g->receive);
    if (ret == 0 && says_send(g))
        ret = check_slots(&g->send);
    return ret;
}

bool vop__geometry_is_uneven(const struct vop__geometry *mine, const struct vop__geometry *its)
{
    return says_send(mine) && says_send(its);
}

static struct vop__slots meet(const struct vop__slots *a, const struct vop__slots *b)
{
    return (struct vop__slots){smaller(a->queue_size, b->queue_size), smaller(a->slot_size, b->slot_size)};
}

struct vop__geometry vop__geometry_combine(const struct vop__geometry *mine, const struct vop__geometry *its)
{
    bool uneven = vop__geometry_is_uneven(mine, its);

    return (struct vop__geometry){
        .queue_pairs = smaller(mine->queue_pairs, its->queue_pairs),
        .receive = meet(&mine->receive, uneven ? &its->send : &its->receive),
        .send = meet(uneven ? &mine->send : &mine->receive, &its->receive),
    };
}

size_t vop__geometry_pool_size(const struct vop__slots *slots)
{
    return (size_t)slots->queue_size * slots->slot_size;
}

/* Of the half that is read by the side which receives so, and written by the one which does as its writer. */
struct half {
    struct vop__slots writer, reader;
};

static struct half half_of(const struct vop__geometry *g, bool remote)
{
    return remote ? (struct half){.writer = g->receive, .reader = g->send}
                  : (struct half){.writer = g->send, .reader = g->receive};
}

/* Offsets of a queue pair whose areas begin at 0, all but `pool`. Returns where the next pair begins. */
static size_t queue_areas(const struct half *h, struct vop__areas *l)
{
    uint32_t own = h->writer.queue_size, its = h->reader.queue_size;

    l->desc = 0;
    l->avail = align_up(l->desc + own * sizeof(struct vop_desc), VOP_AREA_ALIGN);
    l->used_event = l->avail + sizeof(struct vop_avail) + own * sizeof(vop_le16);
    l->used = align_up(l->used_event + sizeof(struct vop_event), VOP_AREA_ALIGN);
    l->avail_event = l->used + sizeof(struct vop_used) + its * sizeof(struct vop_used_elem);
    return align_up(l->avail_event + sizeof(struct vop_event), VOP_AREA_ALIGN);
}

static size_t first_pool(const struct half *h, uint32_t queue_pairs)
{
    struct vop__areas l;

    return align_up(VOP_AREA_OFFSET + queue_pairs * queue_areas(h, &l), VOP_POOL_ALIGN);
}

static size_t pool_stride(const struct half *h)
{
    return align_up(vop__geometry_pool_size(&h->reader), VOP_POOL_ALIGN);
}

uint64_t vop__geometry_half_size(const struct vop__geometry *g, bool remote)
{
    struct half h = half_of(g, remote);

    return first_pool(&h, g->queue_pairs) + (uint64_t)g->queue_pairs * pool_stride(&h);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Each size grows with each value, and what is in force is at most this offer, or an even one of what it receives. */
uint64_t vop__geometry_offer_size(const struct vop__geometry *offer)
{
    struct vop__geometry even = {offer->queue_pairs, offer->receive, offer->receive};
    uint64_t size = vop__geometry_half_size(&even, false);

    if (says_send(offer))
        size = larger(size, larger(vop__geometry_half_size(offer, false), vop__geometry_half_size(offer, true)));
    return size;
}

struct vop__areas vop__geometry_areas(const struct vop__geometry *g, bool remote, unsigned queue)
{
    struct half h = half_of(g, remote);
    struct vop__areas l;
    size_t base = VOP_AREA_OFFSET + queue * queue_areas(&h, &l);

    l.desc += base;
    l.avail += base;
    l.used_event += base;
    l.used += base;
    l.avail_event += base;
    l.pool = first_pool(&h, g->queue_pairs) + queue * pool_stride(&h);
    return l;
}
