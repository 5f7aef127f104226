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

int vop__geometry_check(const struct vop__geometry *g)
{
    if (g->queue_pairs < 1 || g->queue_pairs > VOP_QUEUE_PAIRS_MAX)
        return vop__error(EINVAL, "%u queue pairs: must be 1 to %u", g->queue_pairs, VOP_QUEUE_PAIRS_MAX);
    if (g->queue_size < VOP_QUEUE_SIZE_MIN || g->queue_size > VOP_QUEUE_SIZE_MAX ||
        (g->queue_size & (g->queue_size - 1)))
        return vop__error(EINVAL, "queue size %u: must be a power of two, %u to %u", g->queue_size, VOP_QUEUE_SIZE_MIN,
                          VOP_QUEUE_SIZE_MAX);
    if (g->slot_size < VOP_SLOT_SIZE_MIN || g->slot_size > VOP_SLOT_SIZE_MAX || g->slot_size % VOP_SLOT_ALIGN)
        return vop__error(EINVAL, "slot size %u: must be a multiple of %u, %u to %u", g->slot_size, VOP_SLOT_ALIGN,
                          VOP_SLOT_SIZE_MIN, VOP_SLOT_SIZE_MAX);
    if ((uint64_t)g->queue_size * g->slot_size > VOP_POOL_SIZE_MAX)
        return vop__error(EINVAL, "%u slots of %u bytes: a pool must not exceed %u bytes", g->queue_size, g->slot_size,
                          VOP_POOL_SIZE_MAX);
    return 0;
}

struct vop__geometry vop__geometry_combine(const struct vop__geometry *a, const struct vop__geometry *b)
{
    return (struct vop__geometry){
        .queue_pairs = smaller(a->queue_pairs, b->queue_pairs),
        .queue_size = smaller(a->queue_size, b->queue_size),
        .slot_size = smaller(a->slot_size, b->slot_size),
    };
}

size_t vop__geometry_pool_size(const struct vop__geometry *g)
{
    return (size_t)g->queue_size * g->slot_size;
}

/* Offsets of a queue pair whose areas begin at 0, all but `pool`. Returns where the next pair begins. */
static size_t queue_areas(uint32_t n, struct vop__areas *l)
{
    l->desc = 0;
    l->avail = align_up(l->desc + n * sizeof(struct vop_desc), VOP_AREA_ALIGN);
    l->used_event = l->avail + sizeof(struct vop_avail) + n * sizeof(vop_le16);
    l->used = align_up(l->used_event + sizeof(struct vop_event), VOP_AREA_ALIGN);
    l->avail_event = l->used + sizeof(struct vop_used) + n * sizeof(struct vop_used_elem);
    return align_up(l->avail_event + sizeof(struct vop_event), VOP_AREA_ALIGN);
}

static size_t first_pool(const struct vop__geometry *g)
{
    struct vop__areas l;

    return align_up(VOP_AREA_OFFSET + g->queue_pairs * queue_areas(g->queue_size, &l), VOP_POOL_ALIGN);
}

static size_t pool_stride(const struct vop__geometry *g)
{
    return align_up(vop__geometry_pool_size(g), VOP_POOL_ALIGN);
}

uint64_t vop__geometry_half_size(const struct vop__geometry *g)
{
    return first_pool(g) + (uint64_t)g->queue_pairs * pool_stride(g);
}

struct vop__areas vop__geometry_areas(const struct vop__geometry *g, unsigned queue)
{
    struct vop__areas l;
    size_t base = VOP_AREA_OFFSET + queue * queue_areas(g->queue_size, &l);

    l.desc += base;
    l.avail += base;
    l.used_event += base;
    l.used += base;
    l.avail_event += base;
    l.pool = first_pool(g) + queue * pool_stride(g);
    return l;
}
