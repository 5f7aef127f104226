/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_vq_device.c - a libFuzzer harness that plays the driver of a virtqueue: any descriptors, any words, at any time.
 *
 * Room: tests. The device is the library's. The driver is played by util_offer.c, from the specification: it offers
 * chains and knows whether they are legal and what a device must see in them. It also pokes any word. Input: the bytes
 * of util_ring.h, then operations: a byte that picks one, and its operands.
 *
 * In addition to util_ring.h it checks that every iovec lies in the region table and may be written if it is writable;
 * that, as long as no word was poked, a legal chain is taken as it was offered and an illegal one breaks the queue;
 * that completed buffers come back once, with IN_ORDER in their turn; that a broken queue stays broken and wants
 * DEVICE_NEEDS_RESET, and a reset revives it; and that restart() announces what take() then finds.
 */
#include "fuzz/util_offer.h"

#include <errno.h>
#include <string.h>

#define HANDLES 64u
#define IOVECS 64u
#define OPERATIONS 200u

struct handle {
    uint32_t handle, writable;
    uint64_t seq; /* number taken before it */
};

struct world {
    struct ring ring; /* first: it is the context of the callback */
    struct input *in;
    struct offers offers;
    struct handle held[HANDLES];
    uint32_t count;
    uint64_t taken;
    unsigned callbacks;
    bool drained; /* the queue has looked, and took all that it saw */
};

static bool alive(const struct world *w)
{
    return !w->ring.stopped && vop_virtqueue_error(w->ring.vq) == 0;
}

/* Whether the ring holds what the peer offered. */
static bool clean(const struct world *w)
{
    return w->offers.clean;
}

/* ---- Taking ---- */

static void check_iovecs(const struct world *w, const struct iovec *iov, uint32_t room, const struct vop_taken_buf *buf)
{
    uint64_t sum[2] = {0, 0};

    PROMISE(buf->readable <= room && buf->writable <= room - buf->readable);
    for (uint32_t i = 0; i < buf->readable + buf->writable; i++) {
        PROMISE(iov[i].iov_len > 0);
        PROMISE(ring_in_region(&w->ring, iov[i].iov_base, iov[i].iov_len, i >= buf->readable));
        sum[i >= buf->readable] += iov[i].iov_len;
    }
    PROMISE(sum[0] == buf->readable_bytes && sum[1] == buf->writable_bytes);
    PROMISE(sum[0] + sum[1] <= w->ring.bytes_max);
}

static void hold(struct world *w, const struct vop_taken_buf *buf)
{
    PROMISE(buf->handle < w->ring.place.size);
    for (uint32_t i = 0; i < w->count; i++)
        PROMISE(w->held[i].handle != buf->handle);
    w->held[w->count++] = (struct handle){buf->handle, buf->writable_bytes, w->taken++};
}

/* A split ring that announces more than it can hold: when the device looks there, it must break. */
static bool ahead(const struct world *w)
{
    const struct ring *r = &w->ring;
    uint16_t next = (uint16_t)((r->place.resume ? r->place.position : 0) + w->taken);

    return w->drained && !r->threaded && !r->tampered && alive(w) && !r->packed &&
           (uint16_t)(get16(ring_split_words(r).avail_idx) - next) > r->place.size;
}

/* Checks one take(), with all its outputs. */
static int take(struct world *w, unsigned room)
{
    const struct vop_taken_buf nothing = {77, 77, 77, 77, 77};
    struct vop_taken_buf buf = nothing;
    struct iovec *iov = malloc(room ? room * sizeof(*iov) : 1); /* exact, so that the sanitizer sees one too many */
    bool must_break = ahead(w);
    int ret;

    PROMISE(iov);
    ret = vop_virtqueue_take(w->ring.vq, iov, room, &buf);
    PROMISE(ret <= 1);
    PROMISE(ret == 1 || memcmp(&buf, &nothing, sizeof(buf)) == 0);
    if (ret == 1)
        check_iovecs(w, iov, room, &buf);
    if (clean(w) && !w->ring.stopped && !w->ring.broken)
        offers_check_taken(&w->offers, &w->ring, w->taken, ret, iov, room, &buf);
    PROMISE(!must_break || ret == -EPROTO);
    if (ret == 1)
        hold(w, &buf);
    w->drained = ret == 0;
    free(iov);
    return ret;
}

