/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split_driver.c - the driver of a split ring (virtio 1.2, 2.7.13 and 2.7.14).
 *
 * Room: ring. Writes only descriptors and the driver area, loads only the device area. Letters: core/barrier.h.
 *
 * Free descriptors are a list in the private records, not in the table as virtio shows it, since the device could write
 * there. The head of a chain is its id.
 */
#include "core/event.h"
#include "ring/split.h"
#include "ring/vq_driver.h"

#include <string.h>

#define WORDS_2009 3u  /* of a descriptor of 2009 */
#define DESCS_2009 64u /* that there can be */

struct split_driver {
    struct vop__driver driver;
    struct vop__split ring;
    uint64_t seen;                           /* used buffers, as used.idx said last: got <= seen <= published */
    uint32_t stored[DESCS_2009][WORDS_2009]; /* 2009: what the descriptors hold */
};

static struct split_driver *of(struct vop_virtqueue *vq)
{
    return (struct split_driver *)vq;
}

static void start(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    struct split_driver *s = of(vq);
    struct vop__split *r = &s->ring;

    vop__split_place(r, vq, place);
    vop__driver_start(&s->driver);
    memset(s->stored, 0, sizeof(s->stored));
    vq->position = vq->used_position = r->base;
    for (uint32_t i = 0; i < vq->size; i++) {
        vop__split_store_desc(r, i, 0, 0, 0, 0);
        vop__store_le16(&r->avail_ring[i], 0);
    }
    vop__split_clear(r->avail_flags, r->avail_ring, r->avail_idx, r->base);
    if (r->used_event)
        vop__store_le16(r->used_event, r->base);
}

/* Fills the table of id `head` with the segments from `i` on. Tables are in order, for peers that do not look at next.
 */
static uint64_t fill_table(struct split_driver *s, const struct iovec *segments, uint32_t i, uint32_t out,
                           uint32_t total)
{
    struct vop__split table = {.desc_size = 16};
    uint64_t address;

    table.desc = vop__driver_table(&s->driver, s->driver.free_head, &address);
    for (uint32_t entry = 0; i < total; i++, entry++) {
        uint32_t next = i + 1 < total ? entry + 1 : 0;

        vop__split_store_desc(&table, entry, vop__driver_address(&s->driver, &segments[i], i >= out),
                              (uint32_t)segments[i].iov_len,
                              (i >= out ? VOP_DESC_F_WRITE : 0) | (next ? VOP_DESC_F_NEXT : 0), next);
    }
    return address;
}

/* A table of 2009 lies across a bus, and where buffers come again in the same order most words of it stay as they are.
 */
static __attribute__((noinline)) void store_changes(struct split_driver *s, uint32_t index, uint32_t addr, uint32_t len,
                                                    uint32_t last)
{
    const uint32_t now[WORDS_2009] = {addr, len, last};
    vop_le32 *w = vop__split_words(&s->ring, index);

    for (unsigned i = 0; i < WORDS_2009; i++) {
        if (s->stored[index][i] != now[i])
            vop__store_le32(&w[i], now[i]);
        s->stored[index][i] = now[i];
    }
}

static inline void store_desc(struct split_driver *s, uint32_t index, uint64_t addr, uint32_t len, uint32_t flags,
                              uint32_t next)
{
    if (__builtin_expect(s->ring.desc_size != sizeof(struct vop_desc), 0))
        store_changes(s, index, (uint32_t)addr, len, flags | next << 16);
    else
        vop__split_store_desc(&s->ring, index, addr, len, flags, next);
}

/* The next entry of the available ring. */
static void offer(const struct split_driver *s, uint32_t head)
{
    vop__store_le16(&s->ring.avail_ring[(s->ring.base + s->driver.vq.buffers) & s->ring.mask], (uint16_t)head);
}

static __attribute__((noinline)) int add_any(struct vop_virtqueue *vq, const struct iovec *segments, uint32_t out,
                                             uint32_t in, void *token)
{
    struct split_driver *s = of(vq);
    struct vop__driver *d = &s->driver;
    uint32_t total = out + in;
    uint32_t direct = vop__driver_direct(d, total, vq->options.indirect_after);
    uint32_t descs = direct < total ? direct + 1 : direct;
    uint32_t head = d->free_head, at = head, writable = 0;
    int ret = vop__driver_check(vq, segments, out, in, &writable);

    if (ret < 0)
        return ret;
    if (descs > d->free_count)
        return vop__vq_full(vq, descs);
    for (uint32_t i = 0; i < direct; i++) {
        uint32_t next = vq->records[at].next;
        uint32_t flags = i >= out ? VOP_DESC_F_WRITE : 0;
        bool more = i + 1 < descs;

        store_desc(s, at, vop__driver_address(d, &segments[i], i >= out), (uint32_t)segments[i].iov_len,
                   more ? flags | VOP_DESC_F_NEXT : flags, more ? next : 0);
        at = next;
    }
    if (direct < total) {
        uint64_t table = fill_table(s, segments, direct, out, total);

        store_desc(s, at, table, (total - direct) * 16, VOP_DESC_F_INDIRECT, 0);
        at = vq->records[at].next;
    }
    offer(s, head);
    vop__driver_hold(d, head, descs, writable, token);
    d->free_head = at;
    return 0;
}

