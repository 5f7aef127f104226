/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_serve.c - a device that serves the driver under test, or lies to it. See util_serve.h.
 *
 * Room: tests.
 */
#include "fuzz/util_serve.h"

#include <string.h>

#define HELD (sizeof(((struct server *)0)->held) / sizeof(((struct server *)0)->held[0]))
#define WHOLE UINT64_MAX /* a length: of a buffer that a batch skips */

void serve_start(struct server *s, const struct ring *r)
{
    *s = (struct server){.honest = !r->threaded, .seen = r->place.resume ? r->place.position : 0};
    s->used = s->seen;
    s->next = s->packed_used = ring_packed_start(r);
    if (!r->packed)
        put16(ring_split_words(r).used_idx, s->used);
}

static void hold(struct server *s, uint32_t id, uint32_t descs)
{
    s->held[s->count].id = id;
    s->held[s->count++].descs = descs;
}

static void fetch_packed(struct server *s, const struct ring *r)
{
    while (s->count < HELD && ring_packed_is(r, &s->next, false)) {
        uint32_t word, descs = 0;

        do {
            word = get32((uint8_t *)r->place.desc.base + 16 * (size_t)s->next.slot + 12);
            ring_packed_advance(r, &s->next, 1);
            descs++;
        } while (word >> 16 & DESC_NEXT && descs < r->place.size);
        hold(s, word & 0xffff, descs);
    }
}

static void fetch(struct server *s, const struct ring *r)
{
    struct split_words words = ring_split_words(r);

    if (r->packed) {
        fetch_packed(s, r);
        return;
    }
    for (; s->count < HELD && s->seen != get16(words.avail_idx); s->seen++)
        hold(s, get16(words.avail_ring + 2 * (s->seen & (r->place.size - 1))), 1);
}

/* Returns what it holds at `k`, and with IN_ORDER all before it. Adds `lie` to the id. Unless `written`, a packed ring
 * says that there is no length. */
static void use(struct server *s, const struct ring *r, uint32_t k, uint32_t len, uint32_t lie, bool written)
{
    uint32_t first = r->in_order ? 0 : k, buffers = k - first + 1, descs = 0;
    uint32_t id = s->held[k].id + lie;

    for (uint32_t i = first; i <= k; i++)
        descs += s->held[i].descs;
    for (uint32_t i = 1; i <= buffers; i++)
        s->len[s->returned++ % SERVED] = i < buffers ? WHOLE : len;
    s->count -= buffers;
    memmove(&s->held[first], &s->held[k + 1], (s->count - first) * sizeof(s->held[0]));
    if (r->packed) {
        uint8_t *d = (uint8_t *)r->place.desc.base + 16 * (size_t)s->packed_used.slot;
        uint32_t flags = (s->packed_used.wrap ? PACKED_AVAIL | PACKED_USED : 0) | (written ? DESC_WRITE : 0);

        put32(d + 8, len);
        put32(d + 12, (id & 0xffff) | flags << 16);
        ring_packed_advance(r, &s->packed_used, descs);
    } else {
        struct split_words words = ring_split_words(r);
        uint8_t *elem = words.used_ring + 8 * (size_t)(s->used & (r->place.size - 1));

        put32(elem, id);
        put32(elem + 4, len);
        s->used = (uint16_t)(s->used + buffers);
        put16(words.used_idx, s->used);
    }
}

static uint32_t pick_len(struct input *in)
{
    static const uint32_t lens[] = {0, 1, 8, 16, 32, 1000, UINT32_MAX};
    uint8_t b = take_byte(in);

    return b % 8 < 7 ? lens[b % 8] : take_word(in);
}

void serve(struct server *s, const struct ring *r, struct input *in)
{
    uint8_t how = take_byte(in);
    uint32_t lie = how & 0x10 ? take_word(in) : 0;

    fetch(s, r);
    for (unsigned i = 0; i <= (how & 7u) && s->count > 0; i++)
        use(s, r, how & 8 ? take_byte(in) % s->count : 0, pick_len(in), lie, !(how & 0x40));
    if (how & 0x20 && !r->packed) { /* announces more than there is */
        s->used = (uint16_t)(s->used + take_byte(in));
        put16(ring_split_words(r).used_idx, s->used);
    }
    s->honest &= !(how & 0x30);
}

void serve_all(struct server *s, const struct ring *r)
{
    fetch(s, r);
    while (s->count > 0)
        use(s, r, 0, 1, 0, true);
}

uint32_t served_len(const struct server *s, uint64_t nth, uint32_t writable)
{
    uint64_t said = s->len[nth % SERVED];

    PROMISE(nth < s->returned);
    return said > writable ? writable : (uint32_t)said;
}
