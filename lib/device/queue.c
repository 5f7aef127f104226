/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.c - the queues of a device: enabled by the driver, run by the type.
 *
 * Room: device.
 */
#include "device/device.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- Events of a virtqueue that was made here ---- */

static int notify(void *context, uint32_t value)
{
    const struct vop__device_queue *q = context;

    (void)value;
    return q->device->transport->call(q->device->transport_context, q->index);
}

static void on_broken(void *context, vop_virtqueue *vq)
{
    (void)vq;
    vop_device_break(((const struct vop__device_queue *)context)->device);
}

static void stored(void *context, const void *base, size_t size)
{
    const struct vop_device *d = ((const struct vop__device_queue *)context)->device;

    d->transport->wrote(d->transport_context, base, size);
}

static const struct vop_virtqueue_events events = {.notify = notify, .broken = on_broken};
static const struct vop_virtqueue_events logged_events = {.notify = notify, .broken = on_broken, .stored = stored};

/* ---- The driver's memory ---- */

int vop_device_set_regions(vop_device *d, const struct vop_region *regions, size_t count)
{
    struct vop_region *copy = calloc(count ? count : 1, sizeof(*copy));
    int ret = 0;

    if (!copy)
        return vop__error_static(ENOMEM, "no memory for a table of regions");
    if (count > 0)
        memcpy(copy, regions, count * sizeof(*copy));
    for (unsigned i = 0; ret == 0 && i < d->options.queues; i++) {
        if (d->queue[i].vq && !d->queue[i].is_adopted)
            ret = vop_virtqueue_set_regions(d->queue[i].vq, copy, count);
    }
    if (ret < 0) { /* a table that is wrong is so for the first queue: all have the old one still */
        if (ret == -ENOMEM)
            vop_device_break(d);
        free(copy);
        return ret;
    }
    free(d->regions);
    d->regions = copy;
    d->region_count = count;
    return 0;
}

/* Where `size` bytes at a driver's address are here, if one region has them all; or NULL. */
static void *find(const struct vop_device *d, uint64_t address, uint64_t size)
{
    for (size_t i = 0; i < d->region_count; i++) {
        const struct vop_region *r = &d->regions[i];
        uint64_t offset = address - r->address;

        if (address >= r->address && offset < r->size && size <= r->size - offset && offset <= SIZE_MAX)
            return r->base ? (uint8_t *)r->base + offset : (void *)(uintptr_t)address; /* all memory of the process */
    }
    return NULL;
}

static int place_area(const struct vop__device_queue *q, const char *name, uint64_t address, size_t size,
                      struct vop_area *ret_area)
{
    *ret_area = (struct vop_area){.base = find(q->device, address, size), .size = size};
    if (ret_area->base)
        return 0;
    return vop__error(EINVAL, "queue %u: its %s area at %#llx, %zu bytes, is not in the driver's memory", q->index,
                      name, (unsigned long long)address, size);
}

static int place_areas(const struct vop__device_queue *q, const struct vop_queue_place *place, uint32_t layout,
                       struct vop_virtqueue_place *ret_place)
{
    struct vop_ring_offsets o;
    uint64_t desc = place->desc, driver = place->driver, device = place->device;
    bool is_block = vop__device_is_legacy(q->device);
    int ret = vop_ring_layout_offsets((enum vop_ring_layout)layout, place->size, is_block ? place->alignment : 0, &o);

    if (ret < 0)
        return ret;
    if (is_block) {
        if (desc > UINT64_MAX - o.total)
            return vop__error(EINVAL, "queue %u: it passes the end of all addresses", q->index);
        driver = desc + o.driver;
        device = desc + o.device;
    }
    ret_place->size = place->size;
    ret = place_area(q, "descriptor", desc, o.desc_size, &ret_place->desc);
    if (ret == 0)
        ret = place_area(q, "driver", driver, o.driver_size, &ret_place->driver);
    if (ret == 0)
        ret = place_area(q, "device", device, o.device_size, &ret_place->device);
    return ret;
}

/* ---- States ---- */

uint32_t vop_device_queue_count(const vop_device *d)
{
    return d->options.queues;
}

uint32_t vop_device_queue_max(const vop_device *d, unsigned index)
{
    return index < d->options.queues ? d->options.queue_size_max[index] : 0;
}

bool vop_device_queue_is_enabled(const vop_device *d, unsigned index)
{
    return index < d->options.queues && d->queue[index].vq;
}