/* Loads of one take(): each descriptor and entry once, even byte by byte, and the words around them. */
static uint64_t take_limit(const struct world *w)
{
    return 16 * ((uint64_t)w->ring.segments_max + 2) + 8;
}

static int take_one(struct world *w)
{
    uint8_t room = take_byte(w->in);

    if (w->count == HANDLES)
        return 0;
    return WATCHED(&w->ring, take_limit(w), take(w, room & 0x80 ? room % 8 : IOVECS));
}

/* Checks one take_bufs(): each buffer as if it was taken alone, with the room that was left for it. */
static int take_batch(struct world *w, unsigned room, unsigned max)
{
    bool must_break = max > 0 && ahead(w), judge = clean(w) && !w->ring.stopped && !w->ring.broken;
    struct vop_taken_buf *buf = malloc(max ? max * sizeof(*buf) : 1);
    struct iovec *iov = malloc(room ? room * sizeof(*iov) : 1), *at = iov;
    uint32_t empty = 0; /* segments: N of them end a batch */
    int ret;

    PROMISE(iov && buf);
    ret = vop_virtqueue_take_bufs(w->ring.vq, iov, room, buf, max);
    PROMISE(ret <= (int)max);
    for (int i = 0; i < ret; i++) {
        check_iovecs(w, at, room, &buf[i]);
        if (judge) {
            offers_check_taken(&w->offers, &w->ring, w->taken, 1, at, room, &buf[i]);
            empty += offers_empty(&w->offers, w->taken);
        }
        at += buf[i].readable + buf[i].writable;
        room -= buf[i].readable + buf[i].writable;
        hold(w, &buf[i]);
    }
    if (judge && ret < (int)max && empty < w->ring.place.size) { /* why it ended there, if it does not say so */
        int why = vop_virtqueue_error(w->ring.vq) < 0 ? -EPROTO : w->taken == w->offers.visible ? 0 : -ENOBUFS;

        offers_check_taken(&w->offers, &w->ring, w->taken, ret > 0 ? why : ret, at, room, NULL);
    }
    PROMISE(!must_break || ret < 0);
    w->drained = max > 0 ? ret == 0 : w->drained;
    free(iov);
    free(buf);
    return ret;
}

static void take_many(struct world *w)
{
    uint8_t how = take_byte(w->in), room = take_byte(w->in);
    unsigned max = how % (HANDLES - w->count + 1);

    (void)WATCHED(&w->ring, (max + 1) * take_limit(w), take_batch(w, room & 0x80 ? room & 0x7fu : IOVECS, max));
}

static void untake(struct world *w)
{
    uint8_t how = take_byte(w->in);
    uint32_t i = w->count ? how % w->count : 0, handle = w->count ? w->held[i].handle : how;
    bool last = w->count > 0 && w->held[i].seq + 1 == w->taken;
    int ret = WATCHED(&w->ring, 0, vop_virtqueue_untake(w->ring.vq, handle));

    if (w->ring.stopped || w->ring.broken)
        return;
    PROMISE(ret == (last ? 0 : -EINVAL));
    if (last) {
        w->drained = false;
        w->held[i] = w->held[--w->count];
        w->taken--;
    }
}

/* ---- Completing ---- */

static void complete(struct world *w)
{
    uint8_t how = take_byte(w->in);
    uint32_t i = w->count ? (how & 0x3f) % w->count : 0;
    struct handle h = w->count ? w->held[i] : (struct handle){how, 0, 0};
    uint32_t len = how & 0x80 ? take_word(w->in) : how & 0x40 ? h.writable / 2 : h.writable;
    int ret = WATCHED(&w->ring, 4, vop_virtqueue_complete(w->ring.vq, h.handle, len));

    if (w->ring.stopped || w->ring.broken)
        return;
    PROMISE(ret == (w->count > 0 && len <= h.writable ? 0 : -EINVAL));
    if (ret < 0)
        return;
    offers_completed(&w->offers, h.seq, len);
    w->held[i] = w->held[--w->count];
}

/* Spoils one of `count` buffers to complete. */
static uint32_t spoil(struct world *w, struct vop_completed_buf *bufs, const struct handle *h, uint32_t count)
{
    uint8_t how = take_byte(w->in);
    uint32_t at = (how & 0x3fu) % count;

    if (how & 0x40 && at > 0)
        bufs[at].handle = bufs[0].handle; /* twice */
    else if (how & 0x80 && h[at].writable < UINT32_MAX)
        bufs[at].len = h[at].writable + 1;
    else
        bufs[at].handle = w->ring.place.size + how;
    return at;
}

