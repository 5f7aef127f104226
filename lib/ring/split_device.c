/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split_device.c - the device of a split ring (virtio 1.2, 2.7.13 and 2.7.14, from the other side).
 *
 * Room: ring. Writes only the device area, loads only descriptors and the driver area. Letters: core/barrier.h.
 *
 *   completed <= taken <= seen <= published + N
 *
 * A head is its own handle: one that comes again while it is held is a buffer with two owners, and breaks the queue. So
 * do more descriptors in the buffers that are held than the ring has, which is what chains that share some come to.
 */
#include "core/event.h"
#include "ring/inflight.h"
#include "ring/split.h"
#include "ring/vq_device.h"

struct split_device {
    struct vop__device device;
    struct vop__split ring;
    uint64_t seen;      /* available buffers, as avail.idx said last (vq.buffers were taken) */
    uint64_t completed; /* used elements written, and skipped, up to here */
    uint64_t published; /* of these, what the driver may know */
    uint32_t extra;     /* descriptors of the buffers held, beyond one for each: N in all at most */
};

static struct split_device *of(struct vop_virtqueue *vq)
{
    return (struct split_device *)vq;
}

static void start(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    struct split_device *s = of(vq);
    struct vop__split *r = &s->ring;

    vop__split_place(r, vq, place);
    vq->buffers = s->seen = vop__split_left(place); /* as if taken here, but nobody has a handle for them */
    vq->position = (uint16_t)(r->base + vq->buffers);
    vq->used_position = r->base;
    vop__split_clear(r->used_flags, r->used_ring, r->used_idx, r->base);
    if (r->avail_event)
        vop__store_le16(r->avail_event, vq->position);
}

/* Loads avail.idx. A driver owns at most the N buffers that were returned to it: anything beyond is a lie. */
static int load_avail(struct split_device *s)
{
    struct vop_virtqueue *vq = &s->device.vq;
    uint16_t idx = vop__window_observe16(&vq->driver, s->ring.avail_idx, 'G');
    uint16_t added = (uint16_t)(idx - (uint16_t)(s->ring.base + s->seen));

    if (__builtin_expect(added > vq->size - (s->seen - s->published), 0))
        return vop__vq_break(vq, "avail.idx %u says %u buffers when there is room for %llu", idx, added,
                             (unsigned long long)(vq->size - (s->seen - s->published)));
    s->seen += added;
    return 0;
}

static int pending(struct vop_virtqueue *vq)
{
    struct split_device *s = of(vq);

    if (vq->buffers == s->seen) {
        int ret = load_avail(s);

        if (ret < 0)
            return ret;
    }
    return vq->buffers != s->seen;
}

static inline void load_desc(const struct vop__split *r, uint32_t index, struct vop__desc *ret_desc)
{
    const vop_le32 *w = vop__split_words(r, index);
    uint32_t last;

    ret_desc->addr = vop__load_le32(w++);
    if (r->desc_size == 16)
        ret_desc->addr |= (uint64_t)vop__load_le32(w++) << 32;
    if (VOP__RING_BIG)
        ret_desc->addr = ret_desc->addr << 32 | ret_desc->addr >> 32;
    ret_desc->len = vop__load_le32(w++);
    last = vop__load_le32(w);
    ret_desc->flags = (uint16_t)(VOP__RING_BIG ? last >> 16 : last);
    ret_desc->next = (uint16_t)(VOP__RING_BIG ? last : last >> 16);
}

/* A table is followed along `next`, like the ring. segments_max bounds a loop. */
static int walk_table(struct vop__chain *c, const struct vop__desc *refers)
{
    uint32_t entries, at = 0;
    int ret = vop__chain_table(c, refers, &entries);

    while (ret == 0) {
        struct vop__desc desc;

        ret = vop__chain_entry(c, refers->addr, at, &desc);
        if (ret < 0)
            break;
        if (desc.flags & VOP_DESC_F_INDIRECT)
            return vop__vq_break(c->vq, "an indirect table inside an indirect table");
        ret = vop__chain_add(c, &desc);
        if (ret < 0 || !(desc.flags & VOP_DESC_F_NEXT))
            break;
        if (desc.next >= entries)
            return vop__vq_break(c->vq, "next %u in an indirect table of %u", desc.next, entries);
        at = desc.next;
    }
    return ret;
}

