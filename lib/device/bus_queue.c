/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus_queue.c - the queues of a device in driver role: their memory, and telling the device where it is.
 *
 * Room: device.
 */
#include "device/bus.h"

#include "core/error.h"

#include <stdio.h>
#include <string.h>

#define TABLE_ENTRIES 16u /* segments of a buffer that may go through an indirect table */

/* ---- Events ---- */

static int notify(void *context, uint32_t value)
{
    const struct vop__bus_queue *q = context;

    return vop__bus_ops(q->device)->notify(q->device->options.context, q->index, value);
}

static bool on_used(void *context, vop_virtqueue *vq)
{
    const struct vop__bus_queue *q = context;

    return q->events && q->events->callback ? q->events->callback(q->context, vq) : false;
}

/* virtio 1.2, 2.1.1: the driver gives up. */
static void on_broken(void *context, vop_virtqueue *vq)
{
    const struct vop__bus_queue *q = context;
    const vop_bus_device *d = q->device;

    vop__bus_ops(d)->set_status(d->options.context, vop_bus_status(d) | VOP_STATUS_FAILED);
    if (q->events && q->events->broken)
        q->events->broken(q->context, vq);
}

/* ---- Memory ---- */

static enum vop_ring_layout get_layout(const vop_bus_device *d)
{
    if (d->options.legacy_alignment)
        return VOP_RING_LEGACY;
    return vop_bus_has(d, VOP_F_RING_PACKED) ? VOP_RING_PACKED : VOP_RING_SPLIT;
}

uint32_t vop_bus_queue_size(vop_bus_device *d, unsigned index)
{
    uint32_t max = index < VOP_DEVICE_QUEUES_MAX ? vop__bus_ops(d)->get_queue_max(d->options.context, index) : 0;

    if (max > 32768)
        max = 32768;
    if (max > d->options.queue_size)
        max = d->options.queue_size;
    while (max & (max - 1) && get_layout(d) != VOP_RING_PACKED)
        max &= max - 1;
    return max;
}

static void place_area(const struct vop__bus_queue *q, size_t offset, size_t size, struct vop_area *ret_area,
                       uint64_t *ret_address)
{
    *ret_area =
        (struct vop_area){.base = (uint8_t *)q->memory + offset, .size = size, .flags = q->device->memory.all.flags};
    *ret_address = vop__bus_memory_address(&q->device->memory, ret_area->base);
}

/* Rings, and behind them tables if they may be used; without them if there is not so much memory. */
static int place(struct vop__bus_queue *q, uint32_t size)
{
    vop_bus_device *d = q->device;
    uint32_t alignment = d->options.legacy_alignment;
    struct vop_ring_offsets o;
    size_t tables = vop_bus_has(d, VOP_F_INDIRECT_DESC) ? (size_t)size * TABLE_ENTRIES * 16 : 0;
    int ret = vop_ring_layout_offsets(get_layout(d), size, alignment ? alignment : VOP__BUS_ALIGN, &o);

    if (ret < 0)
        return ret;
    q->memory_size = (o.total + VOP__BUS_ALIGN - 1) & ~(size_t)(VOP__BUS_ALIGN - 1);
    ret = vop__bus_memory_get(&d->memory, q->memory_size + tables,
                              alignment > VOP__BUS_ALIGN ? alignment : VOP__BUS_ALIGN, &q->memory);
    if (ret < 0 && tables) {
        tables = 0;
        ret = vop__bus_memory_get(&d->memory, q->memory_size, alignment > VOP__BUS_ALIGN ? alignment : VOP__BUS_ALIGN,
                                  &q->memory);
    }
    if (ret < 0)
        return ret;
    q->place = (struct vop_virtqueue_place){.size = size, .tables_entries = TABLE_ENTRIES};
    q->address = (struct vop_queue_place){.size = size, .alignment = alignment};
    place_area(q, o.desc, o.desc_size, &q->place.desc, &q->address.desc);
    place_area(q, o.driver, o.driver_size, &q->place.driver, &q->address.driver);
    place_area(q, o.device, o.device_size, &q->place.device, &q->address.device);
    if (tables)
        place_area(q, q->memory_size, tables, &q->place.tables, &q->place.tables_address);
    return 0;
}

