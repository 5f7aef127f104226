/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packed_driver.c - the driver of a packed ring (virtio 1.2, 2.8).
 *
 * Room: ring. Letters: core/barrier.h.
 *
 * Buffers added before a kick are one batch: everything but the head of the first is stored, and since the device
 * cannot pass that one, one release makes all of them available. Ids do not index the ring, because buffers may come
 * back in another order than they went, while descriptors are used in ring order.
 */
#include "core/event.h"
#include "ring/packed.h"
#include "ring/vq_driver.h"

/* Where the next used descriptor is follows from the id in this one, so the processor cannot prefetch by itself, and
 * the driver of a full queue would wait for each line. A prefetch past the end of the ring is harmless. */
#define AHEAD 128 /* bytes */

struct packed_driver {
    struct vop__driver driver;
    struct vop__packed_desc *ring;
    struct vop__packed_event *driver_event; /* written here */
    const struct vop__packed_event *device_event;
    struct vop__position next; /* next descriptor to make available */
    struct vop__position used; /* next descriptor that will become used */
    vop_le32 *head;            /* while unpublished > 0: the word that is held back */
    uint32_t head_word;
    uint32_t unpublished; /* descriptors */
};

static struct packed_driver *of(struct vop_virtqueue *vq)
{
    return (struct packed_driver *)vq;
}

/* The length of a used descriptor means something only with WRITE (virtio 1.2, 2.8.4), which a device sets that has
 * written. QEMU's never sets it, so where something could be written the length is taken as it is, as Linux does. */
static uint32_t used_length(const struct packed_driver *p, uint32_t word)
{
    const struct vop_virtqueue *vq = &p->driver.vq;
    uint32_t id = word & 0xffff;

    if (!(word >> 16 & VOP_DESC_F_WRITE) && (id >= vq->size || vq->records[id].writable == 0))
        return 0;
    return vop__load_le32(&p->ring[p->used.index].len);
}

/* Makes all descriptors look as if the laps before `next` were done: none is available, none is used in this lap. */
static void reset_ring(struct packed_driver *p, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        bool lap = i < p->next.index ? p->next.wrap : !p->next.wrap;

        vop__store_le64(&p->ring[i].addr, 0);
        vop__store_le32(&p->ring[i].len, 0);
        vop__store_le32(&p->ring[i].id_flags, vop__packed_word(0, vop__packed_used(lap)));
    }
}

static void arm_word(struct packed_driver *p, const struct vop__position *at, uint32_t mode)
{
    vop__store_le32(&p->driver_event->word, vop__packed_event_word(at, mode));
}

static uint32_t armed_mode(const struct vop_virtqueue *vq)
{
    return vq->event_idx ? VOP__EVENT_DESC : VOP__EVENT_ENABLE;
}

static void start(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place)
{
    struct packed_driver *p = of(vq);

    p->ring = vop__window_at(&vq->desc, 0);
    p->driver_event = vop__window_at(&vq->driver, 0);
    p->device_event = vop__window_at(&vq->device, 0);
    p->next = p->used = vop__position_start(place, place->position);
    vq->position = vq->used_position = vop__position_word(&p->next);
    vop__driver_start(&p->driver);
    reset_ring(p, vq->size);
    arm_word(p, &p->used, armed_mode(vq));
}

/* Stores a descriptor; the word that makes it available is held back for the first of a batch. */
static inline void put(struct packed_driver *p, uint64_t addr, uint32_t len, uint32_t id, uint32_t flags)
{
    struct vop__packed_desc *desc = &p->ring[p->next.index];
    uint32_t word = vop__packed_word(id, flags | vop__packed_avail(p->next.wrap));

    vop__store_le64(&desc->addr, addr);
    vop__store_le32(&desc->len, len);
    if (p->unpublished++ == 0) {
        p->head = &desc->id_flags;
        p->head_word = word;
    } else {
        vop__store_le32(&desc->id_flags, word);
    }
    vop__position_advance(&p->next, p->driver.vq.size, 1);
}

/* Fills the table of `id`. Only WRITE means something there (virtio 1.2, 2.8.7). */
static uint64_t fill_table(struct packed_driver *p, uint32_t id, const struct iovec *segments, uint32_t out,
                           uint32_t total)
{
    uint64_t address;
    struct vop__packed_desc *table = vop__driver_table(&p->driver, id, &address);

    for (uint32_t i = 0; i < total; i++) {
        vop__store_le64(&table[i].addr, vop__driver_address(&p->driver, &segments[i], i >= out));
        vop__store_le32(&table[i].len, (uint32_t)segments[i].iov_len);
        vop__store_le32(&table[i].id_flags, vop__packed_word(0, i >= out ? VOP_DESC_F_WRITE : 0));
    }
    return address;
}

/* How many of the segments go into the ring: all, or none (virtio 1.2, 2.8.7). Virtio allows tables of N entries, but
 * DPDK's device refuses them: such a buffer goes into the ring, where it fits as well. */
static uint32_t direct_of(const struct vop__driver *d, uint32_t total)
{
    return total == d->vq.size ? total : vop__driver_direct(d, total, 0);
}