/* An invalid one does not undo those before it. */
static void complete_many(struct world *w)
{
    uint8_t how = take_byte(w->in);
    bool dead = w->ring.stopped || w->ring.broken;
    uint32_t count = (how & 31u) < w->count ? how & 31u : w->count, good = count;
    struct vop_completed_buf *bufs = malloc(count ? count * sizeof(*bufs) : 1);
    struct handle h[HANDLES];
    int ret;

    PROMISE(bufs);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = take_byte(w->in) % w->count;

        h[i] = w->held[from];
        w->held[from] = w->held[--w->count];
        bufs[i] = (struct vop_completed_buf){h[i].handle, how & 0x20 ? h[i].writable / 2 : h[i].writable};
    }
    if (how & 0x40 && count > 0)
        good = spoil(w, bufs, h, count);
    ret = WATCHED(&w->ring, 4 * (uint64_t)count, vop_virtqueue_complete_bufs(w->ring.vq, bufs, count));
    PROMISE(dead || ret == (good == count ? 0 : -EINVAL));
    for (uint32_t i = 0; i < count; i++) {
        if (dead || i >= good)
            w->held[w->count++] = h[i];
        else
            offers_completed(&w->offers, h[i].seq, bufs[i].len);
    }
    free(bufs);
}

/* After a call that publishes; if `all` it must have published everything. */
static void published(struct world *w, bool all)
{
    if (clean(w) && !w->ring.stopped && !w->ring.broken)
        offers_reap(&w->offers, &w->ring, all);
}

static void call(struct world *w)
{
    unsigned rung = w->ring.rung;
    uint64_t limit = 4 + 3 * (uint64_t)w->ring.place.size;
    int ret = WATCHED(&w->ring, limit, vop_virtqueue_call(w->ring.vq));

    PROMISE(ret < 0 || w->ring.rung == rung + (unsigned)ret);
    published(w, true);
}

/* ---- Waiting ---- */

/* The words that a driver looks at to see whether it must notify. */
static void check_armed(const struct world *w, bool armed)
{
    const struct ring *r = &w->ring;
    struct split_words words = ring_split_words(r);
    uint16_t next = (uint16_t)((r->place.resume ? r->place.position : 0) + w->taken);

    if (r->packed)
        PROMISE(get32(r->place.device.base) >> 16 == (!armed ? 1 : r->event_idx ? 2 : 0));
    else if (!r->event_idx)
        PROMISE(get16(words.used_flags) == !armed);
    else
        PROMISE(get16(words.avail_event) == (armed ? next : (uint16_t)(next - 1)));
}

static void restart(struct world *w)
{
    uint64_t limit = 10 + 3 * (uint64_t)w->ring.place.size;
    uint8_t how = take_byte(w->in);
    int ret = WATCHED(&w->ring, limit,
                      how & 1 ? vop_virtqueue_restart_delayed(w->ring.vq) : vop_virtqueue_restart(w->ring.vq));
    bool quiet = !w->ring.threaded && !w->ring.tampered;

    published(w, true);
    w->drained &= ret == 1;
    if (ret < 0 || !quiet)
        return;
    check_armed(w, ret == 1);
    if (how & 2 && w->count < HANDLES)
        PROMISE((WATCHED(&w->ring, take_limit(w), take(w, IOVECS)) == 0) == (ret == 1));
}

static void disable(struct world *w)
{
    ring_enter(&w->ring);
    vop_virtqueue_disable(w->ring.vq);
    (void)ring_leave(&w->ring, 1, w->ring.stopped ? -ESHUTDOWN : w->ring.broken ? -EPROTO : 0);
}

static bool callback(void *context, vop_virtqueue *vq)
{
    struct world *w = context;
    uint8_t how = take_byte(w->in);

    PROMISE(vq == w->ring.vq);
    w->callbacks++;
    for (unsigned i = 0; i < (how & 3u) && w->count < HANDLES; i++) {
        int ret = take(w, IOVECS);

        PROMISE(ret != 0 || i > 0 || w->ring.threaded || w->ring.tampered); /* else it need not have called */
        if (ret != 1)
            break;
    }
    return how & 0x80;
}