/* Walks the chain from its head, which was copied to `desc`. The number of descriptors, -ENOBUFS, -EPROTO. */
static __attribute__((noinline)) int walk(const struct split_device *s, struct vop__chain *c, struct vop__desc *desc)
{
    uint32_t room = c->vq->size - c->vq->in_flight - s->extra;

    for (uint32_t i = 1; i <= room; i++) {
        bool table = desc->flags & VOP_DESC_F_INDIRECT; /* virtio 1.2, 2.7.5.3: direct ones may come before it */
        int ret = table ? walk_table(c, desc) : vop__chain_add(c, desc);

        if (ret < 0)
            return ret;
        if (table || !(desc->flags & VOP_DESC_F_NEXT))
            return (int)i;
        if (desc->next >= c->vq->size)
            return vop__vq_break(c->vq, "next %u in a queue of %u", desc->next, c->vq->size);
        if (i < room)
            load_desc(&s->ring, desc->next, desc);
    }
    return vop__vq_break(c->vq, "more descriptors than the %u of the queue", c->vq->size);
}

/* The head was copied to `desc`. */
static __attribute__((noinline)) int take_chain(struct split_device *s, uint32_t head, struct vop__desc *desc,
                                                struct iovec *iov, uint32_t iov_count, struct vop_taken_buf *ret_buf)
{
    struct vop__chain c = {.vq = &s->device.vq, .iov = iov, .iov_count = iov_count};
    int descs = walk(s, &c, desc);

    if (descs < 0)
        return descs;
    *ret_buf = c.buf;
    ret_buf->handle = head;
    s->extra += (uint32_t)descs - 1;
    vop__device_hold(&s->device, head, head, (uint32_t)descs, c.buf.writable_bytes);
    return vop__device_took(&s->device);
}

/* The next buffer is that of `head`. */
static inline int take_head(struct split_device *s, uint32_t head, struct iovec *iov, uint32_t iov_count,
                            struct vop_taken_buf *ret_buf)
{
    struct vop_virtqueue *vq = &s->device.vq;
    struct vop__desc desc;

    if (head >= vq->size)
        return vop__vq_break(vq, "head %u in a queue of %u", head, vq->size);
    if (vq->records[head].state != VOP__RECORD_FREE)
        return vop__vq_break(vq, "head %u is in flight already", head);
    load_desc(&s->ring, head, &desc);
    if ((s->extra > 0 && vq->in_flight + s->extra == vq->size) ||
        !vop__device_single(vq, &desc, iov, iov_count, ret_buf))
        return take_chain(s, head, &(struct vop__desc){desc.addr, desc.len, desc.flags, desc.next}, iov, iov_count,
                          ret_buf);
    vop__device_hold(&s->device, head, head, 1, desc.flags & VOP_DESC_F_WRITE ? desc.len : 0);
    ret_buf->handle = head;
    return 1;
}

static inline int take_one(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count,
                           struct vop_taken_buf *ret_buf)
{
    struct split_device *s = of(vq);
    int ret = pending(vq);

    if (ret <= 0)
        return ret;
    return take_head(s, vop__load_le16(&s->ring.avail_ring[(s->ring.base + vq->buffers) & s->ring.mask]), iov,
                     iov_count, ret_buf);
}

static int take(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count, struct vop_taken_buf *ret_bufs,
                uint32_t max)
{
    int ret = vop__device_take(vq, iov, iov_count, ret_bufs, max, take_one);

    vq->position = (uint16_t)(of(vq)->ring.base + vq->buffers);
    return ret;
}

static void untake(struct vop_virtqueue *vq, uint32_t handle)
{
    struct split_device *s = of(vq);

    vop__device_unhold(&s->device, handle);
    s->extra -= vq->records[handle].descs - 1u;
    vq->position = (uint16_t)(s->ring.base + vq->buffers);
}

