/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packed_device.c - the device of a packed ring (virtio 1.2, 2.8, from the other side).
 *
 * Room: ring. Letters: core/barrier.h.
 *
 *   published            used             next
 *       |<- unpublished ->|<-  not done  ->|          in_ring = all of it, at most N
 *
 * What is completed before a call is one batch: all used descriptors but the first are stored, and since the driver
 * cannot pass that one, one release shows all of them. Buffers that belong together appear at once.
 *
 * The id of a buffer is the driver's: it is returned as it was read and never used as an index. Buffers are named by
 * handles from a free list of our own.
 */
#include "core/event.h"
#include "ring/inflight.h"
#include "ring/packed.h"
#include "ring/vq_device.h"

struct packed_device {
    struct vop__device device;
    struct vop__packed_desc *ring;
    const struct vop__packed_event *driver_event;
    struct vop__packed_event *device_event; /* written here */
    struct vop__position next;              /* next descriptor to take */
    struct vop__position used;              /* next descriptor to become used */
    uint32_t in_ring;                       /* descriptors taken that the driver does not know to be used */
    uint32_t free_handle;
    vop_le32 *head; /* while unpublished > 0: the word that is held back */
    uint32_t head_word;
    uint32_t unpublished; /* descriptors */
};

static struct packed_device *of(struct vop_virtqueue *vq)
{
    return (struct packed_device *)vq;
}

/* Never 0, which is what a driver that begins anew leaves there: so whoever finds the ring knows whether it is the one
 * that a device has served. Without DESC the driver does not look at the position. */
static void arm_word(struct packed_device *p, uint32_t mode)
{
    uint32_t word = vop__packed_event_word(&p->next, mode);

    vop__store_le32(&p->device_event->word, word != 0 ? word : 1u << 15);
}

static uint32_t armed_mode(const struct vop_virtqueue *vq)
{
    return vq->event_idx ? VOP__EVENT_DESC : VOP__EVENT_ENABLE;
}

static void start(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    struct packed_device *p = of(vq);

    p->ring = vop__window_at(&vq->desc, 0);
    p->driver_event = vop__window_at(&vq->driver, 0);
    p->device_event = vop__window_at(&vq->device, 0);
    p->next = vop__position_start(place, place->position);
    p->used = vop__position_start(place, place->used_position);
    p->in_ring = vop__position_distance(&p->used, &p->next, vq->size);
    vq->position = vop__position_word(&p->next);
    vq->used_position = vop__position_word(&p->used);
    for (uint32_t i = 0; i < vq->size; i++)
        vq->records[i].next = (uint16_t)(i + 1 < vq->size ? i + 1 : 0);
    arm_word(p, armed_mode(vq));
}

static inline bool look(const struct packed_device *p, uint32_t *ret_word)
{
    *ret_word = vop__window_observe32(&p->device.vq.desc, &p->ring[p->next.index].id_flags, 'G');
    return vop__packed_is(*ret_word, vop__packed_avail(p->next.wrap));
}

static int pending(struct vop_virtqueue *vq)
{
    uint32_t word;

    return look(of(vq), &word);
}

/* A table is an array: its length is in the descriptor, and of its flags only WRITE is looked at (2.8.7). */
static int walk_table(struct vop__chain *c, const struct vop__desc *refers)
{
    uint32_t entries;
    int ret = vop__chain_table(c, refers, &entries);

    for (uint32_t i = 0; ret == 0 && i < entries; i++) {
        struct vop__desc desc;

        ret = vop__chain_entry(c, refers->addr, i, &desc);
        if (ret == 0) {
            desc.flags = desc.next; /* the packed layout has id before flags */
            ret = vop__chain_add(c, &desc);
        }
    }
    return ret;
}

static inline void load_desc(const struct packed_device *p, uint32_t index, uint32_t word, struct vop__desc *ret_desc)
{
    ret_desc->addr = vop__load_le64(&p->ring[index].addr);
    ret_desc->len = vop__load_le32(&p->ring[index].len);
    ret_desc->flags = (uint16_t)(word >> 16);
    ret_desc->next = (uint16_t)word; /* its id */
}

/* Walks the list from its head, which was copied to `desc`; leaves the last one there. The number of descriptors,
 * -ENOBUFS, -EPROTO. */
