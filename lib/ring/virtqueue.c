/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtqueue.c - the calls of <vopipc/virtqueue.h>: what is the same for every layout, before and after its operations.
 *
 * Room: ring. Theory of operation: ring/vq.h.
 */
#include "ring/inflight.h"
#include "ring/vq.h"
#include "ring/vq_device.h"
#include "ring/vq_driver.h"
#include "ring/vq_options.h"

#include <stdlib.h>
#include <string.h>

static const struct vop__vq_ops *const operations[][3] = {
    /* layout             driver                   device                   device that is logged or keeps a record */
    [VOP_RING_SPLIT] = {&vop__split_driver_ops, &vop__split_device_ops, &vop__split_recorded_ops},
    [VOP_RING_PACKED] = {&vop__packed_driver_ops, &vop__packed_device_ops, &vop__packed_recorded_ops},
    [VOP_RING_LEGACY] = {&vop__split_driver_ops, &vop__split_device_ops, &vop__split_recorded_ops},
    [VOP_RING_2009] = {&vop__split_driver_ops, &vop__split_device_ops, &vop__split_recorded_ops},
};

static const struct vop__vq_ops *const big_operations[3] = {&vop__split_big_driver_ops, &vop__split_big_device_ops,
                                                            &vop__split_big_recorded_ops};

static bool is_logged(const struct vop_virtqueue_options *o)
{
    return o->role == VOP_VIRTQUEUE_DEVICE && o->events && o->events->stored;
}

static const struct vop__vq_ops *operations_of(const struct vop_virtqueue_options *o)
{
    const struct vop__vq_ops *const *row = o->flags & VOP_VIRTQUEUE_BIG_ENDIAN ? big_operations : operations[o->layout];

    if (o->role == VOP_VIRTQUEUE_DRIVER)
        return row[0];
    return row[is_logged(o) || o->place.inflight.size > 0 ? 2 : 1];
}

/* ---- Making and freeing ---- */

/* A fence orders accesses to several areas: if one of them is device memory, all are treated as such. */
static bool is_platform(const struct vop_virtqueue_options *o)
{
    const struct vop_virtqueue_place *p = &o->place;

    return (p->desc.flags | p->driver.flags | p->device.flags | p->tables.flags) & VOP_AREA_PLATFORM ||
           vop__vq_feature(o, VOP_F_ORDER_PLATFORM);
}

static struct vop__window window_of(const struct vop_virtqueue_options *o, const struct vop_area *area)
{
    return (struct vop__window){
        .base = area->base,
        .size = area->size,
        .flags = (area->flags & VOP_AREA_POSTED ? (unsigned)VOP__WINDOW_POSTED : 0) |
                 (is_platform(o) ? (unsigned)VOP__WINDOW_PLATFORM : 0),
    };
}

static void place_tables(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    size_t descs = place->tables.size / 16;
    size_t entries = place->tables_entries != 0 ? place->tables_entries : descs / place->size;
    size_t count = entries == 0 ? 0 : descs / entries;

    if (!vq->indirect || count == 0)
        entries = count = 0;
    vq->tables = window_of(&vq->options, &place->tables);
    vq->tables_address = place->tables_address;
    vq->tables_entries = (uint32_t)(entries < 32768 ? entries : 32768);
    vq->tables_count = (uint32_t)(count < place->size ? count : place->size);
}

/* Starts over in a checked place, with `records` of its size, and what its inflight record says. */
static void start(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place, struct vop__record *records,
                  struct vop__inflight *inflight)
{
    struct vop_virtqueue_options o = vq->options;
    struct vop__regions regions = vq->regions;
    const struct vop__vq_ops *ops;

