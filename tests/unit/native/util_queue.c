/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_queue.c - one slot queue with both its ends, in two plain halves.
 *
 * Room: tests.
 */
#include "unit/native/util_queue.h"

#include "support/geometry.h"
#include "sys/map.h"

#include <sys/mman.h>

static size_t up(size_t value, size_t alignment)
{
    while (value % alignment)
        value++;
    return value;
}

struct offsets queue_offsets(uint32_t pairs, uint32_t n, uint32_t s, uint32_t queue)
{
    return queue_offsets_uneven(pairs, n, n, s, queue);
}

struct offsets queue_offsets_uneven(uint32_t pairs, uint32_t writer_n, uint32_t n, uint32_t s, uint32_t queue)
{
    struct offsets o = {0};
    size_t at = 0x1000;

    for (uint32_t i = 0; i < pairs; i++) {
        struct offsets p;

        at = up(at, 128);
        p.desc = at;
        p.avail = up(p.desc + 16 * (size_t)writer_n, 128);
        p.ring = p.avail + 4;
        p.used_event = p.ring + 2 * (size_t)writer_n;
        p.used = up(p.used_event + 4, 128);
        p.elements = p.used + 4;
        p.avail_event = p.elements + 8 * (size_t)n;
        at = p.avail_event + 4;
        if (i == queue)
            o = p;
    }
    at = up(up(at, 128), 4096);
    for (uint32_t i = 0; i < pairs; i++) {
        if (i == queue)
            o.pool = at;
        at += up((size_t)n * s, 4096);
    }
    o.size = at;
    return o;
}

static void open_half(struct queue *q, unsigned i)
{
    void *own, *far;

    if (!q->mirrored) {
        q->memory[i] = -1;
        own = far = aligned_alloc(4096, q->half_size);
        check(own != NULL);
        memset(own, 0xa5, q->half_size); /* an old region may hold anything */
    } else {
        q->memory[i] = memfd_create("vop-test-half", MFD_CLOEXEC);
        check(q->memory[i] >= 0 && ftruncate(q->memory[i], (off_t)q->half_size) == 0);
        check(vop__map(q->memory[i], 0, q->half_size, true, &own) == 0); /* writable: the tests play the peer */
        check(vop__map(q->memory[i], 0, q->half_size, true, &far) == 0);
    }
    q->own[i] = (struct vop__window){.base = own, .size = q->half_size};
    q->far[i] = (struct vop__window){.base = far, .size = q->half_size};
}

void queue_open(struct queue *q, uint32_t n, uint32_t s, bool mirrored)
{
    struct vop__geometry g = EVEN(1, n, s);
    struct offsets o = queue_offsets(1, n, s, 0);

    *q = (struct queue){.n = n, .s = s, .half_size = o.size, .mirrored = mirrored};
    open_half(q, 0);
    open_half(q, 1);
    q->spans = calloc(n, sizeof(*q->spans));
    check(q->spans != NULL);
    if (mirrored) {
        check(vop__map_mirrored(q->memory[1], (off_t)o.pool, (size_t)n * s, true, &q->pool_tx) == 0);
        check(vop__map_mirrored(q->memory[1], (off_t)o.pool, (size_t)n * s, false, &q->pool_rx) == 0);
    }
    q->place_device = (struct vop__slot_place){
        &q->own[0], &q->far[1], g, 0, mirrored ? q->pool_tx : q->far[1].base + o.pool, mirrored, false};
    q->place_driver = (struct vop__slot_place){
        &q->own[1], &q->far[0], g, 0, mirrored ? q->pool_rx : q->own[1].base + o.pool, mirrored, false};
    queue_reset(q);
}

void queue_set_last_len(struct queue *q, bool last_len)
{
    q->place_device.last_len = q->place_driver.last_len = last_len;
    queue_reset(q);
}