static __attribute__((noinline)) int walk(const struct packed_device *p, struct vop__chain *c, struct vop__desc *desc)
{
    struct vop__position at = p->next;
    uint32_t room = c->vq->size - p->in_ring;

    for (uint32_t i = 1; i <= room; i++) {
        uint32_t word;
        int ret;

        if (desc->flags & VOP_DESC_F_INDIRECT && i > 1)
            return vop__vq_break(c->vq, "an indirect descriptor inside a list");
        ret = desc->flags & VOP_DESC_F_INDIRECT ? walk_table(c, desc) : vop__chain_add(c, desc);
        if (ret < 0)
            return ret;
        if (!(desc->flags & VOP_DESC_F_NEXT))
            return (int)i;
        if (i == room)
            break;
        vop__position_advance(&at, c->vq->size, 1);
        word = vop__load_le32(&p->ring[at.index].id_flags);
        if (!vop__packed_is(word, vop__packed_avail(at.wrap)))
            return vop__vq_break(c->vq, "descriptor %u of a list is not available", at.index);
        load_desc(p, at.index, word, desc);
    }
    return vop__vq_break(c->vq, "more descriptors than the %u of the queue", c->vq->size);
}

/* Records a list of `descs` descriptors, the last of which had `id`, as taken (virtio 1.2, 2.8.6). */
static inline void took(struct packed_device *p, uint32_t descs, uint32_t id, uint32_t writable, uint32_t *ret_handle)
{
    struct vop_virtqueue *vq = &p->device.vq;
    uint32_t handle = p->free_handle;

    p->free_handle = vq->records[handle].next;
    p->in_ring += descs;
    vop__position_advance(&p->next, vq->size, descs);
    vop__device_hold(&p->device, handle, id, descs, writable);
    *ret_handle = handle;
}

/* The head was copied to `desc`. */
static __attribute__((noinline)) int take_list(struct packed_device *p, struct vop__desc *desc, struct iovec *iov,
                                               uint32_t iov_count, struct vop_taken_buf *ret_buf)
{
    struct vop__chain c = {.vq = &p->device.vq, .iov = iov, .iov_count = iov_count};
    int descs = walk(p, &c, desc);

    if (descs < 0)
        return descs;
    *ret_buf = c.buf;
    took(p, (uint32_t)descs, desc->next, c.buf.writable_bytes, &ret_buf->handle);
    return vop__device_took(&p->device);
}

static inline int take_one(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count,
                           struct vop_taken_buf *ret_buf)
{
    struct packed_device *p = of(vq);
    struct vop__desc desc;
    uint32_t word;

    if (!look(p, &word))
        return 0;
    load_desc(p, p->next.index, word, &desc);
    if (p->in_ring == vq->size || !vop__device_single(vq, &desc, iov, iov_count, ret_buf))
        return take_list(p, &(struct vop__desc){desc.addr, desc.len, desc.flags, desc.next}, iov, iov_count, ret_buf);
    took(p, 1, desc.next, desc.flags & VOP_DESC_F_WRITE ? desc.len : 0, &ret_buf->handle);
    return 1;
}

static int take(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count, struct vop_taken_buf *ret_bufs,
                uint32_t max)
{
    int ret = vop__device_take(vq, iov, iov_count, ret_bufs, max, take_one);

    vq->position = vop__position_word(&of(vq)->next);
    return ret;
}

static void free_handle(struct vop__device *d, uint32_t handle)
{
    struct packed_device *p = of(&d->vq);

    d->vq.records[handle].next = (uint16_t)p->free_handle;
    p->free_handle = handle;
}

static void untake(struct vop_virtqueue *vq, uint32_t handle)
{
    struct packed_device *p = of(vq);
    uint32_t descs = vq->records[handle].descs;

    vop__device_unhold(&p->device, handle);
    free_handle(&p->device, handle);
    p->in_ring -= descs;
    vop__position_retreat(&p->next, vq->size, descs);
    vq->position = vop__position_word(&p->next);
}

/* One used descriptor that stands for `descs` of them; the word of the first of a batch is held back. */
static inline void store_used(struct packed_device *p, uint32_t id, uint32_t len, uint32_t descs)
{
    struct vop__packed_desc *desc = &p->ring[p->used.index];
    uint32_t flags = vop__packed_used(p->used.wrap) | (len > 0 ? VOP_DESC_F_WRITE : 0);
    uint32_t word = vop__packed_word(id, flags);

    vop__store_le32(&desc->len, len);
    if (p->unpublished == 0) {
        p->head = &desc->id_flags;
        p->head_word = word;
    } else {
        vop__store_le32(&desc->id_flags, word);
    }
    p->unpublished += descs;
    vop__position_advance(&p->used, p->device.vq.size, descs);
}

