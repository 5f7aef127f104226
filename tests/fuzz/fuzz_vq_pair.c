/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_vq_pair.c - a libFuzzer harness in which both ends of a virtqueue are the library's, and honest: the input says
 * only what they do and when.
 *
 * Room: tests. Input: the bytes of util_ring.h, then operations: a byte that picks one, and its operands. The harness
 * checks what virtio promises: each buffer reaches the device once, in order, with its segments and bytes; it comes
 * back once, with the length that the device set and the bytes that it wrote, and with IN_ORDER in order; an end that
 * sleeps after restart() returned 1 is notified when there is something; and neither queue ever breaks.
 */
#include "fuzz/util_ring.h"

#include <errno.h>
#include <string.h>

#define BUFFERS 16u /* each has its own part of the data */
#define PART (RING_DATA / BUFFERS)
#define SEGMENTS 8u
#define IOVECS 64u
#define OPERATIONS 300u
#define RENEW 0xeau /* an operation; all others are 8 kinds for each end */

struct buffer {
    struct iovec iov[SEGMENTS];
    unsigned out, total;
    uint32_t readable, writable;
    uint32_t len; /* as completed */
    uint8_t stamp;
    bool out_there, completed;
};

/** An end that may sleep, and the bell that wakes it. */
struct end {
    vop_virtqueue *vq;
    bool asleep;
    unsigned rung, heard;
};

struct world {
    struct ring ring; /* its queue is the driver */
    struct input *in;
    struct end driver, device;
    struct buffer buffer[BUFFERS];
    unsigned order[BUFFERS]; /* buffers as they were added */
    uint64_t added, taken, got;
    struct {
        uint32_t handle;
        unsigned buffer;
        struct iovec iov[IOVECS];
        struct vop_taken_buf taken;
    } held[BUFFERS];
    unsigned count;
};

static int ring_device(void *context, uint32_t value)
{
    struct world *w = context;
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(w->driver.vq, &info, sizeof(info));
    PROMISE((value & 0xffff) == w->ring.options.index);
    PROMISE(value >> 16 == (w->ring.options.features[1] >> (VOP_F_NOTIFICATION_DATA - 32) & 1 ? info.position : 0));
    w->device.rung++;
    return 0;
}

static int ring_driver(void *context, uint32_t value)
{
    struct world *w = context;

    PROMISE(value == w->ring.options.index);
    w->driver.rung++;
    return 0;
}

static bool wake(void *context, vop_virtqueue *vq);

static const struct vop_virtqueue_events driver_events = {.notify = ring_device, .callback = wake};
static const struct vop_virtqueue_events device_events = {.notify = ring_driver, .callback = wake};

/* The byte that the device writes. */
static uint8_t answer_to(const struct buffer *b)
{
    return (uint8_t)~b->stamp;
}

/* ---- The driver ---- */

/* Segments one after another in the part of the buffer, and its bytes to read. False: they do not fit anywhere. */
static bool prepare(struct world *w, unsigned which, uint8_t shape)
{
    struct buffer *b = &w->buffer[which];
    uint8_t *at = w->ring.data + (size_t)which * PART;
    uint32_t sum = 0;

    if (w->ring.options.layout == VOP_RING_2009 &&
        (w->ring.region[0].address > 1u << 20 || !w->ring.options.region_count))
        return false; /* the descriptors cannot hold its addresses */
    memset(b, 0, sizeof(*b));
    b->total = 1 + (shape & 7u);
    b->out = (shape >> 3 & 15u) % (b->total + 1);
    b->stamp = (uint8_t)(w->added * 37 + 1);
    for (unsigned i = 0; i < b->total; i++) {
        size_t len = shape & 0x80 ? 1 : 1 + (which + 3 * i) % 30;
        bool write = i >= b->out;

        if (w->ring.options.region_count && !ring_in_region(&w->ring, at, len, write))
            return false;
        b->iov[i] = (struct iovec){at, len};
        memset(at, write ? 0 : b->stamp + (int)i, len);
        *(write ? &b->writable : &b->readable) += (uint32_t)len;
        at += len;
        sum += (uint32_t)len;
    }
    return b->total <= w->ring.segments_max && sum <= w->ring.bytes_max;
}