static int add(struct vop_virtqueue *vq, const struct iovec *segments, uint32_t out, uint32_t in, void *token)
{
    struct split_driver *s = of(vq);
    uint32_t head = s->driver.free_head, len;
    uint64_t address;

    if (!vop__driver_single(&s->driver, segments, out, in, &address))
        return add_any(vq, segments, out, in, token);
    len = (uint32_t)segments->iov_len;
    store_desc(s, head, address, len, in ? VOP_DESC_F_WRITE : 0, 0);
    offer(s, head);
    s->driver.free_head = vq->records[head].next;
    vop__driver_hold(&s->driver, head, 1, in ? len : 0, token);
    return 0;
}

static bool publish(struct vop_virtqueue *vq)
{
    struct split_driver *s = of(vq);
    uint16_t old = (uint16_t)(s->ring.base + s->driver.published);
    uint16_t idx = (uint16_t)(s->ring.base + vq->buffers);

    if (s->driver.published == vq->buffers)
        return false;
    vop__window_publish16(&vq->driver, s->ring.avail_idx, idx, 'G');
    s->driver.published = vq->buffers;
    vq->position = idx;
    if (__builtin_expect(vq->first, 0)) {
        vq->first = false;
        return true;
    }
    vop__window_fence(&vq->driver, 'I');
    if (vq->event_idx)
        return vop__need_event(vop__load_le16(s->ring.avail_event), idx, old);
    return !(vop__load_le16(s->ring.used_flags) & VOP__RING_F_QUIET);
}

/* Loads used.idx. Whatever is used was published and not used before; otherwise the device lies. */
static int load_used(struct split_driver *s)
{
    uint16_t idx = vop__window_observe16(&s->driver.vq.device, s->ring.used_idx, 'H');
    uint16_t used = (uint16_t)(idx - (uint16_t)(s->ring.base + s->seen));

    if (__builtin_expect(used > s->driver.published - s->seen, 0))
        return vop__vq_break(&s->driver.vq, "used.idx %u says %u buffers when %llu were out", idx, used,
                             (unsigned long long)(s->driver.published - s->seen));
    s->seen += used;
    return 0;
}

static int pending(struct vop_virtqueue *vq)
{
    struct split_driver *s = of(vq);

    if (s->driver.got == s->seen) {
        int ret = load_used(s);

        if (ret < 0)
            return ret;
    }
    return s->driver.got != s->seen;
}

/* Puts the chain of a returned buffer at the front of the free list, following the private list only. */
static void free_chain(struct split_driver *s, uint32_t head)
{
    struct vop__record *records = s->driver.vq.records;
    uint32_t tail = head;

    for (uint32_t i = 1; i < records[head].descs; i++)
        tail = records[tail].next;
    records[tail].next = (uint16_t)s->driver.free_head;
    s->driver.free_head = head;
}

static inline int get_one(struct vop_virtqueue *vq, struct vop_used_buf *ret_buf)
{
    struct split_driver *s = of(vq);
    struct vop__driver *d = &s->driver;
    uint32_t id, len;

    if (d->batch > 0) {
        vop__driver_rest(d, &id, &len);
    } else {
        const struct vop_used_elem *elem = &s->ring.used_ring[(s->ring.base + d->got) & s->ring.mask];
        int ret = pending(vq);

        if (ret <= 0)
            return ret;
        id = vop__load_le32(&elem->id);
        len = vop__load_le32(&elem->len);
        ret = vop__driver_used(d, &id, &len, s->seen - d->got);
        if (ret < 0)
            return ret;
    }
    vop__driver_return(d, id, len, ret_buf);
    d->free_count += vq->records[id].descs;
    if (vq->in_order)
        d->oldest = (id + vq->records[id].descs) & s->ring.mask;
    else
        free_chain(s, id);
    return 1;
}

static int get(struct vop_virtqueue *vq, struct vop_used_buf *ret_bufs, uint32_t max)
{
    int ret = vop__driver_get(vq, ret_bufs, max, get_one);

    vq->used_position = (uint16_t)(of(vq)->ring.base + of(vq)->driver.got);
    return ret;
}

static void arm(struct vop_virtqueue *vq, bool delay)
{
    struct split_driver *s = of(vq);
    uint32_t more = delay ? vop__driver_delay(s->driver.published - s->driver.got) : 0;
    vop_le16 *word = vq->event_idx ? s->ring.used_event : s->ring.avail_flags;

    vop__store_le16(word, vq->event_idx ? (uint16_t)(s->ring.base + s->driver.got + more) : 0);
    vop__window_flush16(&vq->driver, word, 'J');
}

static void disarm(struct vop_virtqueue *vq)
{
    struct split_driver *s = of(vq);

    /* virtio 1.2, 2.7.7.1: with EVENT_IDX flags stay 0. The index just passed is 65535 away. */
    if (vq->event_idx)
        vop__store_le16(s->ring.used_event, (uint16_t)(s->ring.base + s->driver.got - 1));
    else
        vop__store_le16(s->ring.avail_flags, VOP__RING_F_QUIET);
}

const struct vop__vq_ops vop__split_driver_ops = {
    .state_size = sizeof(struct split_driver),
    .start = start,
    .add = add,
    .get = get,
    .publish = publish,
    .pending = pending,
    .arm = arm,
    .disarm = disarm,
};
