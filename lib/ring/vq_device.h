/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_device.h - what a device does alike in both formats: turns chains into iovecs, keeps handles, completes in order.
 *
 * Room: ring.
 *
 * Chains. Each descriptor is copied once and judged as a copy; what comes out is an array of iovecs in this process.
 * The number of descriptors walked is bounded by segments_max, whatever `next` says.
 *
 * IN_ORDER. Completed buffers wait in the order column of the slots until all before them are complete; then as many as
 * possible go out with one used element: it may stand for buffers before it only if those are wholly filled, because
 * the driver learns no other length for them.
 */
#ifndef VOP_RING_VQ_DEVICE_H
#define VOP_RING_VQ_DEVICE_H

#include "ring/virtqueue.h"

struct vop__device {
    struct vop_virtqueue vq;
    uint32_t order_at;    /* IN_ORDER: entry of the oldest buffer in the order column */
    uint32_t order_count; /* buffers from there */
};

static inline struct vop__device *vop__device_of(struct vop_virtqueue *vq)
{
    return (struct vop__device *)vq;
}

/** A descriptor as it was copied: the fields of both formats that matter behind the copy. */
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

/** Copies entry `index` of the indirect table at `table` (no alignment is required there): 0 or -EPROTO. */
int vop__chain_entry(struct vop__chain *c, uint64_t table, uint32_t index, struct vop__desc *ret_desc);

/** Judges a descriptor with INDIRECT: 0 and the entries in its table, or -EPROTO. */
int vop__chain_table(struct vop__chain *c, const struct vop__desc *desc, uint32_t *ret_entries);

/** Records a taken buffer, and its place in the order. */
void vop__device_hold(struct vop__device *d, uint32_t handle, uint32_t id, uint32_t descs, const struct vop__chain *c);

/** Forgets the buffer taken last. */
void vop__device_unhold(struct vop__device *d, uint32_t handle);

/** What one used element says, and how far it goes. */
struct vop__batch {
    uint32_t id;
    uint32_t len;
    uint32_t buffers;
    uint32_t descs;
};

/** IN_ORDER: takes the next batch out of the order. False: none is complete. `free_handle` gets each of its buffers. */
bool vop__device_batch(struct vop__device *d, struct vop__batch *ret_batch,
                       void (*free_handle)(struct vop__device *d, uint32_t handle));

#endif
