/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slot_device.c - the sending end of a slot queue: fills the peer's slots (device role of virtio 1.2, 2.7).
 *
 * Room: native. Theory of operation: slot.h. Letters of memory orders: core/barrier.h.
 */
#include "core/error.h"
#include "native/slot_inline.h"

void vop__slot_device_init(struct vop__slot_device *d, const struct vop__slot_place *place, uint16_t *spans)
{
    const struct vop__geometry *g = &place->geometry;
    struct vop__areas its = vop__geometry_areas(g, false, place->queue);
    struct vop__areas mine = vop__geometry_areas(g, true, place->queue);
    const struct vop__window *local = place->local;
    const struct vop__window *remote = place->remote;

    *d = (struct vop__slot_device){
        .avail = vop__window_at(local, its.avail),
        .used_event = vop__window_at(local, its.used_event),
        .used = vop__window_at(remote, mine.used),
        .ring = vop__window_at(remote, mine.used + sizeof(struct vop_used)),
        .avail_event = vop__window_at(remote, mine.avail_event),
        .local = *local,
        .remote = *remote,
        .pool = place->pool,
        .pool_size = vop__geometry_pool_size(&g->send),
        .mask = g->send.queue_size - 1,
        .slot_size = g->send.slot_size,
        .mirrored = place->mirrored,
        .last_len = place->last_len,
        .first = true,
        .avail_seen = (uint16_t)g->send.queue_size,
        .room_end = (uint16_t)g->send.queue_size,
        .ready = g->send.queue_size,
        .spans = spans,
    };
    vop__store_le32(&d->used->flags_idx, 0);
    vop__store_le32(&d->avail_event->event, 0);
}

int vop__slot_device_attach(struct vop__slot_device *d, const struct vop__slot_place *place)
{
    struct vop__areas its = vop__geometry_areas(&place->geometry, false, place->queue);
    size_t pool = vop__geometry_areas(&place->geometry, true, place->queue).pool;
    const struct vop_desc *desc = vop__window_at(place->local, its.desc);
    const vop_le16 *ring = vop__window_at(place->local, its.avail + sizeof(struct vop_avail));

    for (uint32_t i = 0; i <= d->mask; i++) {
        if (vop__load_le64(&desc[i].addr) != pool + (uint64_t)i * d->slot_size ||
            vop__load_le32(&desc[i].len) != d->slot_size || vop__load_le16(&desc[i].flags) != VOP_DESC_F_WRITE ||
            vop__load_le16(&desc[i].next) != 0 || vop__load_le16(&ring[i]) != i) {
            d->broken = true;
            return vop__error(EPROTO, "descriptor %u of the peer's receive queue is not slot %u", i, i);
        }
    }
    return 0;
}

/* Slots that are free, ready or not. */
static uint32_t unused_slots(const struct vop__slot_device *d)
{
    return (uint16_t)(d->avail_seen - d->next);
}

/* Slots published and not known to be returned: no more can come back. */
static uint32_t outstanding(const struct vop__slot_device *d)
{
    return d->mask + 1 - (uint16_t)(d->avail_seen - d->published);
}

static int load_avail(struct vop__slot_device *d, uint32_t *ret_word)
{
    uint32_t word = vop__window_observe32(&d->local, &d->avail->flags_idx, 'B');
    uint16_t idx = vop__idx_of(word);
    uint16_t returned = (uint16_t)(idx - d->avail_seen);

    if (__builtin_expect(returned > outstanding(d), 0)) {
        d->broken = true;
        return vop__error(EPROTO, "peer broke the protocol: it returned %u slots when %u were out", returned,
                          outstanding(d));
    }
    d->avail_seen = idx;
    vop__slot_device_set_ready(d, d->ready);
    *ret_word = word;
    return 0;
}

void vop__slot_device_set_ready(struct vop__slot_device *d, uint32_t ready)
{
    d->ready = ready;
    d->room_end = ready <= d->mask ? (uint16_t)ready : d->avail_seen;
}

int vop__slot_device_look(struct vop__slot_device *d, uint32_t slots)
{
    uint32_t word;
    int ret = d->broken ? -EPROTO : load_avail(d, &word);

    if (ret < 0)
        return ret;
    if (vop__slot_device_room(d) >= slots)
        return 0;
    return unused_slots(d) < slots ? -EAGAIN : -ENOBUFS;
}

int vop__slot_device_arm_for(struct vop__slot_device *d, uint32_t slots, uint32_t how, uint32_t *ret_word)
{
    int ret;

    if (d->broken)
        return -EPROTO;
    vop__store_le32(&d->avail_event->event, (uint16_t)(d->next + slots - 1) | how);
    vop__window_flush32(&d->remote, &d->avail_event->event, 'D');
    ret = load_avail(d, ret_word);
    if (ret < 0)
        return ret;
    return unused_slots(d) >= slots;
}

uint32_t vop__slot_device_in_doubt(const struct vop__slot_device *d)
{
    struct vop__slot_device now = *d;
    uint32_t messages = 0, word;

    if (!now.broken)
        (void)load_avail(&now, &word);
    for (uint16_t at = (uint16_t)(now.avail_seen - d->mask - 1); at != now.published; messages++) {
        uint16_t left = (uint16_t)(now.published - at);
        uint16_t span = d->spans[at & d->mask];

        /* The driver returns whole messages; if it lied, `at` is inside one and the table says nothing about it. */
        at = (uint16_t)(at + (span == 0 || span > left ? left : span));
    }
    return messages;
}

uint32_t vop__slot_device_unreturned(const struct vop__slot_device *d, uint32_t *ret_first)
{
    *ret_first = d->avail_seen & d->mask;
    return outstanding(d);
}