static __attribute__((noinline)) int add_any(struct vop_virtqueue *vq, const struct iovec *segments, uint32_t out,
                                             uint32_t in, void *token)
{
    struct packed_driver *p = of(vq);
    struct vop__driver *d = &p->driver;
    uint32_t total = out + in;
    uint32_t direct = direct_of(d, total);
    uint32_t descs = direct < total ? 1 : total;
    uint32_t id = d->free_head, writable = 0;
    int ret = vop__driver_check(vq, segments, out, in, &writable);

    if (ret < 0)
        return ret;
    if (descs > d->free_count)
        return vop__vq_full(vq, descs);
    if (direct < total) {
        put(p, fill_table(p, id, segments, out, total), total * 16, id, VOP_DESC_F_INDIRECT);
    } else {
        for (uint32_t i = 0; i < total; i++)
            put(p, vop__driver_address(d, &segments[i], i >= out), (uint32_t)segments[i].iov_len, id,
                (i >= out ? VOP_DESC_F_WRITE : 0) | (i + 1 < total ? VOP_DESC_F_NEXT : 0));
    }
    d->free_head = vq->records[id].next;
    vop__driver_hold(d, id, descs, writable, token);
    return 0;
}

static int add(struct vop_virtqueue *vq, const struct iovec *segments, uint32_t out, uint32_t in, void *token)
{
    struct packed_driver *p = of(vq);
    uint32_t id = p->driver.free_head, len;
    uint64_t address;

    if (!vop__driver_single(&p->driver, segments, out, in, &address))
        return add_any(vq, segments, out, in, token);
    len = (uint32_t)segments->iov_len;
    put(p, address, len, id, in ? VOP_DESC_F_WRITE : 0);
    p->driver.free_head = vq->records[id].next;
    vop__driver_hold(&p->driver, id, 1, in ? len : 0, token);
    return 0;
}

static bool publish(struct vop_virtqueue *vq)
{
    struct packed_driver *p = of(vq);
    uint32_t count = p->unpublished;

    if (count == 0)
        return false;
    vop__window_publish32(&vq->desc, p->head, p->head_word, 'G');
    p->unpublished = 0;
    p->driver.published = vq->buffers;
    vq->position = vop__position_word(&p->next);
    if (__builtin_expect(vq->first, 0)) {
        vq->first = false;
        return true;
    }
    vop__window_fence(&vq->desc, 'I');
    return vop__event_packed(vop__load_le32(&p->device_event->word), vq->size, p->next.index, p->next.wrap, count);
}

static inline bool look(const struct packed_driver *p, uint32_t *ret_word)
{
    *ret_word = vop__window_observe32(&p->driver.vq.desc, &p->ring[p->used.index].id_flags, 'H');
    return vop__packed_is(*ret_word, vop__packed_used(p->used.wrap));
}

static int pending(struct vop_virtqueue *vq)
{
    uint32_t word;

    return of(vq)->driver.batch > 0 || look(of(vq), &word);
}

static inline int get_one(struct vop_virtqueue *vq, struct vop_used_buf *ret_buf)
{
    struct packed_driver *p = of(vq);
    struct vop__driver *d = &p->driver;
    uint32_t id, len;

    if (d->batch > 0) {
        vop__driver_rest(d, &id, &len);
    } else {
        uint32_t word;
        int ret;

        if (!look(p, &word))
            return 0;
        __builtin_prefetch((const char *)&p->ring[p->used.index] + AHEAD);
        len = used_length(p, word);
        id = word & 0xffff;
        ret = vop__driver_used(d, &id, &len, d->published - d->got);
        if (ret < 0)
            return ret;
    }
    vop__driver_return(d, id, len, ret_buf);
    d->free_count += vq->records[id].descs;
    vop__position_advance(&p->used, vq->size, vq->records[id].descs);
    if (vq->in_order) {
        d->oldest = vq->records[id].next;
    } else {
        vq->records[id].next = (uint16_t)d->free_head;
        d->free_head = id;
    }
    return 1;
}

static int get(struct vop_virtqueue *vq, struct vop_used_buf *ret_bufs, uint32_t max)
{
    int ret = vop__driver_get(vq, ret_bufs, max, get_one);

    vq->used_position = vop__position_word(&of(vq)->used);
    return ret;
}

static void arm(struct vop_virtqueue *vq, bool delay)
{
    struct packed_driver *p = of(vq);
    struct vop__position at = p->used;

    /* One store of the whole structure: no reader finds a new mode beside an old offset. */
    if (delay && vq->event_idx)
        vop__position_advance(&at, vq->size, vop__driver_delay(vq->size - p->driver.free_count));
    arm_word(p, &at, armed_mode(vq));
    vop__window_flush32(&vq->driver, &p->driver_event->word, 'J');
}

static void disarm(struct vop_virtqueue *vq)
{
    arm_word(of(vq), &of(vq)->used, VOP__EVENT_DISABLE);
}

const struct vop__vq_ops vop__packed_driver_ops = {
    .state_size = sizeof(struct packed_driver),
    .start = start,
    .add = add,
    .get = get,
    .publish = publish,
    .pending = pending,
    .arm = arm,
    .disarm = disarm,
};
