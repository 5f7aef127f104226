/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slot_device.c - the sending end of a slot queue: fills the peer's slots (device role of virtio 1.2, 2.7).
 *
 * Room: native. Theory of operation: slot.h. Letters of memory orders: core/barrier.h.
 */
#include "core/error.h"
#include "native/slot.h"
#include "ring/event.h"

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
        .local = local,
        .remote = remote,
        .pool = place->pool,
        .size = g->send.queue_size,
        .slot_size = g->send.slot_size,
        .mirrored = place->mirrored,
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

    for (uint32_t i = 0; i < d->size; i++) {
        if (vop__load_le64(&desc[i].addr) != pool + (uint64_t)i * d->slot_size ||
            vop__load_le32(&desc[i].len) != d->slot_size || vop__load_le16(&desc[i].flags) != VOP_DESC_F_WRITE ||
            vop__load_le16(&desc[i].next) != 0 || vop__load_le16(&ring[i]) != i) {
            d->broken = true;
            return vop__error(EPROTO, "descriptor %u of the peer's receive queue is not slot %u", i, i);
        }
    }
    return 0;
}

uint32_t vop__slot_count(const struct vop__slot_device *d, size_t length)
{
    if (__builtin_expect(length <= d->slot_size, 1))
        return 1;
    return (uint32_t)((length + d->slot_size - 1) / d->slot_size);
}

static uint32_t free_slots(const struct vop__slot_device *d)
{
    return (uint16_t)(d->room_end - d->next);
}

/* The same, ready or not. */
static uint32_t unused_slots(const struct vop__slot_device *d)
{
    return (uint16_t)(d->avail_seen - d->next);
}

/* Slots published and not known to be returned: no more can come back. */
static uint32_t outstanding(const struct vop__slot_device *d)
{
    return d->size - (uint16_t)(d->avail_seen - d->published);
}

static int load_avail(struct vop__slot_device *d)
{
    uint16_t idx = vop__idx_of(vop__window_observe32(d->local, &d->avail->flags_idx, 'B'));
    uint16_t returned = (uint16_t)(idx - d->avail_seen);

    if (__builtin_expect(returned > outstanding(d), 0)) {
        d->broken = true;
        return vop__error(EPROTO, "peer broke the protocol: it returned %u slots when %u were out", returned,
                          outstanding(d));
    }
    d->avail_seen = idx;
    vop__slot_device_set_ready(d, d->ready);
    return 0;
}

void vop__slot_device_set_ready(struct vop__slot_device *d, uint32_t ready)
{
    d->ready = ready;
    d->room_end = ready < d->size ? (uint16_t)ready : d->avail_seen;
}

/* Asks for ownership of the lines that commit and publish will store into, while the application fills the payload. */
static void prefetch_ring(const struct vop__slot_device *d)
{
    if (d->remote->flags & VOP__WINDOW_POSTED)
        return;
    __builtin_prefetch(&d->ring[d->next & (d->size - 1)], 1);
    __builtin_prefetch(d->used, 1);
}

int vop__slot_device_reserve(struct vop__slot_device *d, size_t length, struct vop_buffer *ret_buffer)
{
    uint32_t slots = vop__slot_count(d, length);

    if (__builtin_expect(free_slots(d) < slots, 0)) {
        int ret = d->broken ? -EPROTO : load_avail(d);

        if (ret < 0)
            return ret;
        if (free_slots(d) < slots)
            return unused_slots(d) < slots ? -EAGAIN : -ENOBUFS;
    }
    prefetch_ring(d);
    vop__slot_fill(ret_buffer, d->pool, d->size, d->slot_size, d->mirrored, d->next & (d->size - 1), length);
    return 0;
}

void vop__slot_device_commit(struct vop__slot_device *d, size_t length)
{
    uint32_t slots = vop__slot_count(d, length);
    uint32_t first = d->next & (d->size - 1);
    uint32_t last = (first + slots - 1) & (d->size - 1);
    struct vop_used_elem *elem = &d->ring[first];

    /* virtio 1.2, 2.7.9: one element for a batch of buffers used in order: it names the last, and lies in the place of
     * the first; all before the last are completely filled. */
    vop__store_le32(&elem->id, last);
    vop__store_le32(&elem->len, (uint32_t)(length - (size_t)(slots - 1) * d->slot_size));
    d->spans[first] = (uint16_t)slots;
    d->next = (uint16_t)(d->next + slots);
}

bool vop__slot_device_publish(struct vop__slot_device *d)
{
    uint16_t old = d->published;

    if (d->next == old)
        return false;
    vop__window_publish32(d->remote, &d->used->flags_idx, vop__word_of(d->next), 'A');
    d->published = d->next;
    if (__builtin_expect(d->first, 0)) {
        d->first = false;
        return true;
    }
    vop__window_fence(d->remote, 'C');
    return vop__need_event((uint16_t)vop__load_le32(&d->used_event->event), d->next, old);
}

int vop__slot_device_arm(struct vop__slot_device *d, uint32_t slots)
{
    int ret;

    if (d->broken)
        return -EPROTO;
    vop__store_le32(&d->avail_event->event, (uint16_t)(d->next + slots - 1));
    vop__window_flush32(d->remote, &d->avail_event->event, 'D');
    ret = load_avail(d);
    if (ret < 0)
        return ret;
    return unused_slots(d) >= slots;
}

uint32_t vop__slot_device_in_doubt(const struct vop__slot_device *d)
{
    struct vop__slot_device now = *d;
    uint32_t messages = 0;

    if (!now.broken)
        (void)load_avail(&now);
    for (uint16_t at = (uint16_t)(now.avail_seen - now.size); at != now.published; messages++) {
        uint16_t left = (uint16_t)(now.published - at);
        uint16_t span = d->spans[at & (d->size - 1)];

        /* The driver returns whole messages; if it lied, `at` is inside one and the table says nothing about it. */
        at = (uint16_t)(at + (span == 0 || span > left ? left : span));
    }
    return messages;
}

uint32_t vop__slot_device_unreturned(const struct vop__slot_device *d, uint32_t *ret_first)
{
    *ret_first = d->avail_seen & (d->size - 1);
    return outstanding(d);
}
