/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regions.h - the table that translates addresses on the wire to memory of this process, and back.
 *
 * Room: ring.
 */
#ifndef VOP_RING_REGIONS_H
#define VOP_RING_REGIONS_H

#include <vopipc/virtqueue.h>

/** A region by where it is in this process. Several may be in one place. */
struct vop__region_here {
    const struct vop_region *region;
    uintptr_t last; /* the last byte of all regions up to here: no earlier one reaches farther */
};

struct vop__regions {
    struct vop_region *entry;      /* sorted by address, disjoint; at least one */
    struct vop__region_here *here; /* sorted by base */
    size_t count;
    const struct vop_region *last; /* the one found last: most likely the next one too */
};

/** Takes a copy; without regions, one stands for all memory of this process. 0, -ENOMEM, or -EINVAL for a region that
 * is empty, wraps, or overlaps another. */
int vop__regions_init(struct vop__regions *regions, const struct vop_region *entry, size_t count);
void vop__regions_free(struct vop__regions *regions);

/** The region that `address` lies in, or NULL. */
const struct vop_region *vop__regions_find(struct vop__regions *regions, uint64_t address);

/** The region that a segment of at least one byte lies in, not READ_ONLY if it is for `write`, or NULL. */
const struct vop_region *vop__regions_search(struct vop__regions *regions, const struct iovec *segment, bool write);

/** Is this access allowed? */
static inline bool vop__region_allows(const struct vop_region *r, bool write)
{
    return !write || !(r->flags & VOP_REGION_READ_ONLY);
}

/* No region passes the end of either address space. So what lies before one also has an offset beyond its end. */

/** Does [address, address + length) of the wire lie in `r`? `length` is at least 1. */
static inline bool vop__region_has(const struct vop_region *r, uint64_t address, uint64_t length)
{
    uint64_t offset = address - r->address;

    return offset < r->size && length <= r->size - offset;
}

/** Does a segment of at least one byte lie in `r`? */
static inline bool vop__region_holds(const struct vop_region *r, const struct iovec *segment)
{
    uintptr_t offset = (uintptr_t)segment->iov_base - (uintptr_t)r->base;

    return offset < r->size && segment->iov_len <= r->size - offset;
}

/** What the wire calls the first byte of a segment that lies in `r`. */
static inline uint64_t vop__region_address(const struct vop_region *r, const struct iovec *segment)
{
    return r->address + ((uintptr_t)segment->iov_base - (uintptr_t)r->base);
}

/** What the device calls a segment of at least one byte: true if it lies in one region that allows it. */
static inline bool vop__regions_address(struct vop__regions *regions, const struct iovec *segment, bool write,
                                        uint64_t *ret_address)
{
    const struct vop_region *r = regions->last;

    if (__builtin_expect(!vop__region_holds(r, segment) || !vop__region_allows(r, write), 0)) {
        r = vop__regions_search(regions, segment, write);
        if (!r)
            return false;
    }
    *ret_address = vop__region_address(r, segment);
    return true;
}

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