    o.place = *place;
    ops = operations_of(&o); /* those of a layout have states of one size */
    memset(vq, 0, ops->state_size);
    *vq = (struct vop_virtqueue){
        .ops = ops,
        .records = records,
        .size = place->size,
        .segments_max = o.segments_max != 0 ? o.segments_max : place->size,
        .bytes_max = o.bytes_max,
        .single_max = o.layout == VOP_RING_2009 ? 0 : o.bytes_max,
        .address_max = o.layout == VOP_RING_2009 ? UINT32_MAX : UINT64_MAX,
        .in_order = vop__vq_feature(&o, VOP_F_IN_ORDER),
        .event_idx = vop__vq_feature(&o, VOP_F_EVENT_IDX),
        .indirect = vop__vq_feature(&o, VOP_F_INDIRECT_DESC),
        .first = true,
        .armed = true,
        .is_logged = is_logged(&o),
        .desc = window_of(&o, &place->desc),
        .driver = window_of(&o, &place->driver),
        .device = window_of(&o, &place->device),
        .regions = regions,
        .inflight = inflight,
        .options = o,
    };
    place_tables(vq, place);
    ops->start(vq, place);
}

int vop_virtqueue_new(const struct vop_virtqueue_options *options, vop_virtqueue **ret_vq)
{
    struct vop__inflight *inflight = NULL;
    struct vop_virtqueue_options o;
    struct vop_virtqueue *vq;
    struct vop__record *records;
    int ret = vop__vq_options_resolve(options, &o);

    if (ret == 0)
        ret = vop__vq_place_check(&o, &o.place);
    if (ret < 0)
        return ret;
    ret = -ENOMEM;
    records = calloc(o.place.size, sizeof(*records));
    if (!records)
        goto err_records;
    vq = calloc(1, operations_of(&o)->state_size);
    if (!vq)
        goto err_vq;
    ret = vop__regions_init(&vq->regions, o.regions, o.region_count);
    if (ret < 0)
        goto err_regions;
    if (o.place.inflight.size > 0)
        ret = vop__inflight_open(&o.place, o.layout == VOP_RING_PACKED, &inflight);
    if (ret < 0)
        goto err_inflight;
    vq->options = o;
    vq->options.regions = NULL; /* the caller's pointer; the queue has a copy */
    start(vq, &o.place, records, inflight);
    *ret_vq = vq;
    return 0;

err_inflight:
    vop__regions_free(&vq->regions);
err_regions:
    free(vq);
err_vq:
    free(records);
err_records:
    return ret == -ENOMEM ? vop__error_static(ENOMEM, "no memory for the state of a queue") : ret;
}

void vop_virtqueue_free(vop_virtqueue *vq)
{
    if (!vq)
        return;
    vop__regions_free(&vq->regions);
    vop__inflight_free(vq->inflight);
    free(vq->records);
    free(vq);
}

void vop_virtqueue_shutdown(vop_virtqueue *vq)
{
    vq->stopped = true;
}

int vop_virtqueue_detach_buf(vop_virtqueue *vq, void **ret_token)
{
    if (vq->options.role != VOP_VIRTQUEUE_DRIVER)
        return vop__error_static(EOPNOTSUPP, "only a driver has buffers to detach");
    if (!vq->stopped)
        return vop__error_static(EBUSY, "the device may still use the buffers: shut the queue down first");
    for (; vq->detach_at < vq->size; vq->detach_at++) {
        struct vop__record *record = &vq->records[vq->detach_at];

        if (record->state == VOP__RECORD_HELD) {
            record->state = VOP__RECORD_FREE;
            vq->in_flight--;
            *ret_token = record->token;
            return 1;
        }
    }
    return 0;
}

