/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * regions.c - the table that translates addresses on the wire to memory of this process, and back.
 *
 * Room: ring. Nothing here adds up values of a caller or a peer in a way that could wrap.
 */
#include "ring/regions.h"

#include "core/error.h"

#include <stdlib.h>

/* A size of UINT64_MAX means all there is: a 32-bit process has less. */
static struct vop_region resolve(struct vop_region r)
{
    uint64_t here = UINTPTR_MAX - (uintptr_t)r.base, there = UINT64_MAX - r.address;

    if (r.size == UINT64_MAX)
        r.size = here < there ? here : there;
    return r;
}

static int check(const struct vop_region *r)
{
    if (r->flags & ~VOP_REGION_READ_ONLY)
        return vop__error(EINVAL, "region at %#llx: unknown flags %#x", (unsigned long long)r->address, r->flags);
    if (r->size == 0 || r->size - 1 > UINT64_MAX - r->address)
        return vop__error(EINVAL, "region at %#llx: its size is 0, or it passes the end of the address space",
                          (unsigned long long)r->address);
    if (r->size > UINTPTR_MAX || (uintptr_t)r->size - 1 > UINTPTR_MAX - (uintptr_t)r->base)
        return vop__error(EINVAL, "region at %#llx: it passes the end of this process's memory",
                          (unsigned long long)r->address);
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = ((const struct vop_region *)a)->address, y = ((const struct vop_region *)b)->address;

    return (x > y) - (x < y);
}

static int compare_here(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct vop__region_here *)a)->region->base;
    uintptr_t y = (uintptr_t)((const struct vop__region_here *)b)->region->base;

    return (x > y) - (x < y);
}

/* Makes the second order of the table, by places in this process. */
static void sort_here(struct vop__regions *regions)
{
    uintptr_t last = 0;

    for (size_t i = 0; i < regions->count; i++)
        regions->here[i].region = &regions->entry[i];
    qsort(regions->here, regions->count, sizeof(regions->here[0]), compare_here);
    for (size_t i = 0; i < regions->count; i++) {
        const struct vop_region *r = regions->here[i].region;
        uintptr_t end = (uintptr_t)r->base + (uintptr_t)(r->size - 1);

        last = end > last ? end : last;
        regions->here[i].last = last;
    }
}

/* Without regions, addresses are pointers. */
static const struct vop_region everything = {.size = UINT64_MAX};

int vop__regions_init(struct vop__regions *regions, const struct vop_region *entry, size_t count)
{
    struct vop__region_here *here;
    struct vop_region *copy;

    *regions = (struct vop__regions){0};
    if (count == 0) {
        entry = &everything;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        struct vop_region r = resolve(entry[i]);
        int ret = check(&r);

        if (ret == 0 && !r.base && entry[i].size != UINT64_MAX)
            ret = vop__error(EINVAL, "region at %#llx: its memory is NULL", (unsigned long long)r.address);
        if (ret < 0)
            return ret;
    }
    copy = calloc(count, sizeof(*copy));
    here = calloc(count, sizeof(*here));
    if (!copy || !here) {
        free(copy);
        free(here);
        return vop__error_static(ENOMEM, "no memory for a table of regions");
    }
    for (size_t i = 0; i < count; i++)
        copy[i] = resolve(entry[i]);
    qsort(copy, count, sizeof(*copy), compare);
    for (size_t i = 1; i < count; i++) {
        if (copy[i].address - copy[i - 1].address < copy[i - 1].size) {
            int ret = vop__error(EINVAL, "regions at %#llx and %#llx overlap", (unsigned long long)copy[i - 1].address,
                                 (unsigned long long)copy[i].address);

            free(copy);
            free(here);
            return ret;
        }
    }
    *regions = (struct vop__regions){.entry = copy, .here = here, .count = count, .last = copy};
    sort_here(regions);
    return 0;
}

void vop__regions_free(struct vop__regions *regions)
{
    free(regions->entry);
    free(regions->here);
    *regions = (struct vop__regions){0};
}

const struct vop_region *vop__regions_find(struct vop__regions *regions, uint64_t address)
{
    size_t low = 0, high = regions->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct vop_region *r = &regions->entry[middle];

        if (address < r->address)
            high = middle;
        else if (address - r->address >= r->size)
            low = middle + 1;
        else
            return regions->last = r;
    }
    return NULL;
}

const struct vop_region *vop__regions_search(struct vop__regions *regions, const struct iovec *segment, bool write)
{
    size_t low = 0, high = regions->count;

    while (low < high) { /* the first region behind the segment */
        size_t middle = low + (high - low) / 2;

        if ((uintptr_t)regions->here[middle].region->base > (uintptr_t)segment->iov_base)
            high = middle;
        else
            low = middle + 1;
    }
    /* The one before it, unless regions overlap here or are in one place. */
    for (; low > 0 && regions->here[low - 1].last >= (uintptr_t)segment->iov_base; low--) {
        const struct vop_region *r = regions->here[low - 1].region;

        if (vop__region_holds(r, segment) && vop__region_allows(r, write))
            return regions->last = r;
    }
    return NULL;
}