static inline __attribute__((always_inline)) int complete_with(struct vop_virtqueue *vq,
                                                               const struct vop_completed_buf *bufs, uint32_t count,
                                                               void (*free_one)(struct vop__device *d, uint32_t handle))
{
    for (uint32_t i = 0; i < count; i++) {
        int ret = vop__device_finish(vop__device_of(vq), &bufs[i]);

        if (ret < 0)
            return ret;
        if (!vq->in_order) {
            store_used(of(vq), vq->records[bufs[i].handle].id, bufs[i].len, vq->records[bufs[i].handle].descs);
            free_one(vop__device_of(vq), bufs[i].handle);
        }
    }
    return 0;
}

static int complete(struct vop_virtqueue *vq, const struct vop_completed_buf *bufs, uint32_t count)
{
    return complete_with(vq, bufs, count, free_handle);
}

static void note_done(struct vop__device *d, uint32_t handle)
{
    vop__inflight_done(d->vq.inflight, d->vq.inflight->entry[handle]);
    free_handle(d, handle);
}

static inline __attribute__((always_inline)) bool publish_with(struct vop_virtqueue *vq, struct vop__inflight *inflight)
{
    struct packed_device *p = of(vq);
    struct vop__batch b;
    uint32_t count;

    while (vq->in_order && vop__device_batch(&p->device, &b, inflight ? note_done : free_handle))
        store_used(p, b.id, b.len, b.descs);
    count = p->unpublished;
    if (count == 0)
        return false;
    if (inflight)
        vop__inflight_packed_begin(inflight, &p->used);
    vop__window_publish32(&vq->desc, p->head, p->head_word, 'H');
    if (inflight)
        vop__inflight_packed_end(inflight);
    p->in_ring -= count;
    p->unpublished = 0;
    vq->used_position = vop__position_word(&p->used);
    if (__builtin_expect(vq->first, 0)) {
        vq->first = false;
        return true;
    }
    vop__window_fence(&vq->desc, 'J');
    return vop__event_packed(vop__load_le32(&p->driver_event->word), vq->size, p->used.index, p->used.wrap, count);
}

static bool publish(struct vop_virtqueue *vq)
{
    return publish_with(vq, NULL);
}

static void arm(struct vop_virtqueue *vq, bool delay)
{
    struct packed_device *p = of(vq);

    (void)delay; /* nobody knows how much the driver will add */
    arm_word(p, armed_mode(vq));
    vop__window_flush32(&vq->device, &p->device_event->word, 'I');
}

static void disarm(struct vop_virtqueue *vq)
{
    arm_word(of(vq), VOP__EVENT_DISABLE);
}