static bool add(struct world *w)
{
    struct vop_virtqueue_info info;
    unsigned which = 0;
    int ret;

    while (which < BUFFERS && w->buffer[which].out_there)
        which++;
    if (which == BUFFERS || !prepare(w, which, take_byte(w->in)))
        return false;
    vop_virtqueue_get_info(w->driver.vq, &info, sizeof(info));
    ret = vop_virtqueue_add_buf(w->driver.vq, w->buffer[which].iov, w->buffer[which].out,
                                w->buffer[which].total - w->buffer[which].out, &w->buffer[which]);
    PROMISE(ret == 0 || (ret == -ENOSPC && info.free_descs < w->buffer[which].total) ||
            (ret == -EINVAL && info.size < w->buffer[which].total));
    if (ret < 0)
        return false;
    w->buffer[which].out_there = true;
    w->order[w->added++ % BUFFERS] = which;
    return true;
}

static bool get(struct world *w)
{
    struct vop_used_buf used;
    struct buffer *b;
    uint32_t left;
    int ret = vop_virtqueue_get_bufs(w->driver.vq, &used, 1);

    PROMISE(ret >= 0);
    if (ret == 0)
        return false;
    b = used.token;
    PROMISE(b >= w->buffer && b < w->buffer + BUFFERS && b->out_there && b->completed);
    PROMISE(used.len == b->len && used.flags == 0);
    PROMISE(!w->ring.in_order || b == &w->buffer[w->order[w->got % BUFFERS]]);
    left = used.len;
    for (unsigned i = b->out; i < b->total; i++) {
        for (size_t k = 0; k < b->iov[i].iov_len && left > 0; k++, left--)
            PROMISE(((const uint8_t *)b->iov[i].iov_base)[k] == answer_to(b));
    }
    b->out_there = false;
    w->got++;
    return true;
}

/* ---- The device ---- */

/* The iovecs are the segments, some of them in pieces where a region ends. */
static void check_taken(const struct buffer *b, const struct iovec *iov, const struct vop_taken_buf *taken)
{
    const struct iovec *end = iov + taken->readable + taken->writable;

    PROMISE(taken->readable_bytes == b->readable && taken->writable_bytes == b->writable);
    for (unsigned i = 0; i < b->total; i++) {
        uint8_t *at = b->iov[i].iov_base;

        for (size_t left = b->iov[i].iov_len; left > 0; iov++) {
            PROMISE(iov < end && iov->iov_base == at && iov->iov_len <= left);
            at += iov->iov_len;
            left -= iov->iov_len;
        }
        if (i < b->out)
            PROMISE(*(const uint8_t *)b->iov[i].iov_base == (uint8_t)(b->stamp + i));
    }
    PROMISE(iov == end);
}

/* The device got the next buffer in `iov`. */
static void hold(struct world *w, const struct iovec *iov, const struct vop_taken_buf *taken)
{
    unsigned which = w->order[w->taken % BUFFERS];

    PROMISE(w->taken < w->added);
    check_taken(&w->buffer[which], iov, taken);
    w->taken++;
    w->held[w->count].handle = taken->handle;
    w->held[w->count].buffer = which;
    w->held[w->count].taken = *taken;
    memcpy(w->held[w->count++].iov, iov, (taken->readable + taken->writable) * sizeof(*iov));
}

static bool take(struct world *w, bool back)
{
    struct vop_taken_buf taken;
    struct iovec iov[IOVECS];
    int ret = vop_virtqueue_take(w->device.vq, iov, IOVECS, &taken);

    PROMISE(ret >= 0);
    if (ret == 0)
        return false;
    hold(w, iov, &taken);
    if (!back)
        return true;
    PROMISE(vop_virtqueue_untake(w->device.vq, taken.handle) == 0);
    w->taken--;
    w->count--;
    return false;
}

static void take_many(struct world *w)
{
    uint8_t how = take_byte(w->in);
    unsigned max = how % (BUFFERS + 1), room = how & 0x80 ? how & 0x1fu : IOVECS;
    struct vop_taken_buf taken[BUFFERS];
    struct iovec iov[IOVECS], *at = iov;
    int ret = vop_virtqueue_take_bufs(w->device.vq, iov, room, taken, max);

    PROMISE(ret <= (int)max);
    PROMISE(ret >= 0 || (ret == -ENOBUFS && room < IOVECS));
    for (int i = 0; i < ret; i++) {
        hold(w, at, &taken[i]);
        at += taken[i].readable + taken[i].writable;
    }
    PROMISE(at <= iov + room);
}

