/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slot_driver.c - the receiving end of a slot queue: owns the slots (driver role of virtio 1.2, 2.7).
 *
 * Room: native. Theory of operation: slot.h. Letters of memory orders: core/barrier.h.
 */
#include "core/error.h"
#include "native/slot.h"
#include "ring/event.h"

void vop__slot_driver_init(struct vop__slot_driver *d, const struct vop__slot_place *place)
{
    const struct vop__geometry *g = &place->geometry;
    struct vop__areas its = vop__geometry_areas(g, false, place->queue);
    struct vop__areas mine = vop__geometry_areas(g, true, place->queue);
    const struct vop__window *local = place->local;
    const struct vop__window *remote = place->remote;
    struct vop_desc *desc = vop__window_at(remote, mine.desc);
    vop_le16 *ring = vop__window_at(remote, mine.avail + sizeof(struct vop_avail));

    *d = (struct vop__slot_driver){
        .used = vop__window_at(local, its.used),
        .ring = vop__window_at(local, its.used + sizeof(struct vop_used)),
        .avail_event = vop__window_at(local, its.avail_event),
        .avail = vop__window_at(remote, mine.avail),
        .used_event = vop__window_at(remote, mine.used_event),
        .local = local,
        .remote = remote,
        .pool = place->pool,
        .size = g->receive.queue_size,
        .slot_size = g->receive.slot_size,
        .mirrored = place->mirrored,
        .first = true,
    };
    for (uint32_t i = 0; i < d->size; i++) {
        vop__store_le64(&desc[i].addr, its.pool + (uint64_t)i * d->slot_size);
        vop__store_le32(&desc[i].len, d->slot_size);
        vop__store_le16(&desc[i].flags, VOP_DESC_F_WRITE);
        vop__store_le16(&desc[i].next, 0);
        vop__store_le16(&ring[i], (uint16_t)i);
    }
    vop__store_le32(&d->avail->flags_idx, vop__word_of((uint16_t)d->size));
    vop__store_le32(&d->used_event->event, 0);
}

static int load_used(struct vop__slot_driver *d)
{
    uint16_t idx = vop__idx_of(vop__window_observe32(d->local, &d->used->flags_idx, 'A'));
    uint16_t filled = (uint16_t)(idx - d->used_seen);
    uint32_t room = d->size - (uint16_t)(d->used_seen - d->published);

    if (__builtin_expect(filled > room, 0)) {
        d->broken = true;
        d->used_seen = d->next; /* also if arming found it, with messages still to be read */
        return vop__error(EPROTO, "peer broke the protocol: it filled %u slots when it had %u", filled, room);
    }
    d->used_seen = idx;
    if (filled > 0) {
        /* Element and payload lie in two lines that the peer has just written. Both are fetched now, side by side,
         * and not one after the other by the code that reads them. */
        uint32_t first = d->next & (d->size - 1);

        __builtin_prefetch(&d->ring[first]);
        __builtin_prefetch(d->pool + (size_t)first * d->slot_size);
    }
    return 0;
}

int vop__slot_driver_peek(struct vop__slot_driver *d, struct vop_buffer *ret_buffer)
{
    uint32_t first = d->next & (d->size - 1);
    uint32_t id, len, slots;

    if (d->next == d->used_seen) {
        int ret = d->broken ? vop__error_static(EPROTO, "the peer broke the protocol") : load_used(d);

        if (ret < 0)
            return ret;
        if (d->next == d->used_seen)
            return 0;
    }
    id = vop__load_le32(&d->ring[first].id);
    len = vop__load_le32(&d->ring[first].len);
    slots = ((id - first) & (d->size - 1)) + 1;
    if (__builtin_expect(id >= d->size || slots > (uint16_t)(d->used_seen - d->next) || len == 0 || len > d->slot_size,
                         0)) {
        d->broken = true;
        d->used_seen = d->next; /* nothing after it is read: the next peek finds the queue broken */
        return vop__error(EPROTO, "peer broke the protocol: used element %u has id %u, len %u", first, id, len);
    }
    vop__slot_fill(ret_buffer, d->pool, d->size, d->slot_size, d->mirrored, first,
                   (size_t)(slots - 1) * d->slot_size + len);
    d->next = (uint16_t)(d->next + slots);
    return 1;
}

void vop__slot_driver_unpeek(struct vop__slot_driver *d, uint16_t next)
{
    d->next = next;
}

int vop__slot_driver_release(struct vop__slot_driver *d, uint16_t position)
{
    if (position == d->released || (uint16_t)(position - d->released) > (uint16_t)(d->next - d->released))
        return -EINVAL;
    d->released = position;
    return 0;
}

bool vop__slot_driver_should_publish(const struct vop__slot_driver *d)
{
    return (uint16_t)(d->released - d->published) * 4u >= d->size;
}

bool vop__slot_driver_publish(struct vop__slot_driver *d)
{
    uint16_t old = (uint16_t)(d->size + d->published);
    uint16_t idx = (uint16_t)(d->size + d->released);

    if (idx == old)
        return false;
    vop__window_publish32(d->remote, &d->avail->flags_idx, vop__word_of(idx), 'B');
    d->published = d->released;
    if (__builtin_expect(d->first, 0)) {
        d->first = false;
        return true;
    }
    vop__window_fence(d->remote, 'D');
    return vop__need_event((uint16_t)vop__load_le32(&d->avail_event->event), idx, old);
}

int vop__slot_driver_arm(struct vop__slot_driver *d)
{
    int ret;

    if (d->broken)
        return -EPROTO;
    vop__store_le32(&d->used_event->event, d->next);
    vop__window_flush32(d->remote, &d->used_event->event, 'C');
    ret = load_used(d);
    if (ret < 0)
        return ret;
    return d->next != d->used_seen;
}