static enum vop_ring_layout get_layout(const struct vop_device *d)
{
    if (vop__device_is_legacy(d))
        return VOP_RING_LEGACY;
    return vop_device_has(d, VOP_F_RING_PACKED) ? VOP_RING_PACKED : VOP_RING_SPLIT;
}

int vop_device_enable_queue(vop_device *d, unsigned index, const struct vop_queue_place *place)
{
    struct vop_virtqueue_options o;
    struct vop__device_queue *q;
    int ret;

    if (index >= d->options.queues || !d->transport)
        return vop__error(EINVAL, "queue %u: there is no such queue", index);
    q = &d->queue[index];
    if (q->vq)
        return vop__error(EBUSY, "queue %u: it is enabled already", index);
    if (place->size > vop_device_queue_max(d, index))
        return vop__error(EINVAL, "queue %u: %u entries of at most %u", index, place->size,
                          vop_device_queue_max(d, index));
    vop_virtqueue_options_init(&o, sizeof(o));
    o.role = VOP_VIRTQUEUE_DEVICE;
    o.layout = get_layout(d);
    memcpy(o.features, d->accepted, sizeof(o.features));
    o.index = index;
    o.regions = d->regions;
    o.region_count = d->region_count;
    o.segments_max = place->size < d->options.segments_max ? place->size : d->options.segments_max;
    o.flags = vop_device_is_big_endian(d) ? VOP_VIRTQUEUE_BIG_ENDIAN : 0;
    o.events = d->transport->wrote ? &logged_events : &events;
    o.context = q;
    ret = place_areas(q, place, o.layout, &o.place);
    if (ret == 0)
        ret = vop_virtqueue_new(&o, &q->vq);
    if (ret == 0 && d->status & VOP_STATUS_DRIVER_OK)
        vop__device_run_queue(q);
    return ret;
}

void vop__device_run_queue(struct vop__device_queue *q)
{
    const struct vop_device *d = q->device;

    if (!q->vq || q->is_running || d->status & VOP_STATUS_NEEDS_RESET)
        return;
    q->is_running = true;
    d->options.ops->start(d->options.context, q->index, q->vq);
    d->options.ops->notified(d->options.context, q->index); /* a driver may have been early */
}

void vop__device_drop_queue(struct vop__device_queue *q)
{
    const struct vop_device *d = q->device;

    if (!q->vq)
        return;
    if (q->is_running)
        d->options.ops->stop(d->options.context, q->index, q->vq);
    if (!q->is_adopted)
        vop_virtqueue_free(q->vq);
    q->vq = NULL;
    q->is_adopted = q->is_running = false;
}

void vop_device_disable_queue(vop_device *d, unsigned index)
{
    if (index < d->options.queues)
        vop__device_drop_queue(&d->queue[index]);
}

int vop_device_start_queue(vop_device *d, unsigned index, vop_virtqueue *vq)
{
    if (index >= d->options.queues)
        return vop__error(EINVAL, "queue %u: the device has %u", index, d->options.queues);
    vop__device_drop_queue(&d->queue[index]);
    d->queue[index].vq = vq;
    d->queue[index].is_adopted = true;
    vop__device_run_queue(&d->queue[index]);
    return 0;
}

void vop_device_stop_queue(vop_device *d, unsigned index)
{
    vop_device_disable_queue(d, index);
}

void vop_device_notify(vop_device *d, unsigned index)
{
    struct vop__device_queue *q;

    if (index >= d->options.queues || !d->queue[index].vq || d->status & VOP_STATUS_NEEDS_RESET)
        return;
    q = &d->queue[index];
    if (!q->is_running && vop__device_is_legacy(d) && vop__device_agree(d) == 0) {
        vop__device_run_queue(q);
        return;
    }
    if (q->is_running)
        d->options.ops->notified(d->options.context, index);
}

/* ---- For types ---- */

int vop_device_complete(vop_device *d, vop_virtqueue *vq, uint32_t handle, const struct iovec *writable, uint32_t len)
{
    uint32_t left = len;

    for (; left > 0 && d->transport && d->transport->wrote; writable++) {
        uint32_t part = writable->iov_len < left ? (uint32_t)writable->iov_len : left;

        d->transport->wrote(d->transport_context, writable->iov_base, part);
        left -= part;
    }
    return vop_virtqueue_complete(vq, handle, len);
}