/* Fills what the device holds at `i` and forgets it: all that is left is to complete it. */
static struct vop_completed_buf fill(struct world *w, unsigned i, uint8_t how)
{
    struct buffer *b = &w->buffer[w->held[i].buffer];
    const struct vop_taken_buf *t = &w->held[i].taken;
    struct vop_completed_buf done = {w->held[i].handle, how & 0x10 ? b->writable * (how >> 5) / 8 : b->writable};
    uint32_t left = done.len;

    for (uint32_t k = t->readable; k < t->readable + t->writable && left > 0; k++) {
        size_t len = w->held[i].iov[k].iov_len < left ? w->held[i].iov[k].iov_len : left;

        memset(w->held[i].iov[k].iov_base, answer_to(b), len);
        left -= (uint32_t)len;
    }
    b->len = done.len;
    b->completed = true;
    w->held[i] = w->held[--w->count];
    return done;
}

static bool complete(struct world *w, uint8_t how)
{
    struct vop_completed_buf done;

    if (w->count == 0)
        return false;
    done = fill(w, (how & 15u) % w->count, how);
    PROMISE(vop_virtqueue_complete(w->device.vq, done.handle, done.len) == 0);
    return true;
}

static void complete_many(struct world *w)
{
    uint8_t how = take_byte(w->in);
    unsigned count = (how & 15u) < w->count ? how & 15u : w->count;
    struct vop_completed_buf done[BUFFERS];

    for (unsigned i = 0; i < count; i++)
        done[i] = fill(w, take_byte(w->in) % w->count, how);
    PROMISE(vop_virtqueue_complete_bufs(w->device.vq, done, count) == 0);
}

/* ---- Sleep ---- */

static bool wake(void *context, vop_virtqueue *vq)
{
    struct world *w = context;
    unsigned done = 0;

    while (vq == w->driver.vq ? get(w) : take(w, false) || complete(w, 0))
        done++;
    PROMISE(done > 0);
    return true;
}

/* Whether it stays asleep. Once woken, it goes on, or lets the library run its callback and may sleep again. */
static bool sleeps(struct end *e, bool callbacks)
{
    if (e->asleep && e->rung != e->heard) {
        int ret = 1;

        e->heard = e->rung;
        if (callbacks)
            ret = vop_virtqueue_notified(e->vq);
        PROMISE(ret == 0 || ret == 1);
        e->asleep = ret == 0;
    }
    e->heard = e->asleep ? e->heard : e->rung;
    return e->asleep;
}

static void doze(struct end *e, uint8_t how)
{
    int ret = how & 1 ? vop_virtqueue_restart_delayed(e->vq) : vop_virtqueue_restart(e->vq);

    PROMISE(ret >= 0);
    e->asleep = ret == 1;
}

/* The driver always sleeps drained: all buffers in flight are what a delayed notification waits for. */
static void driver_acts(struct world *w, uint8_t what)
{
    if (sleeps(&w->driver, what & 0x40))
        return;
    switch (what >> 1 & 7) {
    case 0:
    case 1:
        add(w);
        break;
    case 2:
        PROMISE(vop_virtqueue_kick(w->driver.vq) >= 0);
        break;
    case 3:
        get(w);
        break;
    case 4:
        for (unsigned i = what >> 4; i > 0 && add(w); i--)
            continue;
        PROMISE(vop_virtqueue_kick(w->driver.vq) >= 0);
        break;
    case 5:
        vop_virtqueue_disable(w->driver.vq);
        break;
    default:
        while (what & 0x20 && get(w))
            continue;
        doze(&w->driver, what >> 4);
    }
}

