/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_vq_driver.c - a libFuzzer harness that plays the device of a virtqueue: any words in the ring, at any time.
 *
 * Room: tests. The driver is the library's. The device is played by util_serve.c, from the specification: honest where
 * the input says so, else it lies about ids, lengths and indexes. It also pokes any word. Input: the bytes of
 * util_ring.h, then operations: a byte that picks one, and its operands.
 *
 * In addition to util_ring.h it checks that a token comes back at most once, only if it was added and published, and
 * with IN_ORDER in its turn; that no length exceeds what was writable; that nothing is lost; that a broken queue stays
 * broken, detaching returns the rest, and a reset revives it; and that restart() announces what get() then finds.
 */
#include "fuzz/util_serve.h"

#include <errno.h>
#include <string.h>

#define BUFFERS 64u
#define SEGMENTS 80u
#define OPERATIONS 200u

struct buffer {
    bool out; /* held by the queue */
    uint64_t seq;
    uint32_t writable;
};

struct world {
    struct ring ring; /* first: it is the context of the callback */
    struct input *in;
    struct buffer buffer[BUFFERS];
    uint64_t added, published, got;
    uint32_t in_flight;
    struct server server;
    bool drained;       /* the queue has looked, and got all that it saw */
    unsigned callbacks; /* in this call */
};

/* ---- The driver ---- */

static bool quiet(const struct world *w)
{
    return !w->ring.threaded && !w->ring.tampered;
}

static bool alive(const struct world *w)
{
    return !w->ring.stopped && vop_virtqueue_error(w->ring.vq) == 0;
}

/* Segments in memory that may be shared; some not, if the input asks for that. */
static unsigned make_segments(struct world *w, uint8_t shape, struct iovec *iov, unsigned *ret_out)
{
    const struct ring *r = &w->ring;
    unsigned times = shape & 0x40 ? 5 : 1, out = (shape & 7) * times, in = (shape >> 3 & 7) * times;

    for (unsigned i = 0; i < out + in; i++) {
        const struct vop_region whole = {0, RING_DATA, r->data, 0};
        const struct vop_region *e = r->options.region_count ? &r->region[i % r->options.region_count] : &whole;
        size_t at = (32 * (size_t)i) % (size_t)e->size, len = 1 + (w->added + i) % 7;

        if (shape & 0x80) {
            at = take_short(w->in);
            len = take_byte(w->in);
            len = len == 255 ? take_word(w->in) : len;
        }
        iov[i] = (struct iovec){(void *)((uintptr_t)e->base + at), len};
    }
    *ret_out = out;
    return out + in;
}

static uint64_t wire_end(const struct ring *r, const struct iovec *s)
{
    for (size_t i = 0; i < r->options.region_count; i++) {
        const struct vop_region *e = &r->region[i];

        if ((uint8_t *)s->iov_base >= (uint8_t *)e->base && (uint8_t *)s->iov_base < (uint8_t *)e->base + e->size)
            return e->address + (uint64_t)((uint8_t *)s->iov_base - (uint8_t *)e->base) + (s->iov_len - 1);
    }
    return (uintptr_t)s->iov_base + (s->iov_len - 1);
}

/* Whether add_buf() must take it, and how much of it the device may write. */
static bool legal(const struct ring *r, const struct iovec *iov, unsigned out, unsigned total, uint32_t *ret_writable)
{
    uint64_t sum = 0, writable = 0;

    if (total == 0 || total > r->segments_max)
        return false;
    for (unsigned i = 0; i < total; i++) {
        bool inside = r->options.region_count == 0 || ring_in_region(r, iov[i].iov_base, iov[i].iov_len, i >= out);

        if (iov[i].iov_len == 0 || !inside)
            return false;
        if (r->options.layout == VOP_RING_2009 && wire_end(r, &iov[i]) > UINT32_MAX)
            return false;
        sum += iov[i].iov_len;
        writable += i >= out ? iov[i].iov_len : 0;
    }
    *ret_writable = (uint32_t)writable;
    return sum <= r->bytes_max;
}

static uint32_t free_descs(const struct world *w)
{
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(w->ring.vq, &info, sizeof(info));
    return info.free_descs;
}

/* Returns what add_buf() returned. */
static int add_buffer(struct world *w, struct buffer *b, uint8_t shape)
{
    uint32_t room = free_descs(w), writable = 0;
    struct iovec iov[SEGMENTS];
    unsigned out, total = make_segments(w, shape, iov, &out);
    bool good;
    int ret;

    good = legal(&w->ring, iov, out, total, &writable);
    ret = vop_virtqueue_add_buf(w->ring.vq, iov, out, total - out, b);
    if (!alive(w))
        return ret;
    PROMISE(good ? ret != -EINVAL || total > w->ring.place.size : ret == -EINVAL); /* too big for the ring, ever */
    if (ret == 0) {
        PROMISE(room > 0);
        *b = (struct buffer){true, w->added++, writable};
        w->in_flight++;
    } else if (ret == -ENOSPC) {
        PROMISE(room < total);
        w->published = w->added;
    }
    return ret;
}

