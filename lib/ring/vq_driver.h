/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_driver.h - what a driver does alike in both formats: checks buffers, keeps tokens, believes no returned id.
 *
 * Room: ring.
 *
 *   got <= published <= added,   added - got = in flight
 *
 * An id names a buffer while it is in flight. Ids (packed) or descriptors (split, where the id is the head) come from a
 * free list inside the records. At the start it runs through all of them in ring order, in a circle. With IN_ORDER it
 * is never relinked: buffers come back in the order they went, so the circle itself is the order that virtio wants.
 */
#ifndef VOP_RING_VQ_DRIVER_H
#define VOP_RING_VQ_DRIVER_H

#include "ring/vq.h"

struct vop__driver {
    struct vop_virtqueue vq;
    uint64_t published;  /* buffers that the device may know (vq.buffers were added) */
    uint64_t got;        /* buffers returned to the application. With IN_ORDER: the seq of the oldest in flight */
    uint32_t free_count; /* descriptors */
    uint32_t free_head;  /* first of the free list */
    uint32_t oldest;     /* IN_ORDER: id of the buffer that comes back next */
    uint32_t batch;      /* IN_ORDER: buffers of the used element last loaded that are still to be returned */
    uint32_t batch_id;   /* the last of them */
    uint32_t batch_len;
};

static inline const struct vop__driver *vop__driver_of(const struct vop_virtqueue *vq)
{
    return (const struct vop__driver *)vq;
}

/** Makes the circle of free ids. */
void vop__driver_start(struct vop__driver *d);

/** 0 and the writable bytes if a buffer may be added, else -EINVAL. */
int vop__driver_check(struct vop_virtqueue *vq, const struct iovec *segments, unsigned out, unsigned in,
                      uint32_t *ret_writable);

/** The common case, one segment in the region found last: what the device calls it. False: it takes a check to judge.
 */
static inline bool vop__driver_single(const struct vop__driver *d, const struct iovec *segment, uint32_t out,
                                      uint32_t in, uint64_t *ret_address)
{
    const struct vop_virtqueue *vq = &d->vq;
    const struct vop_region *r = vq->regions.last;

    if ((uint64_t)out + in != 1 || d->free_count == 0 || segment->iov_len == 0 || segment->iov_len > vq->single_max ||
        !vop__region_holds(r, segment) || !vop__region_allows(r, in != 0))
        return false;
    *ret_address = vop__region_address(r, segment);
    return true;
}

/** Of `total` segments, how many go into the ring itself; the rest goes into the table of `free_head`. */
uint32_t vop__driver_direct(const struct vop__driver *d, uint32_t total, uint32_t after);

/** What the device calls a segment; it was checked. */
static inline uint64_t vop__driver_address(struct vop__driver *d, const struct iovec *segment, bool write)
{
    uint64_t address = 0;

    (void)vop__regions_address(&d->vq.regions, segment, write, &address);
    return address;
}

/** First byte of the table of an id, here and for the device. */
static inline void *vop__driver_table(const struct vop__driver *d, uint32_t id, uint64_t *ret_address)
{
    size_t offset = (size_t)id * d->vq.tables_entries * 16;

    *ret_address = d->vq.tables_address + offset;
    return vop__window_at(&d->vq.tables, offset);
}

/** Records the buffer `id` as in flight. */
static inline void vop__driver_hold(struct vop__driver *d, uint32_t id, uint32_t descs, uint32_t writable, void *token)
{
    struct vop__record *record = &d->vq.records[id];

    record->token = token;
    record->seq = d->vq.buffers++;
    record->writable = writable;
    record->descs = (uint16_t)descs;
    record->state = VOP__RECORD_HELD;
    d->free_count -= descs;
    d->vq.in_flight++;
}

/** IN_ORDER: the next buffer of the batch that an element stands for, and its length. */
static inline void vop__driver_rest(struct vop__driver *d, uint32_t *ret_id, uint32_t *ret_len)
{
    bool last = --d->batch == 0;

    *ret_id = last ? d->batch_id : d->oldest;
    *ret_len =
        last ? d->batch_len : d->vq.records[d->oldest].writable; /* skipped: completely used (virtio 1.2, 2.7.9) */
}

/**
 * Judges a used element that was loaded once: 0, or -EPROTO if `id` is not in flight and published, or if it stands for
 * more buffers than `limit`. With IN_ORDER it stands for all buffers up to `id` (virtio 1.2, 2.7.9), and becomes the
 * first of these; the others come from vop__driver_rest().
 */
static inline int vop__driver_used(struct vop__driver *d, uint32_t *id, uint32_t *len, uint64_t limit)
{
    const struct vop__record *record = &d->vq.records[*id < d->vq.size ? *id : 0];
    uint64_t batch;

    if (*id >= d->vq.size)
        return vop__vq_break(&d->vq, "used id %u in a queue of %u", *id, d->vq.size);
    if (record->state != VOP__RECORD_HELD || record->seq >= d->published)
        return vop__vq_break(&d->vq, "used id %u is not in flight", *id);
    if (!d->vq.in_order)
        return 0;
    batch = record->seq - d->got + 1;
    if (batch > limit)
        return vop__vq_break(&d->vq, "used id %u stands for %llu buffers, and %llu were used", *id,
                             (unsigned long long)batch, (unsigned long long)limit);
    d->batch = (uint32_t)batch;
    d->batch_id = *id;
    d->batch_len = *len;
    vop__driver_rest(d, id, len);
    return 0;
}

/** Returns the buffer `id`, used with `len` bytes. The caller frees its descriptors. */
static inline void vop__driver_return(struct vop__driver *d, uint32_t id, uint32_t len, struct vop_used_buf *ret_buf)
{
    struct vop__record *record = &d->vq.records[id];

    ret_buf->token = record->token;
    ret_buf->len = len;
    ret_buf->flags = 0;
    if (__builtin_expect(len > record->writable, 0)) {
        ret_buf->len = record->writable;
        ret_buf->flags = VOP_USED_CLAMPED;
        d->vq.clamped++;
    }
    record->token = NULL;
    record->state = VOP__RECORD_FREE;
    d->vq.in_flight--;
    d->got++;
}

/** Buffers in flight that may go by before a delayed notification: three quarters of `count`. */
static inline uint32_t vop__driver_delay(uint64_t count)
{
    return (uint32_t)(count * 3 / 4);
}

/** Gets up to `max` used buffers: how many, or if there is none what get_one() says. Inlined as vop__device_take(). */
static inline __attribute__((always_inline)) int
vop__driver_get(struct vop_virtqueue *vq, struct vop_used_buf *ret_bufs, uint32_t max,
                int (*get_one)(struct vop_virtqueue *vq, struct vop_used_buf *ret_buf))
{
    uint32_t count = 0;

    while (count < max) {
        int ret = get_one(vq, &ret_bufs[count]);

        if (ret <= 0)
            return count > 0 ? (int)count : ret;
        count++;
    }
    return (int)count;
}

#endif