static void device_acts(struct world *w, uint8_t what)
{
    if (sleeps(&w->device, what & 0x40))
        return;
    switch (what >> 1 & 7) {
    case 0:
    case 1:
        if (what & 0x20)
            take_many(w);
        else
            take(w, what & 0x80);
        break;
    case 2:
    case 3:
        if (what & 0x20)
            complete_many(w);
        else
            complete(w, take_byte(w->in));
        break;
    case 4:
        PROMISE(vop_virtqueue_call(w->device.vq) >= 0);
        break;
    case 5:
        vop_virtqueue_disable(w->device.vq);
        break;
    default:
        while (take(w, false) || complete(w, 0)) /* the device waits for the driver only when it owes it nothing */
            continue;
        doze(&w->device, what >> 4);
    }
}

/* Both asleep and no bell rang, with buffers on the way: a wake-up was lost. Otherwise somebody adds one. */
static void check_awake(struct world *w)
{
    if (!w->driver.asleep || !w->device.asleep || w->driver.rung != w->driver.heard ||
        w->device.rung != w->device.heard)
        return;
    PROMISE(w->added == w->got);
    w->driver.asleep = false;
}

/* ---- Making and restarting ---- */

/* Makes the device. It knows the tables of the driver too; a driver without regions uses pointers. */
static void open_device(struct world *w)
{
    static const struct vop_region all = {0, UINT64_MAX, NULL, 0};
    struct vop_virtqueue_options o = w->ring.options;
    struct vop_region regions[RING_REGIONS + 1];

    memcpy(regions, w->ring.region, sizeof(w->ring.region));
    regions[o.region_count] = o.region_count == 0 ? all
                                                  : (struct vop_region){RING_TABLES_ADDRESS, w->ring.place.tables.size,
                                                                        w->ring.place.tables.base, 0};
    o.region_count++;
    o.place = w->ring.place;
    o.context = w;
    o.regions = regions;
    o.role = VOP_VIRTQUEUE_DEVICE;
    o.events = &device_events;
    PROMISE(vop_virtqueue_new(&o, &w->device.vq) == 0);
}

static void open_ends(struct world *w)
{
    struct vop_virtqueue_options o = w->ring.options;

    vop_virtqueue_free(w->ring.vq);
    o.context = w;
    o.events = &driver_events;
    PROMISE(vop_virtqueue_new(&o, &w->ring.vq) == 0);
    w->driver.vq = w->ring.vq;
    open_device(w);
}

/* What RING_RESET does: both ends stop, the driver takes its buffers back, and both start in other memory. */
static void renew(struct world *w)
{
    void *token;

    vop_virtqueue_shutdown(w->driver.vq);
    vop_virtqueue_shutdown(w->device.vq);
    while (vop_virtqueue_detach_buf(w->driver.vq, &token) == 1) {
        PROMISE(((struct buffer *)token)->out_there);
        ((struct buffer *)token)->out_there = false;
        w->got++;
    }
    PROMISE(w->got == w->added);
    ring_restart_elsewhere(&w->ring, w->in);
    vop_virtqueue_free(w->device.vq);
    open_device(w);
    w->driver.asleep = w->device.asleep = false;
    w->added = w->taken = w->got = 0;
    w->count = 0;
}

static void drain(struct world *w)
{
    struct vop_virtqueue_info info;

    for (unsigned i = 0; w->got < w->added; i++) {
        PROMISE(i < BUFFERS);
        PROMISE(vop_virtqueue_kick(w->driver.vq) >= 0);
        while (take(w, false) || complete(w, 0))
            continue;
        PROMISE(vop_virtqueue_call(w->device.vq) >= 0);
        while (get(w))
            continue;
    }
    vop_virtqueue_get_info(w->driver.vq, &info, sizeof(info));
    PROMISE(info.in_flight == 0 && info.free_descs == info.size && info.clamped == 0 && !info.broken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    static struct world w;

    memset(&w, 0, sizeof(w));
    w.in = &in;
    if (!ring_open(&w.ring, &in, VOP_VIRTQUEUE_DRIVER, NULL))
        return 0;
    open_ends(&w);
    for (unsigned i = 0; i < OPERATIONS && in.at < in.end; i++) {
        uint8_t what = take_byte(&in);

        if (what == RENEW)
            renew(&w);
        else if (what & 1)
            device_acts(&w, what);
        else
            driver_acts(&w, what);
        check_awake(&w);
    }
    drain(&w);
    vop_virtqueue_free(w.device.vq);
    ring_close(&w.ring);
    return 0;
}