static void add(struct world *w, uint8_t shape)
{
    struct buffer *b = w->buffer;

    while (b < w->buffer + BUFFERS && b->out)
        b++;
    if (b < w->buffer + BUFFERS)
        (void)WATCHED(&w->ring, 4 * SEGMENTS + 8, add_buffer(w, b, shape));
}

static void returned(struct world *w, void *token, uint32_t len, uint32_t flags)
{
    struct buffer *b = token;

    PROMISE(b >= w->buffer && b < w->buffer + BUFFERS && b->out);
    PROMISE(b->seq < w->published);
    PROMISE(!w->ring.in_order || b->seq == w->got);
    PROMISE(len <= b->writable);
    PROMISE((flags & ~VOP_USED_CLAMPED) == 0 && (!flags || len == b->writable));
    if (w->server.honest)
        PROMISE(len == served_len(&w->server, w->got, b->writable));
    b->out = false;
    w->got++;
    w->in_flight--;
}

/* A split ring that announces more used buffers than were out: when the driver looks there, it must break. */
static bool ahead(const struct world *w)
{
    uint16_t start = w->ring.place.resume ? w->ring.place.position : 0;
    uint16_t used = (uint16_t)(get16(ring_split_words(&w->ring).used_idx) - (uint16_t)(start + w->got));

    return w->drained && quiet(w) && alive(w) && !w->ring.packed && used > w->published - w->got;
}

/* One buffer, however it is asked for. */
static int get(struct world *w, bool batch)
{
    struct vop_used_buf used = {.token = w, .len = 77};
    bool must_break = ahead(w);
    int ret;

    if (batch)
        ret = vop_virtqueue_get_bufs(w->ring.vq, &used, 1);
    else
        ret = vop_virtqueue_get_buf(w->ring.vq, &used.token, &used.len);
    if (ret == 1)
        returned(w, used.token, used.len, used.flags);
    else
        PROMISE(used.token == w && used.len == 77);
    PROMISE(!must_break || ret == -EPROTO);
    w->drained = ret == 0;
    return ret;
}

static void get_many(struct world *w)
{
    unsigned max = take_byte(w->in) % 32;
    struct vop_used_buf used[32];
    int ret = WATCHED(&w->ring, 4 * max + 4, vop_virtqueue_get_bufs(w->ring.vq, used, max));

    PROMISE(ret <= (int)max);
    w->drained = false;
    for (int i = 0; i < ret; i++)
        returned(w, used[i].token, used[i].len, used[i].flags);
}

static bool callback(void *context, vop_virtqueue *vq)
{
    struct world *w = context;
    uint8_t how = take_byte(w->in);

    PROMISE(vq == w->ring.vq);
    w->callbacks++;
    w->published = w->added; /* it may have armed */
    for (unsigned i = 0; i < (how & 7u); i++) {
        int ret = get(w, how & 8);

        PROMISE(ret != 0 || i > 0 || !quiet(w)); /* else it need not have called */
        if (ret != 1)
            break;
    }
    if (how & 0x10 && !w->buffer[0].out)
        (void)add_buffer(w, &w->buffer[0], how & 0x20 ? 0x11 : 0x08);
    return how & 0x80;
}

static void kick(struct world *w)
{
    unsigned rung = w->ring.rung;
    int ret = WATCHED(&w->ring, 4, vop_virtqueue_kick(w->ring.vq));

    PROMISE(ret < 0 || w->ring.rung == rung + (unsigned)ret);
    w->published = w->added;
}

/* The words that a device looks at to see whether it must notify. */
static void check_armed(const struct world *w, bool armed, bool delayed)
{
    const struct ring *r = &w->ring;
    struct split_words words = ring_split_words(r);
    uint16_t next = (uint16_t)((r->place.resume ? r->place.position : 0) + w->got);

    if (r->packed)
        PROMISE(get32(r->place.driver.base) >> 16 == (!armed ? 1 : r->event_idx ? 2 : 0));
    else if (!r->event_idx)
        PROMISE(get16(words.avail_flags) == !armed);
    else if (armed && delayed)
        PROMISE((uint16_t)(get16(words.used_event) - next) <= w->in_flight);
    else
        PROMISE(get16(words.used_event) == (armed ? next : (uint16_t)(next - 1)));
}

static void restart(struct world *w)
{
    uint8_t how = take_byte(w->in);
    int ret =
        WATCHED(&w->ring, 10, how & 1 ? vop_virtqueue_restart_delayed(w->ring.vq) : vop_virtqueue_restart(w->ring.vq));

    w->published = w->added;
    w->drained &= ret == 1;
    if (ret < 0 || !quiet(w))
        return;
    check_armed(w, ret == 1, how & 1);
    if (how & 2)
        PROMISE((WATCHED(&w->ring, 4, get(w, how & 4)) == 0) == (ret == 1));
}