void queue_reset(struct queue *q)
{
    memset(q->spans, 0, q->n * sizeof(*q->spans));
    vop__slot_device_init(&q->device, &q->place_device, q->spans);
    vop__slot_driver_init(&q->driver, &q->place_driver);
    check(vop__slot_device_attach(&q->device, &q->place_device) == 0);
}

void queue_close(struct queue *q)
{
    for (unsigned i = 0; i < 2; i++) {
        if (!q->mirrored) {
            free(q->own[i].base);
            continue;
        }
        vop__unmap(q->own[i].base, q->half_size);
        vop__unmap(q->far[i].base, q->half_size);
        close(q->memory[i]);
    }
    vop__unmap(q->pool_tx, 2 * (size_t)q->n * q->s);
    vop__unmap(q->pool_rx, 2 * (size_t)q->n * q->s);
    free(q->spans);
}

static void *at(struct queue *q, unsigned half, size_t offset)
{
    return q->own[half].base + offset;
}

vop_le32 *queue_used(struct queue *q)
{
    return at(q, 1, queue_offsets(1, q->n, q->s, 0).used);
}

vop_le32 *queue_avail(struct queue *q)
{
    return at(q, 0, queue_offsets(1, q->n, q->s, 0).avail);
}

vop_le32 *queue_used_event(struct queue *q)
{
    return at(q, 0, queue_offsets(1, q->n, q->s, 0).used_event);
}

vop_le32 *queue_avail_event(struct queue *q)
{
    return at(q, 1, queue_offsets(1, q->n, q->s, 0).avail_event);
}

struct vop_used_elem *queue_element(struct queue *q, uint32_t i)
{
    return at(q, 1, queue_offsets(1, q->n, q->s, 0).elements + 8 * (size_t)i);
}

struct vop_desc *queue_desc(struct queue *q, uint32_t i)
{
    return at(q, 0, queue_offsets(1, q->n, q->s, 0).desc + 16 * (size_t)i);
}

vop_le16 *queue_avail_ring(struct queue *q, uint32_t i)
{
    return at(q, 0, queue_offsets(1, q->n, q->s, 0).ring + 2 * (size_t)i);
}

static uint8_t byte_of(uint64_t seed, size_t i)
{
    return (uint8_t)(seed + i * 151 + (i >> 8) * 59);
}

void queue_fill(const struct vop_buffer *span, uint64_t seed)
{
    size_t done = 0;

    for (unsigned part = 0; part < 2; part++) {
        uint8_t *to = span->segment[part].iov_base;

        for (size_t i = 0; i < span->segment[part].iov_len; i++)
            to[i] = byte_of(seed, done++);
    }
    check(done == span->length);
}

bool queue_holds(const struct vop_buffer *span, size_t length, uint64_t seed)
{
    size_t done = 0;

    for (unsigned part = 0; part < 2; part++) {
        const uint8_t *from = span->segment[part].iov_base;

        for (size_t i = 0; i < span->segment[part].iov_len; i++) {
            if (from[i] != byte_of(seed, done++))
                return false;
        }
    }
    return done == length && span->length == length;
}

static int prepare(struct queue *q, size_t length, uint64_t seed)
{
    struct vop_buffer span;
    int ret = vop__slot_device_reserve(&q->device, length, &span);

    if (ret == 0)
        queue_fill(&span, seed);
    return ret;
}

void queue_commit(struct vop__slot_device *d, size_t length)
{
    vop__slot_device_commit(d, vop__slot_count(d, length), length);
}

enum vop__kick queue_publish(struct vop__slot_device *d, size_t length)
{
    return vop__slot_device_must_kick(d, vop__slot_device_send(d, vop__slot_count(d, length), length));
}

int queue_put(struct queue *q, size_t length, uint64_t seed)
{
    int ret = prepare(q, length, seed);

    if (ret == 0)
        queue_commit(&q->device, length);
    return ret;
}

int queue_send(struct queue *q, size_t length, uint64_t seed)
{
    int ret = prepare(q, length, seed);

    return ret < 0 ? ret : queue_publish(&q->device, length) != VOP__KICK_NONE;
}
