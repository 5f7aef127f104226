/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_vq_driver.c - a libFuzzer harness that plays the device of a virtqueue: any words in the ring, at any time.
 *
 * Room: tests. The driver is the library's. The device is played here, from the specification, and honest where the
 * input says so; it also lies about ids, lengths and indexes, and pokes any word. Input: the bytes of util_ring.h, then
 * operations: a byte that picks one, and its operands.
 *
 * Held against it, beside util_ring.h: a token comes back at most once, only if it was added and published, and with
 * IN_ORDER in its turn; no length passes what was writable; nothing is lost; a broken queue stays broken, detaching
 * gives back the rest exactly, and a reset brings it to life; restart() says what get() then finds.
 */
#include "fuzz/util_ring.h"

#include <errno.h>
#include <string.h>

#define BUFFERS 64u
#define SEGMENTS 80u
#define HELD 64u
#define OPERATIONS 200u
#define EXPECTED 128u
#define WHOLE UINT64_MAX /* a length: of a buffer that a batch skips */

struct buffer {
    bool out; /* with the queue */
    uint64_t seq;
    uint32_t writable;
};

/** The device that is played. */
struct peer {
    struct {
        uint32_t id, descs;
    } held[HELD]; /* taken, oldest first */
    uint32_t count;
    uint16_t seen, used;                /* split */
    struct packed_at next, packed_used; /* packed */
    uint64_t len[EXPECTED];             /* what it said, in the order it returned buffers */
    uint64_t returned;
};

struct world {
    struct ring ring; /* first: it is the context of the callback */
    struct input *in;
    struct buffer buffer[BUFFERS];
    uint64_t added, published, got;
    uint32_t in_flight;
    struct peer peer;
    bool honest;        /* the peer was, so far */
    bool drained;       /* the queue has looked, and got all that it saw */
    unsigned callbacks; /* in this call */
};

/* ---- The device ---- */

static void peer_start(struct world *w)
{
    const struct ring *r = &w->ring;

    w->peer = (struct peer){.seen = r->place.resume ? r->place.position : 0};
    w->peer.used = w->peer.seen;
    w->peer.next = w->peer.packed_used = ring_packed_start(r);
    if (!r->packed)
        put16(ring_split_words(r).used_idx, w->peer.used);
    w->honest = !r->threaded;
    w->drained = true;
}

static void peer_hold(struct peer *p, uint32_t id, uint32_t descs)
{
    p->held[p->count].id = id;
    p->held[p->count++].descs = descs;
}

static void fetch_packed(struct world *w)
{
    const struct ring *r = &w->ring;
    struct peer *p = &w->peer;

    while (p->count < HELD && ring_packed_is(r, &p->next, false)) {
        uint32_t word, descs = 0;

        do {
            word = get32((uint8_t *)r->place.desc.base + 16 * (size_t)p->next.slot + 12);
            ring_packed_advance(r, &p->next, 1);
            descs++;
        } while (word >> 16 & DESC_NEXT && descs < r->place.size);
        peer_hold(p, word & 0xffff, descs);
    }
}

static void fetch(struct world *w)
{
    struct split_words words = ring_split_words(&w->ring);
    struct peer *p = &w->peer;

    if (w->ring.packed) {
        fetch_packed(w);
        return;
    }
    for (; p->count < HELD && p->seen != get16(words.avail_idx); p->seen++)
        peer_hold(p, get16(words.avail_ring + 2 * (p->seen & (w->ring.place.size - 1))), 1);
}

/* Returns what it holds at `k`, and with IN_ORDER all before it. `lie` is added to the id. Unless `written`, a packed
 * ring says that there is no length. */
static void use(struct world *w, uint32_t k, uint32_t len, uint32_t lie, bool written)
{
    const struct ring *r = &w->ring;
    struct peer *p = &w->peer;
    uint32_t first = r->in_order ? 0 : k, buffers = k - first + 1, descs = 0;
    uint32_t id = p->held[k].id + lie;

    for (uint32_t i = first; i <= k; i++)
        descs += p->held[i].descs;
    for (uint32_t i = 1; i <= buffers; i++)
        p->len[p->returned++ % EXPECTED] = i < buffers ? WHOLE : r->packed && !written ? 0 : len;
    p->count -= buffers;
    memmove(&p->held[first], &p->held[k + 1], (p->count - first) * sizeof(p->held[0]));
    if (r->packed) {
        uint8_t *d = (uint8_t *)r->place.desc.base + 16 * (size_t)p->packed_used.slot;
        uint32_t flags = (p->packed_used.wrap ? PACKED_AVAIL | PACKED_USED : 0) | (written ? DESC_WRITE : 0);

        put32(d + 8, len);
        put32(d + 12, (id & 0xffff) | flags << 16);
        ring_packed_advance(r, &p->packed_used, descs);
    } else {
        struct split_words words = ring_split_words(r);
        uint8_t *elem = words.used_ring + 8 * (size_t)(p->used & (r->place.size - 1));

        put32(elem, id);
        put32(elem + 4, len);
        p->used = (uint16_t)(p->used + buffers);
        put16(words.used_idx, p->used);
    }
}