static void disable(struct world *w)
{
    bool dead = !alive(w);

    ring_enter(&w->ring);
    vop_virtqueue_disable(w->ring.vq);
    PROMISE(w->ring.accesses <= (dead ? 0 : 1));
    (void)ring_leave(&w->ring, 1, w->ring.stopped ? -ESHUTDOWN : w->ring.broken ? -EPROTO : 0);
}

static void notified(struct world *w)
{
    int ret;

    w->callbacks = 0;
    w->drained = false;
    ret = WATCHED(&w->ring, 16 + 96 * (uint64_t)w->ring.callbacks_max, vop_virtqueue_notified(w->ring.vq));
    PROMISE(ret <= 1);
    PROMISE(w->callbacks <= w->ring.callbacks_max);
    w->published = w->added;
}

/* The calls of the other role. */
static void wrong_role(struct world *w)
{
    struct vop_taken_buf taken;
    struct iovec iov;
    int expected = w->ring.stopped ? -ESHUTDOWN : w->ring.broken ? -EPROTO : -EOPNOTSUPP;

    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_take(w->ring.vq, &iov, 1, &taken)) == expected);
    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_untake(w->ring.vq, 0)) == expected);
    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_complete(w->ring.vq, 0, 0)) == expected);
    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_call(w->ring.vq)) == expected);
}

/* Shuts down and takes all buffers back: each once. */
static void take_back(struct world *w)
{
    void *token = NULL;
    int ret;

    PROMISE(w->ring.stopped || vop_virtqueue_detach_buf(w->ring.vq, &token) == -EBUSY);
    vop_virtqueue_shutdown(w->ring.vq);
    w->ring.stopped = true;
    PROMISE(w->in_flight == 0 || vop_virtqueue_reset(w->ring.vq, &w->ring.place) == -EBUSY);
    while ((ret = vop_virtqueue_detach_buf(w->ring.vq, &token)) == 1) {
        struct buffer *b = token;

        PROMISE(b >= w->buffer && b < w->buffer + BUFFERS && b->out);
        b->out = false;
        w->in_flight--;
    }
    PROMISE(ret == 0 && w->in_flight == 0);
}

/* What rarely happens to a queue. */
static void rarely(struct world *w)
{
    switch (take_byte(w->in) & 7) {
    case 0:
        vop_virtqueue_shutdown(w->ring.vq);
        w->ring.stopped = true;
        break;
    case 1:
        vop_virtqueue_fail(w->ring.vq, "the harness says so");
        w->ring.broken = true;
        w->server.honest = false;
        break;
    case 2:
        wrong_role(w);
        break;
    default:
        take_back(w);
        ring_restart_elsewhere(&w->ring, w->in);
        w->added = w->published = w->got = 0;
        serve_start(&w->server, &w->ring);
        w->drained = true;
    }
}

static void operate(struct world *w)
{
    uint8_t what = take_byte(w->in);

    switch (what & 15) {
    case 0:
    case 1:
        add(w, take_byte(w->in));
        break;
    case 2:
        kick(w);
        break;
    case 3:
        (void)WATCHED(&w->ring, 4, get(w, what & 0x10));
        break;
    case 4:
        get_many(w);
        break;
    case 5:
        restart(w);
        break;
    case 6:
        disable(w);
        break;
    case 7:
        notified(w);
        break;
    case 8:
    case 9:
        serve(&w->server, &w->ring, w->in);
        break;
    case 10:
    case 11:
        ring_poke(&w->ring, w->in);
        w->server.honest = false;
        break;
    case 12:
        ring_tamper(&w->ring, w->in);
        w->server.honest = false;
        break;
    case 13:
        ring_ask(&w->ring, take_word(w->in));
        break;
    case 14:
        for (unsigned i = 0; i <= what >> 4; i++) /* many, to get around the ring */
            add(w, i & 1 ? 0x09 : 0x08);
        kick(w);
        break;
    default:
        rarely(w);
    }
    ring_check_info(&w->ring, w->in_flight, w->added);
    PROMISE(!w->server.honest || !w->ring.broken);
}

/* From an honest device everything comes back. */
static void drain(struct world *w)
{
    kick(w);
    serve_all(&w->server, &w->ring);
    while (WATCHED(&w->ring, 4, get(w, true)) == 1)
        continue;
    PROMISE(w->in_flight == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct world w = {.in = &in};

    if (!ring_open(&w.ring, &in, VOP_VIRTQUEUE_DRIVER, callback))
        return 0;
    serve_start(&w.server, &w.ring);
    w.drained = true;
    if (w.ring.threaded) {
        for (unsigned i = 0; i < 8; i++)
            ring_poke(&w.ring, &in);
        ring_start_thread(&w.ring);
    }
    for (unsigned i = 0; i < OPERATIONS && in.at < in.end; i++)
        operate(&w);
    if (w.server.honest && !w.ring.stopped)
        drain(&w);
    take_back(&w);
    ring_close(&w.ring);
    return 0;
}
