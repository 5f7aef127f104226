/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_link.c - a libFuzzer harness that plays the peer of a channel: any content of the half it reads, any calls.
 *
 * Room: tests. The channel is the library's own over the loop wire, whose halves are heap memory, so that the
 * sanitizers see an access one byte too far. Its peer is a second channel that is honest where the input says so, while
 * pokes overwrite what it wrote. Input:
 *
 *   byte 0     low half: geometry. 0x10: pokes come before the handshake, too. 0x20: a thread keeps repeating all
 *              pokes. 0x40: posted window
 *   then       operations: a byte that picks one, and its operands
 */
#include "channel/channel.h"
#include "channel/life.h"
#include "channel/options.h"
#include "support/loop.h"
#include "util_input.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define POKES_MAX 64

struct poke {
    size_t offset;
    uint32_t value;
};

/** All that one input works on. */
struct world {
    struct vop__wire *end[2];
    vop_channel *c, *peer; /* the one under test; the one whose words are poked */
    struct vop__areas layout;
    struct poke poke[POKES_MAX];
    unsigned pokes;
    bool stop; /* atomic */
    bool rx_broken, tx_broken;
    struct vop_buffer held;
    bool holding, reserving;
    size_t reserved;
};

static void store(const struct world *w, const struct poke *p)
{
    const struct vop__window *half = &w->end[0]->local;

    __atomic_store_n((uint32_t *)(void *)(half->base + p->offset), p->value, __ATOMIC_RELEASE);
}

/* A word near something that matters; sometimes a nearly correct value. */
static void poke(struct world *w, struct input *in)
{
    const size_t bases[] = {0,
                            w->layout.desc,
                            w->layout.avail,
                            w->layout.used_event,
                            w->layout.used,
                            w->layout.used + 4,
                            w->layout.avail_event,
                            w->layout.pool};
    uint8_t where = take_byte(in);
    uint8_t index = take_byte(in);
    struct poke p = {.offset = bases[where % 8], .value = take_word(in)};

    if (where % 8 == 0 || where % 8 == 1 || where % 8 == 5 || where % 8 == 7)
        p.offset += 4 * (size_t)index;
    if (p.offset + 4 > w->end[0]->local.size)
        return;
    if (where & 0x80) { /* an index that is near: in the high half of its word, with a length beside it or without */
        uint32_t beside = where & 0x40 ? p.value >> 16 & (where & 0x20 ? 0x1ff : 0xffff) : 0;

        p.value = (p.value & 0x3f) << 16 | beside;
    }
    store(w, &p);
    if (w->pokes < POKES_MAX)
        w->poke[w->pokes++] = p;
}

static void *repeat(void *argument)
{
    struct world *w = argument;

    while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
        for (unsigned i = 0; i < w->pokes; i++)
            store(w, &w->poke[i]);
    }
    return NULL;
}

static void check_span(const struct vop_buffer *b, const struct vop__slot_place *place, const struct vop__slots *slots)
{
    const uint8_t *first = place->pool;
    const uint8_t *last = first + vop__geometry_pool_size(slots);

    PROMISE(b->length >= 1 && b->length <= vop__geometry_pool_size(slots));
    PROMISE(b->segment[0].iov_len + b->segment[1].iov_len == b->length);
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *at = b->segment[i].iov_base;

        PROMISE(b->segment[i].iov_len == 0 || (at >= first && at + b->segment[i].iov_len <= last));
    }
}

static void known(ssize_t ret)
{
    PROMISE(ret >= 0 || ret == -EAGAIN || ret == -EPROTO || ret == -ECONNRESET || ret == -EPIPE || ret == -EMSGSIZE ||
            ret == -EINVAL || ret == -EBUSY || ret == -EINTR);
}

/* A broken direction stays broken. */
static void known_of(ssize_t ret, bool *broken)
{
    known(ret);
    PROMISE(!*broken || ret == -EPROTO || ret == -EMSGSIZE || ret == -EBUSY || ret == -EINVAL);
    *broken |= ret == -EPROTO;
}

static void receive(struct world *w, struct input *in)
{
    static uint8_t bytes[16 * 256];
    uint8_t how = take_byte(in);
    ssize_t n = vop_channel_recv(w->c, bytes, how & 1 ? sizeof(bytes) : how, how & 2 ? 1 : 0);

    known_of(n, &w->rx_broken);
    PROMISE(n < 0 || (size_t)n <= (how & 1 ? sizeof(bytes) : how));
    if (n > 0)
        w->holding = false;
}

static void peek(struct world *w)
{
    struct vop_buffer b;
    int ret = vop_channel_peek(w->c, 0, &b);

    known_of(ret, &w->rx_broken);
    if (ret != 1)
        return;
    check_span(&b, &w->c->rx.place, &w->c->rx.place.geometry.receive);
    for (unsigned i = 0; i < 2; i++) {
        for (size_t k = 0; k < b.segment[i].iov_len; k++)
            (void)*((volatile const uint8_t *)b.segment[i].iov_base + k);
    }
    w->held = b;
    w->holding = true;
}

static void reserve(struct world *w, struct input *in)
{
    struct vop_buffer b;
    size_t length = 1 + take_byte(in) * (size_t)(1 + take_byte(in) % 16);
    int ret = vop_channel_reserve(w->c, length, 0, &b);

    known_of(ret, &w->tx_broken);
    if (ret < 0)
        return;
    PROMISE(b.length == length);
    check_span(&b, &w->c->tx.place, &w->c->tx.place.geometry.send);
    memset(b.segment[0].iov_base, 0x5a, b.segment[0].iov_len);
    memset(b.segment[1].iov_base, 0xa5, b.segment[1].iov_len);
    w->reserving = true;
    w->reserved = length;
}