static void notified(struct world *w)
{
    uint64_t limit = 16 + (16 + 3 * take_limit(w)) * w->ring.callbacks_max + 3 * (uint64_t)w->ring.place.size;
    int ret;

    w->callbacks = 0;
    w->drained = false;
    ret = WATCHED(&w->ring, limit, vop_virtqueue_notified(w->ring.vq));
    PROMISE(ret <= 1);
    PROMISE(w->callbacks <= w->ring.callbacks_max);
    published(w, false);
}

/* ---- The rest ---- */

static void wrong_role(struct world *w)
{
    int expected = w->ring.stopped ? -ESHUTDOWN : w->ring.broken ? -EPROTO : -EOPNOTSUPP;
    struct iovec iov = {w->ring.data, 1};
    struct vop_used_buf used;
    void *token;

    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_add_buf(w->ring.vq, &iov, 1, 0, w)) == expected);
    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_get_buf(w->ring.vq, &token, NULL)) == expected);
    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_get_bufs(w->ring.vq, &used, 1)) == expected);
    PROMISE(WATCHED(&w->ring, 0, vop_virtqueue_kick(w->ring.vq)) == expected);
    PROMISE(vop_virtqueue_detach_buf(w->ring.vq, &token) == -EOPNOTSUPP);
}

static void start(struct world *w)
{
    w->count = 0;
    w->taken = 0;
    w->drained = true;
    offers_start(&w->offers, &w->ring);
}

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
        w->offers.clean = false;
        break;
    case 2:
        wrong_role(w);
        break;
    default:
        vop_virtqueue_shutdown(w->ring.vq);
        w->ring.stopped = true;
        call(w);
        ring_restart_elsewhere(&w->ring, w->in);
        start(w);
    }
}

static void operate(struct world *w)
{
    uint8_t what = take_byte(w->in);

    switch (what & 15) {
    case 0:
    case 1:
    case 2:
        offers_make(&w->offers, &w->ring, w->in);
        break;
    case 3:
    case 4:
        if (what & 0x10)
            take_many(w);
        else
            (void)take_one(w);
        break;
    case 5:
    case 6:
        if (what & 0x10)
            complete_many(w);
        else
            complete(w);
        break;
    case 7:
        call(w);
        break;
    case 8:
        untake(w);
        break;
    case 9:
        restart(w);
        break;
    case 10:
        if (what & 0x10)
            disable(w);
        else
            notified(w);
        break;
    case 11:
        ring_poke(&w->ring, w->in);
        w->offers.clean = false;
        break;
    case 12:
        ring_tamper(&w->ring, w->in);
        w->offers.clean = false;
        break;
    case 13:
        ring_ask(&w->ring, take_word(w->in));
        break;
    case 14:
        for (unsigned i = 0; i <= what >> 4 && w->count < HANDLES; i++) { /* one after another, around the ring */
            offers_plain(&w->offers, &w->ring);
            (void)WATCHED(&w->ring, take_limit(w), take(w, IOVECS));
            complete(w);
        }
        call(w);
        break;
    default:
        rarely(w);
    }
    ring_check_info(&w->ring, w->count, w->taken);
}

/* An honest driver gets everything back. */
static void drain(struct world *w)
{
    while (w->count < HANDLES && WATCHED(&w->ring, take_limit(w), take(w, IOVECS)) == 1)
        continue;
    while (w->count > 0 && alive(w)) {
        struct handle h = w->held[--w->count];

        PROMISE(vop_virtqueue_complete(w->ring.vq, h.handle, 0) == 0);
        offers_completed(&w->offers, h.seq, 0);
    }
    call(w);
    PROMISE(!alive(w) || w->offers.reaped == w->taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct world w = {.in = &in};

    if (!ring_open(&w.ring, &in, VOP_VIRTQUEUE_DEVICE, callback))
        return 0;
    start(&w);
    if (w.ring.threaded) {
        for (unsigned i = 0; i < 8; i++)
            ring_poke(&w.ring, &in);
        ring_start_thread(&w.ring);
    }
    for (unsigned i = 0; i < OPERATIONS && in.at < in.end; i++)
        operate(&w);
    if (clean(&w) && !w.ring.stopped && !w.ring.broken)
        drain(&w);
    ring_close(&w.ring);
    return 0;
}
