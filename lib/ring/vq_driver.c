/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_driver.c - what a driver does alike in both formats: checks buffers, keeps tokens, believes no returned id.
 *
 * Room: ring.
 */
#include "ring/vq_driver.h"

void vop__driver_start(struct vop__driver *d)
{
    for (uint32_t i = 0; i < d->vq.size; i++)
        d->vq.slots[i].next = (uint16_t)(i + 1 < d->vq.size ? i + 1 : 0);
    d->free_count = d->vq.size;
}

int vop__driver_check(const struct vop_virtqueue *vq, const struct iovec *segments, unsigned out, unsigned in,
                      uint32_t *ret_writable)
{
    uint64_t highest = vq->options.layout == VOP_RING_2009 ? UINT32_MAX : UINT64_MAX;
    uint64_t address, sum = 0, readable = 0;

    if (out > vq->segments_max || in > vq->segments_max - out || out + in == 0)
        return vop__error(EINVAL, "a buffer has 1 to %u segments, not %u and %u", vq->segments_max, out, in);
    for (unsigned i = 0; i < out + in; i++) {
        const struct iovec *s = &segments[i];

        if (s->iov_len == 0 || s->iov_len > vq->bytes_max - sum)
            return vop__error(EINVAL, "segment %u has %zu bytes: it is empty, or the buffer passes %u bytes", i,
                              s->iov_len, vq->bytes_max);
        if (!vop__regions_address(&vq->regions, s, i >= out, &address) || address > highest ||
            s->iov_len - 1 > highest - address)
            return vop__error(EINVAL, "segment %u lies in no region where the device may go", i);
        sum += s->iov_len;
        if (i < out)
            readable = sum;
    }
    *ret_writable = (uint32_t)(sum - readable);
    return 0;
}

uint32_t vop__driver_direct(const struct vop__driver *d, uint32_t total, uint32_t after)
{
    const struct vop_virtqueue *vq = &d->vq;

    if (total < 2 || d->free_head >= vq->tables_count)
        return total; /* nothing to gain, or no table for this id */
    if (total < vq->options.indirect_threshold && total <= d->free_count)
        return total;
    if (after >= total)
        after = total - 1;
    return total - after <= vq->tables_entries ? after : total;
}

int vop__driver_used(struct vop__driver *d, uint32_t id, uint32_t len, uint64_t limit)
{
    const struct vop__slot *slot = &d->vq.slots[id < d->vq.size ? id : 0];
    uint64_t batch = 1;

    if (id >= d->vq.size)
        return vop__vq_break(&d->vq, "used id %u in a queue of %u", id, d->vq.size);
    if (slot->state != VOP__SLOT_HELD || slot->seq >= d->published)
        return vop__vq_break(&d->vq, "used id %u is not in flight", id);
    if (d->vq.in_order)
        batch = slot->seq - d->got + 1;
    if (batch > limit)
        return vop__vq_break(&d->vq, "used id %u stands for %llu buffers, and %llu were used", id,
                             (unsigned long long)batch, (unsigned long long)limit);
    d->batch = (uint32_t)batch;
    d->batch_id = id;
    d->batch_len = len;
    return 0;
}

uint32_t vop__driver_next(struct vop__driver *d, struct vop_used_buf *ret_buf)
{
    bool last = --d->batch == 0;
    uint32_t id = last ? d->batch_id : d->oldest;
    struct vop__slot *slot = &d->vq.slots[id];
    uint32_t len = last ? d->batch_len : slot->writable; /* skipped: completely used (virtio 1.2, 2.7.9) */

    ret_buf->token = slot->token;
    ret_buf->len = len;
    ret_buf->flags = 0;
    if (__builtin_expect(len > slot->writable, 0)) {
        ret_buf->len = slot->writable;
        ret_buf->flags = VOP_USED_CLAMPED;
        d->vq.clamped++;
    }
    slot->token = NULL;
    slot->state = VOP__SLOT_FREE;
    d->vq.in_flight--;
    d->got++;
    return id;
}