static void peer_acts(struct world *w, struct input *in)
{
    static uint8_t bytes[16 * 256];
    uint8_t how = take_byte(in);

    if (how & 1)
        (void)vop_channel_send(w->peer, bytes, 1 + (how >> 2) * (size_t)16, 0);
    else
        (void)vop_channel_recv(w->peer, bytes, sizeof(bytes), 0);
}

static void operate(struct world *w, struct input *in)
{
    static uint8_t bytes[256];
    int ret;

    switch (take_byte(in) % 12) {
    case 0:
    case 1:
        if (__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) /* no thread reads the list */
            poke(w, in);
        break;
    case 2:
        receive(w, in);
        break;
    case 3:
        peek(w);
        break;
    case 4:
        ret = vop_channel_release(w->c, &w->held);
        known(ret);
        PROMISE(!w->rx_broken || ret < 0 || !w->holding);
        w->holding = false;
        break;
    case 5:
        reserve(w, in);
        break;
    case 6: {
        size_t length = take_byte(in);

        ret = vop_channel_commit(w->c, length, length & 1);
        known_of(ret, &w->tx_broken);
        PROMISE(ret != 0 || (w->reserving && length >= 1 && length <= w->reserved));
        w->reserving &= ret == -EINVAL;
        break;
    }
    case 7:
        vop_channel_cancel(w->c);
        w->reserving = false;
        break;
    case 8:
        known_of(vop_channel_send(w->c, bytes, take_byte(in), 0), &w->tx_broken);
        known_of(vop_channel_flush(w->c), &w->tx_broken);
        break;
    case 9:
        ret = vop_channel_arm(w->c, take_byte(in));
        PROMISE(ret == 0 || ret == 1 || ret == -EINVAL);
        break;
    case 10:
        ret = vop_channel_process(w->c);
        PROMISE(ret == 0 || ret == -ECONNRESET || ret == -EPROTO);
        PROMISE(vop_channel_in_doubt(w->c) <= w->c->link->session.geometry.send.queue_size);
        break;
    default:
        peer_acts(w, in);
    }
}

/* The handshake as the wires do it, with pokes between its steps if the input asks for them. 1: up. */
static int shake_hands(struct world *w, struct input *in, bool poking)
{
    int ret = 0;

    for (unsigned i = 0; i < 3 && ret == 0; i++) {
        if (poking && take_byte(in) & 1)
            poke(w, in);
        (void)vop__channel_step(w->peer);
        if (poking && take_byte(in) & 1)
            poke(w, in);
        ret = vop__channel_step(w->c);
        PROMISE(ret == 0 || ret == 1 || ret == -EPROTO || ret == -ENOMEM);
    }
    return ret;
}

/* Nobody may write there: between the announce block and the queues, of the half that the channel writes. */
static void check_untouched(const struct world *w)
{
    const uint8_t *half = w->end[0]->remote.base;

    for (size_t i = sizeof(struct vop_announce); i < VOP_AREA_OFFSET; i++)
        PROMISE(half[i] == 0);
}

static bool build(struct world *w, uint8_t shape)
{
    static const uint32_t sizes[] = {2, 4, 8, 16};
    static const uint32_t slots[] = {64, 128, 192, 256};
    uint32_t queue_size = sizes[shape % 4], slot_size = slots[shape / 4 % 4];
    struct vop_options o, its;
    struct vop__geometry g;

    if (vop__options_resolve(NULL, &o) < 0)
        return false;
    o.spin_us = VOP_SPIN_NEVER;
    its = o;
    o.queue_size = its.send_queue_size = queue_size;
    o.slot_size = its.send_slot_size = slot_size;
    o.send_queue_size = its.queue_size = shape & 0x80 ? 32 / queue_size : queue_size;
    o.send_slot_size = its.slot_size = shape & 0x80 ? 320 - slot_size : slot_size;
    g = vop__options_geometry(&o, 1);
    w->layout = vop__geometry_areas(&g, false, 0);
    if (vop__loop_pair((size_t)vop__geometry_offer_size(&g), shape & 0x40 ? VOP__WINDOW_POSTED : 0, w->end) < 0)
        return false;
    if (vop__channel_new(w->end[0], &o, &w->c) < 0 || vop__channel_new(w->end[1], &its, &w->peer) < 0)
        abort();
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    uint8_t shape = take_byte(&in);
    struct world w = {.stop = true};
    pthread_t thread;

    if (!build(&w, shape))
        return 0;
    if (shake_hands(&w, &in, shape & 0x10) == 1) {
        if (shape & 0x20) {
            for (unsigned i = 0; i < 8; i++)
                poke(&w, &in);
            w.stop = false;
            PROMISE(pthread_create(&thread, NULL, repeat, &w) == 0);
        }
        for (unsigned i = 0; i < 300 && in.at < in.end; i++)
            operate(&w, &in);
        if (shape & 0x20) {
            __atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
            pthread_join(thread, NULL);
        }
    }
    check_untouched(&w);
    vop_channel_close(w.c);
    vop_channel_close(w.peer);
    return 0;
}
