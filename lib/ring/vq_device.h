/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_device.h - what a device does in every layout: turns chains into iovecs, keeps handles, completes in order.
 *
 * Room: ring.
 *
 * Chains. Each descriptor is copied once, and the copy checked; the result is an array of iovecs in this process.
 * The number of descriptors walked is bounded by segments_max, whatever `next` says. All the chains of a call are
 * bounded by the iovecs that there is room for; and since N chains may refer to one table of N segments of length 0,
 * which take no iovec, a call ends once it has seen N of those. Honest drivers hardly make any.
 *
 * IN_ORDER. Completed buffers wait in the order column of the records until all before them are complete; then they go
 * out. One used element stands for all buffers without writable segments up to the next with some, and for that. A
 * buffer with some never goes without an element: virtio lets those be skipped that are completely filled, but DPDK's
 * driver takes one element for one receive buffer, and would take the next for the wrong one.
 */
#ifndef VOP_RING_VQ_DEVICE_H
#define VOP_RING_VQ_DEVICE_H

#include "ring/vq.h"

struct vop__device {
    struct vop_virtqueue vq;
    uint32_t order_at;    /* IN_ORDER: entry of the oldest buffer in the order column */
    uint32_t order_count; /* buffers from there */
    uint32_t empty;       /* segments of length 0 that this call has walked */
};

static inline struct vop__device *vop__device_of(struct vop_virtqueue *vq)
{
    return (struct vop__device *)vq;
}

/** A descriptor as it was copied: the fields of either layout that matter after the copy. */
struct vop__desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next; /* packed: id */
};

/** A chain on its way to iovecs. */
struct vop__chain {
    struct vop_virtqueue *vq;
    struct iovec *iov;
    uint32_t iov_count; /* room */
    uint32_t iov_used;
    uint32_t segments; /* descriptors seen */
    bool writing;      /* a writable one was seen: no readable one may follow */
    struct vop_taken_buf buf;
};

/** Adds a (direct or table) descriptor: 0, -ENOBUFS, -EPROTO. */
int vop__chain_add(struct vop__chain *c, const struct vop__desc *desc);

/**
 * The common case without a chain: `desc` is one direct segment in the region found last. False: nothing was done; use
 * the chain functions.
 */
static inline bool vop__device_single(const struct vop_virtqueue *vq, const struct vop__desc *desc, struct iovec *iov,
                                      uint32_t iov_count, struct vop_taken_buf *ret_buf)
{
    const struct vop_region *r = vq->regions.last;
    bool write = desc->flags & VOP_DESC_F_WRITE;

    if (desc->flags & (VOP_DESC_F_NEXT | VOP_DESC_F_INDIRECT) || desc->len == 0 || desc->len > vq->bytes_max ||
        !vop__region_has(r, desc->addr, desc->len) || !vop__region_allows(r, write) || iov_count == 0)
        return false;
    *iov = (struct iovec){.iov_base = vop__region_at(r, desc->addr), .iov_len = desc->len};
    ret_buf->readable = !write;
    ret_buf->writable = write;
    ret_buf->readable_bytes = write ? 0 : desc->len;
    ret_buf->writable_bytes = write ? desc->len : 0;
    return true;
}

/** Copies entry `index` of the indirect table at `table` (which need not be aligned): 0 or -EPROTO. */
int vop__chain_entry(struct vop__chain *c, uint64_t table, uint32_t index, struct vop__desc *ret_desc);

/** Checks a descriptor with INDIRECT: 0 and the number of entries in its table, or -EPROTO. */
int vop__chain_table(struct vop__chain *c, const struct vop__desc *desc, uint32_t *ret_entries);

/** The `i`th entry of the order column. */
static inline uint32_t vop__device_order(const struct vop__device *d, uint32_t i)
{
    uint32_t at = d->order_at + i;

    return at < d->vq.size ? at : at - d->vq.size;
}

