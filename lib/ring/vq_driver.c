/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_driver.c - what a driver does in every layout: checks buffers, keeps tokens, checks every returned id.
 *
 * Room: ring.
 */
#include "ring/vq_driver.h"

void vop__driver_start(struct vop__driver *d)
{
    for (uint32_t i = 0; i < d->vq.size; i++)
        d->vq.records[i].next = (uint16_t)(i + 1 < d->vq.size ? i + 1 : 0);
    d->free_count = d->vq.size;
}

int vop__driver_check(struct vop_virtqueue *vq, const struct iovec *segments, unsigned out, unsigned in,
                      uint32_t *ret_writable)
{
    uint64_t address, sum = 0, readable = 0;

    if (out > vq->segments_max || in > vq->segments_max - out || out + in == 0)
        return vop__error(EINVAL, "a buffer has 1 to %u segments, not %u and %u", vq->segments_max, out, in);
    for (unsigned i = 0; i < out + in; i++) {
        const struct iovec *s = &segments[i];

        if (s->iov_len == 0)
            return vop__error(EINVAL, "segment %u is empty", i);
        if (s->iov_len > vq->bytes_max - sum)
            return vop__error(EINVAL, "segment %u has %zu bytes: with it the buffer passes %u bytes", i, s->iov_len,
                              vq->bytes_max);
        if (!vop__regions_address(&vq->regions, s, i >= out, &address))
            return vop__error(EINVAL, "segment %u, %zu bytes at %p, lies in no single region that the device may %s", i,
                              s->iov_len, s->iov_base, i < out ? "read" : "write");
        if (address > vq->address_max || s->iov_len - 1 > vq->address_max - address)
            return vop__error(EINVAL, "segment %u, %zu bytes at %#llx, passes the last address of the layout", i,
                              s->iov_len, (unsigned long long)address);
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
