/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq_device.c - what a device does in every layout: turns chains into iovecs, keeps handles, completes in order.
 *
 * Room: ring.
 */
#include "ring/vq_device.h"

/* ---- Chains ---- */

static int add_piece(struct vop__chain *c, const struct vop_region *r, uint64_t addr, uint32_t len)
{
    if (c->iov_used == c->iov_count)
        return vop__error(ENOBUFS, "a buffer takes more than the %u iovecs there is room for", c->iov_count);
    c->iov[c->iov_used++] = (struct iovec){.iov_base = vop__region_at(r, addr), .iov_len = len};
    if (c->writing)
        c->buf.writable++;
    else
        c->buf.readable++;
    return 0;
}

/* A readable segment came after writable ones: 0 if these are to be read as well, or -EPROTO. */
static int read_all(struct vop__chain *c)
{
    if (!(c->vq->options.flags & VOP_VIRTQUEUE_LENIENT))
        return vop__vq_break(c->vq, "a readable segment after a writable one");
    c->buf.readable += c->buf.writable;
    c->buf.readable_bytes += c->buf.writable_bytes;
    c->buf.writable = c->buf.writable_bytes = 0;
    return 0;
}

int vop__chain_add(struct vop__chain *c, const struct vop__desc *desc)
{
    uint64_t addr = desc->addr;
    uint32_t len = desc->len;
    bool write = desc->flags & VOP_DESC_F_WRITE;

    if (++c->segments > c->vq->segments_max)
        return vop__vq_break(c->vq, "a buffer of more than %u segments", c->vq->segments_max);
    if (c->writing && !write && read_all(c) < 0)
        return -EPROTO;
    c->writing = write;
    if (len == 0) {
        vop__device_of(c->vq)->empty++;
        return 0; /* it is never touched, so it may lie anywhere */
    }
    if (len > c->vq->bytes_max - c->buf.readable_bytes - c->buf.writable_bytes)
        return vop__vq_break(c->vq, "a buffer of more than %u bytes", c->vq->bytes_max);
    if (len - 1 > UINT64_MAX - addr)
        return vop__vq_break(c->vq, "a segment of %u bytes at %#llx wraps", len, (unsigned long long)addr);
    *(write ? &c->buf.writable_bytes : &c->buf.readable_bytes) += len;
    while (len > 0) {
        const struct vop_region *r = vop__regions_find(&c->vq->regions, addr);
        uint32_t piece;
        int ret;

        if (!r || !vop__region_allows(r, write))
            return vop__vq_break(c->vq, "a segment at %#llx, where %s", (unsigned long long)addr,
                                 r ? "nothing may be written" : "there is no memory");
        piece = vop__region_rest(r, addr) < len ? (uint32_t)vop__region_rest(r, addr) : len;
        ret = add_piece(c, r, addr, piece);
        if (ret < 0)
            return ret;
        addr += piece;
        len -= piece;
    }
    return 0;
}

/* ---- Indirect tables ---- */

int vop__chain_table(struct vop__chain *c, const struct vop__desc *desc, uint32_t *ret_entries)
{
    if (!c->vq->indirect)
        return vop__vq_break(c->vq, "an indirect descriptor, which was not negotiated");
    if (desc->flags & VOP_DESC_F_NEXT)
        return vop__vq_break(c->vq, "an indirect descriptor with the flag NEXT");
    if (desc->len == 0 || desc->len % 16 != 0)
        return vop__vq_break(c->vq, "an indirect table of %u bytes", desc->len);
    if (desc->len - 1 > UINT64_MAX - desc->addr)
        return vop__vq_break(c->vq, "an indirect table at %#llx wraps", (unsigned long long)desc->addr);
    *ret_entries = desc->len / 16;
    return 0;
}

/* Byte by byte, through as many regions as it takes: for an entry that is misaligned or crosses regions. */
static bool copy_bytes(struct vop_virtqueue *vq, uint64_t addr, uint8_t bytes[16])
{
    for (unsigned i = 0; i < 16; i++) {
        const struct vop_region *r = vop__regions_find(&vq->regions, addr + i);

        if (!r)
            return false;
        bytes[i] = vop__load_u8(vop__region_at(r, addr + i));
    }
    return true;
}

static uint32_t word_of(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Of a big-endian descriptor, the words that a little-endian one would have. */
static void turn_round(uint32_t word[4])
{
    uint32_t high = __builtin_bswap32(word[0]), last = __builtin_bswap32(word[3]);

    word[0] = __builtin_bswap32(word[1]);
    word[1] = high;
    word[2] = __builtin_bswap32(word[2]);
    word[3] = last >> 16 | last << 16;
}

int vop__chain_entry(struct vop__chain *c, uint64_t table, uint32_t index, struct vop__desc *ret_desc)
{
    uint64_t addr = table + (uint64_t)index * 16; /* inside a table that does not wrap */
    const struct vop_region *r = vop__regions_find(&c->vq->regions, addr);
    uint32_t word[4];

    if (r && vop__region_rest(r, addr) >= 16 && (uintptr_t)vop__region_at(r, addr) % 4 == 0) {
        const vop_le32 *p = vop__region_at(r, addr);

        for (unsigned i = 0; i < 4; i++)
            word[i] = vop__load_le32(&p[i]);
    } else {
        uint8_t bytes[16];

        if (!copy_bytes(c->vq, addr, bytes))
            return vop__vq_break(c->vq, "an indirect table at %#llx, where there is no memory",
                                 (unsigned long long)addr);
        for (unsigned i = 0; i < 4; i++)
            word[i] = word_of(&bytes[4 * (size_t)i]);
    }
    if (c->vq->options.flags & VOP_VIRTQUEUE_BIG_ENDIAN)
        turn_round(word);
    ret_desc->addr = (uint64_t)word[1] << 32 | word[0];
    ret_desc->len = word[2];
    ret_desc->flags = (uint16_t)word[3];
    ret_desc->next = (uint16_t)(word[3] >> 16);
    return 0;
}
