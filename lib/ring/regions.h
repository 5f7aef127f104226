/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regions.h - the table that translates addresses on the wire to memory of this process, and back.
 *
 * Room: ring.
 */
#ifndef VOP_RING_REGIONS_H
#define VOP_RING_REGIONS_H

#include <vopipc/virtqueue.h>

struct vop__regions {
    struct vop_region *entry; /* sorted by address, disjoint */
    size_t count;
};

/** Takes a copy. 0, -ENOMEM, or -EINVAL for a region that is empty, wraps, or overlaps another. */
int vop__regions_init(struct vop__regions *regions, const struct vop_region *entry, size_t count);
void vop__regions_free(struct vop__regions *regions);

/** The region that `address` lies in, or NULL. */
const struct vop_region *vop__regions_find(const struct vop__regions *regions, uint64_t address);

/**
 * What the device calls a segment of at least one byte: true if it lies in one region, which for `write` must not be
 * READ_ONLY, or if there are no regions at all.
 */
bool vop__regions_address(const struct vop__regions *regions, const struct iovec *segment, bool write,
                          uint64_t *ret_address);

/** Bytes from `address`, which lies in `r`, to the end of `r`. */
static inline uint64_t vop__region_rest(const struct vop_region *r, uint64_t address)
{
    return r->size - (address - r->address);
}

/** Where `address`, which lies in `r`, is in this process. */
static inline void *vop__region_at(const struct vop_region *r, uint64_t address)
{
    return (void *)((uintptr_t)r->base + (uintptr_t)(address - r->address));
}

#endif