static inline void store_used(struct split_device *s, uint32_t id, uint32_t len, uint32_t buffers)
{
    struct vop_used_elem *elem = &s->ring.used_ring[(s->ring.base + s->completed) & s->ring.mask];

    vop__store_le32(&elem->id, id);
    vop__store_le32(&elem->len, len);
    s->completed += buffers;
}

static int complete(struct vop_virtqueue *vq, const struct vop_completed_buf *bufs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int ret = vop__device_finish(vop__device_of(vq), &bufs[i]);

        if (ret < 0)
            return ret;
        if (of(vq)->extra > 0)
            of(vq)->extra -= vq->records[bufs[i].handle].descs - 1u;
        if (!vq->in_order)
            store_used(of(vq), bufs[i].handle, bufs[i].len, 1);
    }
    return 0;
}

static void keep_nothing(struct vop__device *d, uint32_t handle)
{
    (void)d;
    (void)handle; /* the driver names it again */
}

static void note_done(struct vop__device *d, uint32_t handle)
{
    vop__inflight_done(d->vq.inflight, handle);
}

static inline __attribute__((always_inline)) bool publish_with(struct vop_virtqueue *vq, struct vop__inflight *inflight)
{
    struct split_device *s = of(vq);
    uint16_t old = (uint16_t)(s->ring.base + s->published);
    struct vop__batch b;
    uint16_t idx;

    while (vq->in_order && vop__device_batch(&s->device, &b, inflight ? note_done : keep_nothing))
        store_used(s, b.id, b.len, b.buffers);
    if (s->completed == s->published)
        return false;
    idx = (uint16_t)(s->ring.base + s->completed);
    if (inflight)
        vop__inflight_split_begin(inflight);
    vop__window_publish16(&vq->device, s->ring.used_idx, idx, 'H');
    if (inflight)
        vop__inflight_split_end(inflight, idx);
    s->published = s->completed;
    vq->used_position = idx;
    if (__builtin_expect(vq->first, 0)) {
        vq->first = false;
        return true;
    }
    if (s->seen == s->completed && vop__vq_feature(&vq->options, VOP_F_NOTIFY_ON_EMPTY))
        return true;
    vop__window_fence(&vq->device, 'J');
    if (vq->event_idx)
        return vop__need_event(vop__load_le16(s->ring.used_event), idx, old);
    return !(vop__load_le16(s->ring.avail_flags) & VOP__RING_F_QUIET);
}

static bool publish(struct vop_virtqueue *vq)
{
    return publish_with(vq, NULL);
}

static void arm(struct vop_virtqueue *vq, bool delay)
{
    struct split_device *s = of(vq);
    vop_le16 *word = vq->event_idx ? s->ring.avail_event : s->ring.used_flags;

    (void)delay; /* nobody knows how much the driver will add */
    vop__store_le16(word, vq->event_idx ? (uint16_t)(s->ring.base + vq->buffers) : 0);
    vop__window_flush16(&vq->device, word, 'I');
}

static void disarm(struct vop_virtqueue *vq)
{
    struct split_device *s = of(vq);

    /* virtio 1.2, 2.7.10.1: with EVENT_IDX flags stay 0. The index just passed is 65535 away. */
    if (vq->event_idx)
        vop__store_le16(s->ring.avail_event, (uint16_t)(s->ring.base + vq->buffers - 1));
    else
        vop__store_le16(s->ring.used_flags, VOP__RING_F_QUIET);
}

const struct vop__vq_ops vop__split_device_ops = {
    .state_size = sizeof(struct split_device),
    .start = start,
    .take = take,
    .untake = untake,
    .complete = complete,
    .publish = publish,
    .pending = pending,
    .arm = arm,
    .disarm = disarm,
};

/* ---- A device that is logged, or keeps an inflight record ---- */

/* The next buffer that nobody has taken yet comes behind those that were left. */
static void say_position(struct vop_virtqueue *vq)
{
    uint64_t left = vq->inflight ? vq->inflight->left_count : 0;

    vq->position = (uint16_t)(of(vq)->ring.base + (vq->buffers > left ? vq->buffers : left));
}