static uint32_t pick_len(struct input *in)
{
    static const uint32_t lens[] = {0, 1, 8, 16, 32, 1000, UINT32_MAX};
    uint8_t b = take_byte(in);

    return b % 8 < 7 ? lens[b % 8] : take_word(in);
}

static void serve(struct world *w)
{
    uint8_t how = take_byte(w->in);
    uint32_t lie = how & 0x10 ? take_word(w->in) : 0;

    fetch(w);
    for (unsigned i = 0; i <= (how & 7u) && w->peer.count > 0; i++)
        use(w, how & 8 ? take_byte(w->in) % w->peer.count : 0, pick_len(w->in), lie, !(how & 0x40));
    if (how & 0x20 && !w->ring.packed) { /* it says more than there is */
        w->peer.used = (uint16_t)(w->peer.used + take_byte(w->in));
        put16(ring_split_words(&w->ring).used_idx, w->peer.used);
    }
    w->honest &= !(how & 0x30);
}

/* What the device asks for. It may be anything. */
static void ask(struct world *w)
{
    struct split_words words = ring_split_words(&w->ring);
    uint32_t word = take_word(w->in);

    if (w->ring.packed) {
        put32(w->ring.place.device.base, word);
        return;
    }
    put16(words.used_flags, word & 0xffff);
    if (words.avail_event)
        put16(words.avail_event, word >> 16);
}

/* ---- The driver ---- */

static bool quiet(const struct world *w)
{
    return !w->ring.threaded && !w->ring.tampered;
}

static bool alive(const struct world *w)
{
    return !w->ring.stopped && vop_virtqueue_error(w->ring.vq) == 0;
}

/* Segments in memory that may be shared; some not, if the input wants that. */
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

    vop_virtqueue_info(w->ring.vq, &info, sizeof(info));
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
    PROMISE((ret == -EINVAL) == !good);
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
    if (w->honest) {
        uint64_t said = w->peer.len[w->got % EXPECTED];

        PROMISE(w->got < w->peer.returned);
        PROMISE(len == (said > b->writable ? b->writable : said));
    }
    b->out = false;
    w->got++;
    w->in_flight--;
}

/* A split ring that says more is used than was out: when the driver looks there, it must break. */
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

/* Down, and all buffers back: each once. */
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

/* What happens to a queue seldom. */
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
        w->honest = false;
        break;
    case 2:
        wrong_role(w);
        break;
    default:
        take_back(w);
        ring_restart_elsewhere(&w->ring, w->in);
        w->added = w->published = w->got = 0;
        peer_start(w);
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
        serve(w);
        break;
    case 10:
    case 11:
        ring_poke(&w->ring, w->in);
        w->honest = false;
        break;
    case 12:
        ring_tamper(&w->ring, w->in);
        w->honest = false;
        break;
    case 13:
        ask(w);
        break;
    case 14:
        for (unsigned i = 0; i <= what >> 4; i++) /* many, to come around the ring */
            add(w, i & 1 ? 0x09 : 0x08);
        kick(w);
        break;
    default:
        rarely(w);
    }
    ring_check_info(&w->ring, w->in_flight, w->added);
    PROMISE(!w->honest || !w->ring.broken);
}

/* From an honest device all comes back. */
static void drain(struct world *w)
{
    kick(w);
    fetch(w);
    while (w->peer.count > 0)
        use(w, 0, 1, 0, true);
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
    peer_start(&w);
    if (w.ring.threaded) {
        for (unsigned i = 0; i < 8; i++)
            ring_poke(&w.ring, &in);
        ring_start_thread(&w.ring);
    }
    for (unsigned i = 0; i < OPERATIONS && in.at < in.end; i++)
        operate(&w);
    if (w.honest && !w.ring.stopped)
        drain(&w);
    take_back(&w);
    ring_close(&w.ring);
    return 0;
}