/* ---- Set-up ---- */

static int make(struct vop__bus_queue *q)
{
    static const struct vop_virtqueue_events events = {.notify = notify, .callback = on_used, .broken = on_broken};
    const vop_bus_device *d = q->device;
    struct vop_region region = vop__bus_memory_region(&d->memory);
    struct vop_virtqueue_options o;

    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = VOP_VIRTQUEUE_DRIVER;
    o.layout = get_layout(d);
    memcpy(o.features, d->accepted, sizeof(o.features));
    o.index = q->index;
    o.place = q->place;
    o.regions = &region;
    o.region_count = d->memory.all.base ? 1 : 0;
    o.flags = vop_bus_is_big_endian(d) ? VOP_VIRTQUEUE_BIG_ENDIAN : 0;
    o.events = &events;
    o.context = q;
    return vop_virtqueue_new(&o, &q->vq);
}

static void drop(struct vop__bus_queue *q)
{
    vop_virtqueue_free(q->vq);
    vop__bus_memory_put(&q->device->memory, q->memory);
    q->vq = NULL;
    q->memory = NULL;
}

int vop_bus_add_queue(vop_bus_device *d, unsigned index, const struct vop_bus_queue_events *events, void *context,
                      vop_virtqueue **ret_vq)
{
    uint32_t size = vop_bus_queue_size(d, index);
    struct vop__bus_queue *q;
    int ret;

    if (size == 0)
        return vop__error(ENOENT, "the device has no queue %u", index);
    q = &d->queue[index];
    if (q->vq)
        return vop__error(EBUSY, "queue %u is set up already", index);
    q->events = events;
    q->context = context;
    ret = place(q, size);
    if (ret == 0)
        ret = make(q);
    if (ret == 0)
        ret = vop__bus_ops(d)->enable_queue(d->options.context, index, &q->address);
    if (ret < 0) {
        drop(q);
        return ret;
    }
    *ret_vq = q->vq;
    return 0;
}

int vop_bus_reset_queue(vop_bus_device *d, unsigned index, vop_bus_detach *detach, void *context)
{
    struct vop__bus_queue *q = index < VOP_DEVICE_QUEUES_MAX ? &d->queue[index] : NULL;
    void *token;
    int ret;

    if (!q || !q->vq)
        return vop__error(EINVAL, "queue %u is not set up", index);
    if (!vop_bus_has(d, VOP_F_RING_RESET))
        return vop__error(EOPNOTSUPP, "the device cannot reset a single queue (RING_RESET): reset all of it");
    ret = vop__bus_ops(d)->disable_queue(d->options.context, index);
    if (ret < 0)
        return ret;
    vop_virtqueue_shutdown(q->vq);
    while (vop_virtqueue_detach_buf(q->vq, &token) == 1) {
        if (detach)
            detach(context, token);
    }
    memset(q->memory, 0, q->memory_size);
    ret = vop_virtqueue_reset(q->vq, &q->place);
    return ret < 0 ? ret : vop__bus_ops(d)->enable_queue(d->options.context, index, &q->address);
}

void vop__bus_drop_queues(vop_bus_device *d)
{
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++) {
        if (d->queue[i].vq)
            drop(&d->queue[i]);
    }
}

/* ---- Memory for buffers ---- */

int vop_bus_alloc(vop_bus_device *d, size_t size, void **ret_memory)
{
    return vop__bus_memory_get(&d->memory, size ? size : 1, VOP__BUS_ALIGN, ret_memory);
}

void vop_bus_dealloc(vop_bus_device *d, void *memory)
{
    vop__bus_memory_put(&d->memory, memory);
}