static void start_recorded(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    const struct vop__split *r = &of(vq)->ring;

    start(vq, place);
    if (vq->inflight)
        of(vq)->seen = vq->inflight->left_count; /* they are before what the available ring will say */
    say_position(vq);
    vop__vq_stored(vq, r->used_flags, (size_t)((uint8_t *)r->used_ring - (uint8_t *)r->used_flags));
    if (r->avail_event)
        vop__vq_stored(vq, r->avail_event, sizeof(*r->avail_event));
}

static inline int take_one_recorded(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count,
                                    struct vop_taken_buf *ret_buf)
{
    const struct vop__inflight *f = vq->inflight;

    if (f && vop__inflight_is_left(f, vq->buffers))
        return take_head(of(vq), f->left[vq->buffers].at, iov, iov_count, ret_buf);
    return take_one(vq, iov, iov_count, ret_buf);
}

static int take_recorded(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count,
                         struct vop_taken_buf *ret_bufs, uint32_t max)
{
    int ret = vop__device_take(vq, iov, iov_count, ret_bufs, max, take_one_recorded);

    for (int i = 0; vq->inflight && i < ret; i++) {
        if (!vop__inflight_is_left(vq->inflight, vq->records[ret_bufs[i].handle].seq))
            vop__inflight_split_took(vq->inflight, ret_bufs[i].handle);
    }
    say_position(vq);
    return ret;
}

static void untake_recorded(struct vop_virtqueue *vq, uint32_t handle)
{
    bool is_left = vq->inflight && vop__inflight_is_left(vq->inflight, vq->records[handle].seq);

    untake(vq, handle);
    say_position(vq);
    if (vq->inflight && !is_left)
        vop__inflight_split_untook(vq->inflight, handle);
}

static int complete_recorded(struct vop_virtqueue *vq, const struct vop_completed_buf *bufs, uint32_t count)
{
    int ret = vq->inflight ? 0 : complete(vq, bufs, count);

    for (uint32_t i = 0; vq->inflight && ret == 0 && i < count; i++) {
        ret = complete(vq, &bufs[i], 1);
        if (ret == 0 && !vq->in_order)
            note_done(vop__device_of(vq), bufs[i].handle);
    }
    return ret;
}

/* Tells of the used elements from index `from` on. A batch stores one for several
 * buffers: then this is more than was stored, which does no harm. */
static void tell_used(const struct vop_virtqueue *vq, const struct vop__split *r, uint16_t from)
{
    uint32_t count = (uint16_t)(vq->used_position - from), at = from & r->mask;
    uint32_t first = count < vq->size - at ? count : vq->size - at;

    if (count == 0)
        return;
    vop__vq_stored(vq, &r->used_ring[at], first * sizeof(r->used_ring[0]));
    if (count > first)
        vop__vq_stored(vq, r->used_ring, (count - first) * sizeof(r->used_ring[0]));
    vop__vq_stored(vq, r->used_idx, sizeof(*r->used_idx));
}

static bool publish_recorded(struct vop_virtqueue *vq)
{
    uint16_t from = vq->used_position;
    bool wanted = publish_with(vq, vq->inflight);

    tell_used(vq, &of(vq)->ring, from);
    return wanted;
}

static void tell_event(const struct vop_virtqueue *vq, const struct vop__split *r)
{
    const vop_le16 *word = vq->event_idx ? r->avail_event : r->used_flags;

    vop__vq_stored(vq, word, sizeof(*word));
}

static void arm_recorded(struct vop_virtqueue *vq, bool delay)
{
    arm(vq, delay);
    tell_event(vq, &of(vq)->ring);
}

static void disarm_recorded(struct vop_virtqueue *vq)
{
    disarm(vq);
    tell_event(vq, &of(vq)->ring);
}

const struct vop__vq_ops vop__split_recorded_ops = {
    .state_size = sizeof(struct split_device),
    .start = start_recorded,
    .take = take_recorded,
    .untake = untake_recorded,
    .complete = complete_recorded,
    .publish = publish_recorded,
    .pending = pending,
    .arm = arm_recorded,
    .disarm = disarm_recorded,
};