/** Records a taken buffer, and its place in the order. */
static inline void vop__device_hold(struct vop__device *d, uint32_t handle, uint32_t id, uint32_t descs,
                                    uint32_t writable)
{
    struct vop__record *record = &d->vq.records[handle];

    record->seq = d->vq.buffers++;
    record->writable = writable;
    record->descs = (uint16_t)descs;
    record->id = (uint16_t)id;
    record->state = VOP__RECORD_HELD;
    d->vq.in_flight++;
    if (d->vq.in_order)
        d->vq.records[vop__device_order(d, d->order_count++)].order = (uint16_t)handle;
}

/** What take_one() returns after a chain: 1, or 2 if this call has walked so many empty segments that it ends here. */
static inline int vop__device_took(const struct vop__device *d)
{
    return d->empty < d->vq.size ? 1 : 2;
}

/** Completes a held buffer: 0, or -EINVAL. With IN_ORDER its turn comes when all before it are done. */
static inline int vop__device_finish(struct vop__device *d, const struct vop_completed_buf *buf)
{
    struct vop__record *record = &d->vq.records[buf->handle < d->vq.size ? buf->handle : 0];

    if (buf->handle >= d->vq.size || record->state != VOP__RECORD_HELD)
        return vop__error(EINVAL, "there is no buffer %u to complete", buf->handle);
    if (buf->len > record->writable)
        return vop__error(EINVAL, "%u bytes do not fit into the %u writable ones", buf->len, record->writable);
    record->len = buf->len;
    record->state = d->vq.in_order ? VOP__RECORD_DONE : VOP__RECORD_FREE;
    d->vq.in_flight--;
    return 0;
}

/** Forgets the buffer taken last. */
static inline void vop__device_unhold(struct vop__device *d, uint32_t handle)
{
    d->vq.records[handle].state = VOP__RECORD_FREE;
    d->vq.buffers--;
    d->vq.in_flight--;
    if (d->vq.in_order)
        d->order_count--;
}

/** What one used element says, and how much it covers. */
struct vop__batch {
    uint32_t id;
    uint32_t len;
    uint32_t buffers;
    uint32_t descs;
};

/** IN_ORDER: takes the next batch out of the order. False: none is complete. `free_handle` gets each of its buffers. */
static inline bool vop__device_batch(struct vop__device *d, struct vop__batch *ret_batch,
                                     void (*free_handle)(struct vop__device *d, uint32_t handle))
{
    struct vop__batch b = {0};

    while (d->order_count > 0) {
        uint32_t handle = d->vq.records[d->order_at].order;
        struct vop__record *record = &d->vq.records[handle];

        if (record->state != VOP__RECORD_DONE)
            break;
        record->state = VOP__RECORD_FREE;
        d->order_at = vop__device_order(d, 1);
        d->order_count--;
        b.id = record->id;
        b.len = record->len;
        b.buffers++;
        b.descs += record->descs;
        free_handle(d, handle);
        if (record->writable > 0)
            break; /* its driver wants to hear of it by itself */
    }
    *ret_batch = b;
    return b.buffers > 0;
}

/**
 * Takes up to `max` buffers, each with its segments after those of the one before: how many, or the result of
 * take_one() if there is none. Always inlined, so that it is one function with its layout's take_one().
 */
static inline __attribute__((always_inline)) int vop__device_take(
    struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count, struct vop_taken_buf *ret_bufs, uint32_t max,
    int (*take_one)(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count, struct vop_taken_buf *ret_buf))
{
    uint32_t count = 0;
    int ret = 0;

    vop__device_of(vq)->empty = 0;
    while (count < max && (ret = take_one(vq, iov, iov_count, &ret_bufs[count])) > 0) {
        uint32_t used = ret_bufs[count].readable + ret_bufs[count].writable;

        iov += used;
        iov_count -= used;
        count++;
        if (ret > 1)
            break;
    }
    return count > 0 ? (int)count : ret;
}

#endif
