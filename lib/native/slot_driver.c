/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slot_driver.c - the receiving end of a slot queue: owns the slots (driver role of virtio 1.2, 2.7).
 *
 * Room: native. Theory of operation: slot.h. Letters of memory orders: core/barrier.h.
 */
#include "core/error.h"
#include "native/slot_inline.h"

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
        .local = *local,
        .remote = *remote,
        .pool = place->pool,
        .pool_size = vop__geometry_pool_size(&g->receive),
        .mask = g->receive.queue_size - 1,
        .slot_size = g->receive.slot_size,
        .mirrored = place->mirrored,
        .last_len_mask = place->last_len ? UINT16_MAX : 0,
        .first = true,
    };
    for (uint32_t i = 0; i <= d->mask; i++) {
        vop__store_le64(&desc[i].addr, its.pool + (uint64_t)i * d->slot_size);
        vop__store_le32(&desc[i].len, d->slot_size);
        vop__store_le16(&desc[i].flags, VOP_DESC_F_WRITE);
        vop__store_le16(&desc[i].next, 0);
        vop__store_le16(&ring[i], (uint16_t)i);
    }
    vop__store_le32(&d->avail->flags_idx, vop__word_of((uint16_t)(d->mask + 1), 0));
    vop__store_le32(&d->used_event->event, 0);
}

/* Nothing more is read: the next peek finds the queue broken, also if there were messages still to be read. */
static void break_queue(struct vop__slot_driver *d)
{
    d->broken = true;
    d->used_seen = d->next;
}

void vop__slot_driver_breach(struct vop__slot_driver *d, uint32_t filled)
{
    uint32_t room = d->mask + 1 - (uint16_t)(d->used_seen - d->published);

    break_queue(d);
    (void)vop__error(EPROTO, "peer broke the protocol: it filled %u slots when it had %u", filled, room);
}

void vop__slot_driver_refuse(struct vop__slot_driver *d, uint32_t id, uint32_t len)
{
    break_queue(d);
    (void)vop__error(EPROTO, "peer broke the protocol: used element %u has id %u, len %u", d->next & d->mask, id, len);
}

enum vop__kick vop__slot_driver_publish(struct vop__slot_driver *d)
{
    uint16_t old = (uint16_t)(d->mask + 1 + d->published);
    uint16_t idx = (uint16_t)(d->mask + 1 + d->released);

    if (idx == old)
        return VOP__KICK_NONE;
    vop__window_publish32(&d->remote, &d->avail->flags_idx, vop__word_of(idx, 0), 'B');
    d->published = d->released;
    if (__builtin_expect(d->first, 0)) {
        d->first = false;
        return VOP__KICK_BOTH;
    }
    vop__window_fence(&d->remote, 'D');
    return vop__kick_of(vop__load_le32(&d->avail_event->event), idx, old);
}

int vop__slot_driver_arm_for(struct vop__slot_driver *d, uint32_t how, uint32_t *ret_word)
{
    uint32_t word;
    int ret;

    if (d->broken)
        return -EPROTO;
    vop__store_le32(&d->used_event->event, d->next | how);
    vop__window_flush32(&d->remote, &d->used_event->event, 'C');
    word = vop__window_observe32(&d->local, &d->used->flags_idx, 'A');
    ret = vop__slot_driver_see(d, word);
    if (ret < 0)
        return ret;
    *ret_word = word;
    return d->next != d->used_seen;
}