int vop_virtqueue_reset(vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    struct vop_virtqueue_place p = *place;
    struct vop__inflight *inflight = NULL;
    struct vop__record *records;
    int ret;

    if (vq->options.role == VOP_VIRTQUEUE_DRIVER && vq->in_flight != 0)
        return vop__error(EBUSY, "%u buffers are still in the queue: detach them first", vq->in_flight);
    vq->stopped = true;
    ret = vop__vq_place_check(&vq->options, &p);
    if (ret < 0)
        return ret;
    records = calloc(p.size, sizeof(*records));
    ret = records ? 0 : -ENOMEM;
    if (ret == 0 && p.inflight.size > 0)
        ret = vop__inflight_open(&p, vq->options.layout == VOP_RING_PACKED, &inflight);
    if (ret < 0) {
        free(records);
        return ret == -ENOMEM ? vop__error_static(ENOMEM, "no memory for the state of a queue") : ret;
    }
    free(vq->records);
    vop__inflight_free(vq->inflight);
    start(vq, &p, records, inflight);
    return 0;
}

int vop_virtqueue_set_regions(vop_virtqueue *vq, const struct vop_region *regions, size_t count)
{
    struct vop__regions table;
    int ret;

    if (vq->options.role == VOP_VIRTQUEUE_DEVICE && count == 0)
        return vop__error_static(EINVAL, "a device needs regions, or it would touch any address that the driver names");
    ret = vop__regions_init(&table, regions, count);
    if (ret < 0)
        return ret;
    vop__regions_free(&vq->regions);
    vq->regions = table;
    return 0;
}

/* ---- Broken queues ---- */

static __attribute__((noinline, cold)) int why_not(const struct vop_virtqueue *vq)
{
    if (vq->stopped)
        return vop__error_static(ESHUTDOWN, "the queue is shut down");
    if (vq->broken)
        return vop__vq_health(vq);
    return vop__error_static(EOPNOTSUPP, "this call belongs to the other role of a queue");
}

/* Alive, and of a role that has the operation `entry`. */
#define usable(vq, entry) __builtin_expect(!(vq)->stopped && !(vq)->broken && (vq)->ops->entry != NULL, 1)

int vop_virtqueue_error(const vop_virtqueue *vq)
{
    return vop__vq_health(vq);
}

void vop_virtqueue_fail(vop_virtqueue *vq, const char *reason)
{
    vop__vq_break_for(vq, "given up", reason ? reason : "no reason was named");
    (void)vop__vq_health(vq);
}

void vop_virtqueue_get_info(const vop_virtqueue *vq, struct vop_virtqueue_info *ret_info, size_t info_size)
{
    bool driver = vq->options.role == VOP_VIRTQUEUE_DRIVER;
    struct vop_virtqueue_info info = {
        .size = vq->size,
        .in_flight = vq->in_flight,
        .free_descs = driver ? vop__driver_of(vq)->free_count : 0,
        .position = vq->position,
        .broken = vq->broken,
        .needs_reset = vq->broken && !driver,
        .buffers = vq->buffers,
        .notified = vq->notified,
        .clamped = vq->clamped,
        .used_position = vq->used_position,
    };

    memset(ret_info, 0, info_size);
    memcpy(ret_info, &info, info_size < sizeof(info) ? info_size : sizeof(info));
}

/* ---- Notifying ---- */

int vop_virtqueue_kick(vop_virtqueue *vq)
{
    return usable(vq, add) ? vop__vq_publish(vq) : why_not(vq);
}

int vop_virtqueue_call(vop_virtqueue *vq)
{
    return usable(vq, take) ? vop__vq_publish(vq) : why_not(vq);
}

/* ---- Driver role ---- */

int vop_virtqueue_add_buf(vop_virtqueue *vq, const struct iovec *segments, unsigned out, unsigned in, void *token)
{
    return usable(vq, add) ? vq->ops->add(vq, segments, out, in, token) : why_not(vq);
}

int vop_virtqueue_get_buf(vop_virtqueue *vq, void **ret_token, uint32_t *ret_len)
{
    struct vop_used_buf buf = {0};
    int ret = vop_virtqueue_get_bufs(vq, &buf, 1);

    if (ret > 0) {
        *ret_token = buf.token;
        if (ret_len)
            *ret_len = buf.len;
    }
    return ret;
}