const struct vop__vq_ops vop__packed_device_ops = {
    .state_size = sizeof(struct packed_device),
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

static void tell_event(const struct vop_virtqueue *vq, const struct packed_device *p)
{
    vop__vq_stored(vq, p->device_event, sizeof(*p->device_event));
}

static void start_recorded(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    start(vq, place);
    if (vq->inflight) /* reading the record may have mended some of them */
        vop__vq_stored(vq, of(vq)->ring, vq->size * sizeof(of(vq)->ring[0]));
    tell_event(vq, of(vq));
}

/* The segments of a buffer that an earlier device took, from the copies of its descriptors. */
static int walk_copies(struct vop__chain *c, const struct vop__desc *desc, uint32_t descs)
{
    int ret = 0;

    for (uint32_t i = 0; ret == 0 && i < descs; i++) {
        if (desc[i].flags & VOP_DESC_F_INDIRECT && i > 0)
            return vop__vq_break(c->vq, "an indirect descriptor inside a list");
        ret = desc[i].flags & VOP_DESC_F_INDIRECT ? walk_table(c, &desc[i]) : vop__chain_add(c, &desc[i]);
    }
    return ret;
}

/* It has its place in the ring already. */
static int take_left(struct vop_virtqueue *vq, const struct vop__left *left, struct iovec *iov, uint32_t iov_count,
                     struct vop_taken_buf *ret_buf)
{
    struct vop__chain c = {.vq = vq, .iov = iov, .iov_count = iov_count};
    const struct vop__desc *desc = &vq->inflight->copies[left->copies];
    struct packed_device *p = of(vq);
    uint32_t handle = p->free_handle;
    int ret = walk_copies(&c, desc, left->descs);

    if (ret < 0)
        return ret;
    *ret_buf = c.buf;
    ret_buf->handle = handle;
    p->free_handle = vq->records[handle].next;
    vop__device_hold(&p->device, handle, desc[left->descs - 1].next, left->descs, c.buf.writable_bytes);
    vq->inflight->entry[handle] = (uint16_t)left->at;
    return vop__device_took(&p->device);
}

static inline int take_one_recorded(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count,
                                    struct vop_taken_buf *ret_buf)
{
    const struct vop__inflight *f = vq->inflight;

    if (f && vop__inflight_is_left(f, vq->buffers))
        return take_left(vq, &f->left[vq->buffers], iov, iov_count, ret_buf);
    return take_one(vq, iov, iov_count, ret_buf);
}

static int take_recorded(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count,
                         struct vop_taken_buf *ret_bufs, uint32_t max)
{
    struct packed_device *p = of(vq);
    uint32_t at = p->next.index;
    int ret = vop__device_take(vq, iov, iov_count, ret_bufs, max, take_one_recorded);

    for (int i = 0; vq->inflight && i < ret; i++) {
        const struct vop__record *record = &vq->records[ret_bufs[i].handle];

        if (vop__inflight_is_left(vq->inflight, record->seq))
            continue;
        vop__inflight_packed_took(vq->inflight, ret_bufs[i].handle, p->ring, at, record->descs);
        at = (at + record->descs) % vq->size;
    }
    vq->position = vop__position_word(&p->next);
    return ret;
}

static void untake_recorded(struct vop_virtqueue *vq, uint32_t handle)
{
    struct vop__device *d = vop__device_of(vq);

    if (vq->inflight && vop__inflight_is_left(vq->inflight, vq->records[handle].seq)) {
        vop__device_unhold(d, handle);
        free_handle(d, handle);
        return;
    }
    untake(vq, handle);
    if (vq->inflight)
        vop__inflight_packed_untook(vq->inflight, handle);
}

static int complete_recorded(struct vop_virtqueue *vq, const struct vop_completed_buf *bufs, uint32_t count)
{
    return vq->inflight ? complete_with(vq, bufs, count, note_done) : complete(vq, bufs, count);
}

static int pending_recorded(struct vop_virtqueue *vq)
{
    return (vq->inflight && vop__inflight_is_left(vq->inflight, vq->buffers)) || pending(vq);
}

/* Tells of the `count` descriptors that lead to the present position: more than were stored where a list or a batch had
 * several, which does no harm. */
static void tell_used(const struct vop_virtqueue *vq, const struct packed_device *p, uint32_t count)
{
    struct vop__position from = p->used;
    uint32_t first;

    if (count == 0)
        return;
    vop__position_retreat(&from, vq->size, count);
    first = count < vq->size - from.index ? count : vq->size - from.index;
    vop__vq_stored(vq, &p->ring[from.index], first * sizeof(p->ring[0]));
    if (count > first)
        vop__vq_stored(vq, p->ring, (count - first) * sizeof(p->ring[0]));
}

static bool publish_recorded(struct vop_virtqueue *vq)
{
    uint32_t before = of(vq)->in_ring;
    bool wanted = publish_with(vq, vq->inflight);

    tell_used(vq, of(vq), before - of(vq)->in_ring);
    return wanted;
}

static void arm_recorded(struct vop_virtqueue *vq, bool delay)
{
    arm(vq, delay);
    tell_event(vq, of(vq));
}

static void disarm_recorded(struct vop_virtqueue *vq)
{
    disarm(vq);
    tell_event(vq, of(vq));
}

const struct vop__vq_ops vop__packed_recorded_ops = {
    .state_size = sizeof(struct packed_device),
    .start = start_recorded,
    .take = take_recorded,
    .untake = untake_recorded,
    .complete = complete_recorded,
    .publish = publish_recorded,
    .pending = pending_recorded,
    .arm = arm_recorded,
    .disarm = disarm_recorded,
};
