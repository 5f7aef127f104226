/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resolver.c - the board's part of a device: its own rings, the device of the host's rings, and what joins them.
 *
 * Room: net2009.
 */
#include "net2009/resolver.h"

#include "core/error.h"

#include <stdlib.h>

#define RINGS_SIZE 4096u /* of one own queue */

struct way {
    vop_virtqueue *host, *own; /* device role both */
    struct vop__engine_user user;
    struct vop__joint *joint;
    uint8_t rings[RINGS_SIZE] __attribute__((aligned(16)));
};

struct vop__resolver {
    struct vop__resolver_options options;
    struct way way[VOP__2009_QUEUES];
};

/* Both roles of the own queues are here: each finds the other by looking. */
static int notify_nobody(void *context, uint32_t value)
{
    (void)context;
    (void)value;
    return 0;
}

static const struct vop_virtqueue_events inside = {.notify = notify_nobody};

/* ---- Queues ---- */

static int open_host(struct vop__resolver *r, unsigned queue)
{
    const struct vop__mpc8349_end *end = r->options.end;
    const struct vop__window *far = r->options.host_block;
    uint8_t *near = vop__2009_queue(&end->local, r->options.device, queue);
    /* What the engine finds where, of all that the host can name. */
    struct vop_region region = {end->dma.bus, end->dma.size, (void *)(uintptr_t)end->dma.outbound, 0};
    struct vop_virtqueue_options o;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = VOP_VIRTQUEUE_DEVICE;
    o.layout = VOP_RING_2009;
    o.index = queue;
    o.place = (struct vop_virtqueue_place){
        .size = VOP__2009_N,
        .desc = {near, VOP__2009_DESC, VOP_AREA_PLATFORM},
        .driver = {near + VOP__2009_DESC, VOP__2009_QUEUE_BLOCK - VOP__2009_DESC, VOP_AREA_PLATFORM},
        .device = {vop__2009_queue(far, r->options.device, queue), VOP__2009_QUEUE_BLOCK,
                   VOP_AREA_POSTED | VOP_AREA_PLATFORM},
    };
    o.regions = &region;
    o.region_count = 1;
    o.events = r->options.events;
    o.context = r->options.context;
    return vop_virtqueue_new(&o, &r->way[queue].host);
}

static int open_own(struct vop__resolver *r, unsigned queue, uint32_t role, vop_virtqueue **ret_vq)
{
    const struct vop__mpc8349_end *end = r->options.end;
    uint32_t offset = VOP__2009_BLOCK, size = (uint32_t)end->local.size - offset;
    uint8_t *base = role == VOP_VIRTQUEUE_DRIVER ? (uint8_t *)vop__window_at(&end->local, offset)
                                                 : (uint8_t *)(uintptr_t)(end->dma.local + offset);
    struct vop_region region = {end->dma.local + offset, size, base, 0};
    uint8_t *rings = r->way[queue].rings;
    struct vop_ring_offsets at;
    struct vop_virtqueue_options o;

    (void)vop_ring_layout_offsets(VOP_RING_SPLIT, VOP__2009_N, 0, &at);
    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = role;
    o.layout = VOP_RING_SPLIT;
    o.index = queue;
    o.place = (struct vop_virtqueue_place){
        .size = VOP__2009_N,
        .desc = {rings + at.desc, at.desc_size, 0},
        .driver = {rings + at.driver, at.driver_size, 0},
        .device = {rings + at.device, at.device_size, 0},
    };
    o.regions = &region;
    o.region_count = 1;
    o.events = &inside;
    return vop_virtqueue_new(&o, ret_vq);
}

static int open_way(struct vop__resolver *r, unsigned queue)
{
    struct way *w = &r->way[queue];
    bool is_receive = queue == VOP__2009_RECEIVE;
    struct vop__joint_options options = {
        .ops = &vop__engine_ops,
        .context = &w->user,
        .may_merge = r->options.may_merge,
        .count_at = offsetof(struct vop_net_hdr, num_buffers),
        .count_in_source = is_receive, /* the chain that lies on the board */
    };
    int ret = open_host(r, queue);

    w->user.engine = r->options.engine;
    if (ret == 0)
        ret = open_own(r, queue, VOP_VIRTQUEUE_DEVICE, &w->own);
    if (ret < 0)
        return ret;
    options.source = is_receive ? w->own : w->host;
    options.sink = is_receive ? w->host : w->own;
    return vop__joint_new(&options, &w->joint);
}

int vop__resolver_new(const struct vop__resolver_options *options, struct vop__resolver **ret_resolver)
{
    struct vop__resolver *r = calloc(1, sizeof(*r));
    int ret = 0;

    if (!r)
        return vop__error(ENOMEM, "no memory for a device");
    r->options = *options;
    for (unsigned queue = 0; queue < VOP__2009_QUEUES && ret == 0; queue++)
        ret = open_way(r, queue);
    if (ret < 0) {
        vop__resolver_free(r);
        return ret;
    }
    *ret_resolver = r;
    return 0;
}

vop_virtqueue *vop__resolver_driver(struct vop__resolver *r, unsigned queue)
{
    vop_virtqueue *vq;

    return open_own(r, queue, VOP_VIRTQUEUE_DRIVER, &vq) < 0 ? NULL : vq;
}

const vop_virtqueue *vop__resolver_host(const struct vop__resolver *r, unsigned queue)
{
    return r->way[queue].host;
}

/* ---- Work ---- */

int vop__resolver_step(struct vop__resolver *r)
{
    int any = 0;

    for (unsigned queue = 0; queue < VOP__2009_QUEUES; queue++) {
        int ret = vop__joint_step(r->way[queue].joint);

        if (ret < 0)
            return ret;
        any |= ret;
    }
    return any;
}

int vop__resolver_arm(struct vop__resolver *r)
{
    int ret = 1;

    for (unsigned queue = 0; queue < VOP__2009_QUEUES && ret > 0; queue++)
        ret = vop__joint_arm(r->way[queue].joint);
    return ret;
}

void vop__resolver_disarm(struct vop__resolver *r)
{
    for (unsigned queue = 0; queue < VOP__2009_QUEUES; queue++)
        vop__joint_disarm(r->way[queue].joint);
}

/* A step that fails has heard of what has ended all the same. */
bool vop__resolver_stop(struct vop__resolver *r)
{
    bool is_idle = true;

    for (unsigned queue = 0; queue < VOP__2009_QUEUES; queue++) {
        vop__joint_stop(r->way[queue].joint);
        if (!vop__joint_is_idle(r->way[queue].joint))
            (void)vop__joint_step(r->way[queue].joint);
        is_idle = is_idle && vop__joint_is_idle(r->way[queue].joint);
    }
    return is_idle;
}

void vop__resolver_count(const struct vop__resolver *r, uint64_t *ret_dropped, uint64_t *ret_failed)
{
    *ret_dropped = *ret_failed = 0;
    for (unsigned queue = 0; queue < VOP__2009_QUEUES; queue++) {
        struct vop__joint_counts counts;

        vop__joint_get_counts(r->way[queue].joint, &counts);
        *ret_dropped += counts.dropped;
        *ret_failed += counts.failed;
    }
}

void vop__resolver_free(struct vop__resolver *r)
{
    for (unsigned queue = 0; r && queue < VOP__2009_QUEUES; queue++) {
        vop__joint_free(r->way[queue].joint);
        vop_virtqueue_free(r->way[queue].host);
        vop_virtqueue_free(r->way[queue].own);
    }
    free(r);
}