int vop_virtqueue_get_bufs(vop_virtqueue *vq, struct vop_used_buf *ret_bufs, unsigned max)
{
    return usable(vq, get) ? vq->ops->get(vq, ret_bufs, max < INT32_MAX ? max : INT32_MAX) : why_not(vq);
}

/* ---- Device role ---- */

int vop_virtqueue_take(vop_virtqueue *vq, struct iovec *iov, unsigned iov_count, struct vop_taken_buf *ret_buf)
{
    return vop_virtqueue_take_bufs(vq, iov, iov_count, ret_buf, 1);
}

int vop_virtqueue_take_bufs(vop_virtqueue *vq, struct iovec *iov, unsigned iov_count, struct vop_taken_buf *ret_bufs,
                            unsigned max)
{
    return usable(vq, take) ? vq->ops->take(vq, iov, iov_count, ret_bufs, max < INT32_MAX ? max : INT32_MAX)
                            : why_not(vq);
}

int vop_virtqueue_untake(vop_virtqueue *vq, uint32_t handle)
{
    if (!usable(vq, take))
        return why_not(vq);
    if (handle >= vq->size || vq->records[handle].state != VOP__RECORD_HELD ||
        vq->records[handle].seq + 1 != vq->buffers)
        return vop__error(EINVAL, "buffer %u is not the last one taken", handle);
    vq->ops->untake(vq, handle);
    return 0;
}

int vop_virtqueue_complete(vop_virtqueue *vq, uint32_t handle, uint32_t len)
{
    const struct vop_completed_buf buf = {handle, len};

    return vop_virtqueue_complete_bufs(vq, &buf, 1);
}

int vop_virtqueue_complete_bufs(vop_virtqueue *vq, const struct vop_completed_buf *bufs, unsigned count)
{
    return usable(vq, take) ? vq->ops->complete(vq, bufs, count) : why_not(vq);
}

/* ---- Waiting ---- */

void vop_virtqueue_disable(vop_virtqueue *vq)
{
    if (vq->stopped || vq->broken || !vq->armed)
        return;
    vq->armed = false;
    vq->ops->disarm(vq);
}

/* Publishes, arms, looks again: 1 armed, 0 there is something, or an error. */
static int arm(struct vop_virtqueue *vq, bool delay)
{
    int ret = vop__vq_publish(vq);

    if (ret < 0)
        return ret;
    vq->armed = true;
    vq->ops->arm(vq, delay);
    ret = vq->ops->pending(vq);
    return ret < 0 ? ret : !ret;
}

static int restart(struct vop_virtqueue *vq, bool delay)
{
    int ret = usable(vq, pending) ? arm(vq, delay) : why_not(vq);

    if (ret == 0)
        vop_virtqueue_disable(vq);
    return ret;
}

int vop_virtqueue_restart(vop_virtqueue *vq)
{
    return restart(vq, false);
}

int vop_virtqueue_restart_delayed(vop_virtqueue *vq)
{
    return restart(vq, true);
}

int vop_virtqueue_notified(vop_virtqueue *vq)
{
    const struct vop_virtqueue_events *events = vq->options.events;

    for (uint32_t round = 0; round < vq->options.callbacks_max; round++) {
        int ret = usable(vq, pending) ? (vq->armed ? vq->ops->pending(vq) : 0) : why_not(vq);

        if (ret < 0 || !vq->armed)
            return ret;
        if (ret == 0) {
            /* A program that polled in the meantime has passed the event: only a new one can bring a notification. */
            ret = arm(vq, false);
            if (ret != 0)
                return ret < 0 ? ret : 0;
        }
        if (!events || !events->callback)
            return 1;
        if (!events->callback(vq->options.context, vq))
            vop_virtqueue_disable(vq);
    }
    return usable(vq, pending) ? vq->armed : why_not(vq);
}
