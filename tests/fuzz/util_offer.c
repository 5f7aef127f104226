/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_offer.c - a driver that offers chains, spoils some of them, and checks what the device makes of them. See
 * util_offer.h.
 *
 * Room: tests.
 */
#include "fuzz/util_offer.h"

#include <errno.h>
#include <string.h>

#define BUSY (sizeof(((struct offers *)0)->busy))

/* What is wrong with a chain. */
enum spoilt {
    INDIRECT_NEXT,  /* the descriptor of the table goes on */
    TABLE_LENGTH,   /* not a multiple of 16, or 0 */
    NESTED,         /* a table in a table; packed tables have no such flag */
    NEXT_OUTSIDE,   /* the last one's next does not exist */
    LOOP,           /* the last one's next is the first */
    HEAD_OUTSIDE,   /* split */
    INDEX_AHEAD,    /* split: more is available than was offered */
    RESERVED_FLAGS, /* not wrong: a device does not look at them */
    SPOILT,
    NOTHING = SPOILT
};

void offers_start(struct offers *o, const struct ring *r)
{
    *o = (struct offers){.clean = !r->threaded, .free = r->place.size};
    o->idx = o->used = r->place.resume ? r->place.position : 0;
    o->next = o->packed_used = ring_packed_start(r);
    if (!r->packed) {
        put16(ring_split_words(r).avail_idx, o->idx);
        return;
    }
    for (uint32_t i = 0; i < r->place.size; i++) { /* as if earlier laps were done */
        bool lap = i < o->next.slot ? o->next.wrap : !o->next.wrap;

        put32((uint8_t *)r->place.desc.base + 16 * (size_t)i + 12, lap ? (PACKED_AVAIL | PACKED_USED) << 16 : 0);
    }
}

/* ---- Segments ---- */

/* An address as the descriptors of this layout can hold it. */
static uint64_t as_stored(const struct ring *r, uint64_t addr)
{
    return r->options.layout == VOP_RING_2009 ? (uint32_t)addr : addr;
}

static struct segment plain_segment(const struct ring *r, unsigned i, bool write)
{
    const struct vop_region *e = &r->region[i % r->options.region_count];

    return (struct segment){as_stored(r, e->address + 8 * i % e->size), 1 + i, write};
}

static struct segment chosen_segment(const struct ring *r, struct input *in, bool write)
{
    uint8_t how = take_byte(in);
    const struct vop_region *e = &r->region[(how & 15u) % r->options.region_count];
    struct segment s = {.addr = e->address, .write = write != (bool)(how & 0x80)};

    s.addr += how & 0x10 ? e->size - take_byte(in) : take_byte(in);
    if (how & 0x20)
        s.addr ^= (uint64_t)take_word(in) << (take_byte(in) & 63);
    s.len = how & 0x40 ? take_word(in) : take_byte(in);
    s.addr = as_stored(r, s.addr);
    return s;
}

/* Walks a segment along the regions. Returns the number of pieces, or 0 if it leaves them; `iov` must hold these. */
static uint32_t pieces_of(const struct ring *r, const struct segment *s, const struct iovec *iov)
{
    uint64_t addr = s->addr;
    uint32_t pieces = 0;

    for (uint32_t left = s->len; left > 0; pieces++) {
        const struct vop_region *e = ring_find(r, addr);
        uint64_t rest = e ? e->size - (addr - e->address) : 0;
        uint32_t piece = rest < left ? (uint32_t)rest : left;

        if (!e || (s->write && e->flags & VOP_REGION_READ_ONLY) ||
            (addr += piece, left -= piece, left > 0 && addr == 0))
            return 0;
        if (iov) {
            PROMISE(iov[pieces].iov_len == piece);
            PROMISE((uint8_t *)iov[pieces].iov_base == (uint8_t *)e->base + (addr - piece - e->address));
        }
    }
    return pieces;
}

static bool legal_segments(const struct ring *r, const struct offer *e)
{
    uint64_t sum = 0;

    if (e->segments > r->segments_max)
        return false;
    for (uint32_t i = 0; i < e->segments; i++) {
        const struct segment *s = &e->segment[i];

        if (i > 0 && e->segment[i - 1].write && !s->write)
            return false;
        if (s->len > 0 && pieces_of(r, s, NULL) == 0)
            return false;
        sum += s->len;
    }
    return sum <= r->bytes_max;
}

/* ---- Tables ---- */

static void put_entry(uint8_t at[16], const struct segment *s, uint32_t last)
{
    const uint32_t words[4] = {(uint32_t)s->addr, (uint32_t)(s->addr >> 32), s->len, last};

    for (unsigned i = 0; i < 16; i++)
        at[i] = (uint8_t)(words[i / 4] >> 8 * (i % 4));
}

/* How many tables of OFFER_MAX entries fit side by side into the first region. */
static uint32_t tables_room(const struct ring *r)
{
    uint64_t room = r->region[0].size / (16 * OFFER_MAX + 4);

    return room < 1 ? 1 : room > 16 ? 16 : (uint32_t)room;
}

/* Stores the segments from `first` on as a table. Returns a descriptor that refers to it. */
static struct segment put_table(struct offers *o, const struct ring *r, struct offer *e, uint32_t first, uint8_t where,
                                enum spoilt spoilt)
{
    uint32_t entries = e->segments - first;
    uint8_t bytes[16 * OFFER_MAX];
    struct segment table = {.len = 16 * entries};

    for (uint32_t i = 0; i < entries; i++) {
        const struct segment *s = &e->segment[first + i];
        bool more = i + 1 < entries;
        uint32_t next = more ? i + 1 : spoilt == NEXT_OUTSIDE ? entries : 0;
        uint32_t flags = s->write ? DESC_WRITE : 0;

        flags |= !r->packed && (more || spoilt == NEXT_OUTSIDE || spoilt == LOOP) ? DESC_NEXT : 0;
        flags |= spoilt == NESTED ? DESC_INDIRECT : 0;
        flags |= spoilt == RESERVED_FLAGS ? 0xff78 : 0;
        put_entry(&bytes[16 * i], s, r->packed ? flags << 16 : flags | next << 16);
    }
    table.addr = r->region[0].address + (o->offered % tables_room(r)) * (16 * OFFER_MAX + 4) + (where & 3u);
    if (where & 4) { /* the region may end inside it, and tables of other chains may be there */
        table.addr = r->region[0].address + r->region[0].size - 8;
        o->clean &= o->offered == o->reaped;
    }
    table.addr = as_stored(r, table.addr);
    e->legal &= ring_store_bytes(r, table.addr, bytes, table.len) && r->indirect;
    if (spoilt == TABLE_LENGTH)
        table.len = where & 8 ? 0 : table.len + 8;
    return table;
}

/* ---- Chains ---- */

/* Descriptors of a split ring that nobody holds. False: there are not enough. */
static bool find_descs(struct offers *o, const struct ring *r, uint16_t *ret_desc, uint32_t count)
{
    uint32_t limit = r->place.size < BUSY ? r->place.size : (uint32_t)BUSY, found = 0;

    for (uint32_t i = 0; i < limit && found < count; i++) {
        uint32_t at = (o->cursor + i) % limit;

        if (!o->busy[at] || !o->clean)
            ret_desc[found++] = (uint16_t)at;
    }
    if (found < count)
        return false;
    o->cursor = (ret_desc[count - 1] + 1u) % limit;
    for (uint32_t i = 0; i < count; i++)
        o->busy[ret_desc[i]] = true;
    return true;
}

static bool find_room(struct offers *o, const struct ring *r, struct offer *e, uint32_t descs)
{
    if (o->clean && o->offer[o->offered % OFFERS].out)
        return false;
    e->descs = descs;
    if (!r->packed) {
        if (!find_descs(o, r, e->desc, descs))
            return false;
        e->id = e->desc[0];
        return true;
    }
    if (o->clean && o->free < descs)
        return false;
    o->free -= descs < o->free ? descs : o->free;
    e->id = (uint16_t)(o->offered * 257);
    return true;
}

static void put_split(struct offers *o, const struct ring *r, struct offer *e, const struct segment *desc,
                      const uint32_t *flags, enum spoilt spoilt, uint8_t operand)
{
    struct split_words words = ring_split_words(r);
    uint32_t head = e->id;

    for (uint32_t i = 0; i < e->descs; i++) {
        bool more = i + 1 < e->descs;
        uint32_t next = more ? e->desc[i + 1] : 0, f = flags[i] | (more ? DESC_NEXT : 0);

        if (!more && !(flags[i] & DESC_INDIRECT) && (spoilt == NEXT_OUTSIDE || spoilt == LOOP)) {
            f |= DESC_NEXT;
            next = spoilt == LOOP ? head : r->place.size + operand;
        }
        ring_put_desc(r, e->desc[i], desc[i].addr, desc[i].len, f, next);
    }
    if (spoilt == HEAD_OUTSIDE)
        head = r->place.size + operand;
    put16(words.avail_ring + 2 * (o->idx & (r->place.size - 1)), head);
    o->idx++;
    if (spoilt == INDEX_AHEAD) {
        o->idx = (uint16_t)(o->idx + operand);
        o->clean = false;
    }
}

static void put_packed(struct offers *o, const struct ring *r, const struct offer *e, const struct segment *desc,
                       const uint32_t *flags, enum spoilt spoilt)
{
    uint8_t *head = NULL;
    uint32_t head_word = 0;

    for (uint32_t i = 0; i < e->descs; i++) {
        uint8_t *d = (uint8_t *)r->place.desc.base + 16 * (size_t)o->next.slot;
        bool more = i + 1 < e->descs || spoilt == NEXT_OUTSIDE || spoilt == LOOP;
        uint32_t f = flags[i] | (more ? DESC_NEXT : 0);
        uint32_t word = e->id | ((f & ~(PACKED_AVAIL | PACKED_USED)) | (o->next.wrap ? PACKED_AVAIL : PACKED_USED))
                                    << 16;

        put32(d, (uint32_t)desc[i].addr);
        put32(d + 4, (uint32_t)(desc[i].addr >> 32));
        put32(d + 8, desc[i].len);
        if (i == 0) {
            head = d + 12;
            head_word = word;
        } else {
            put32(d + 12, word);
        }
        ring_packed_advance(r, &o->next, 1);
    }
    put32(head, head_word);
}

/* Whether a chain of this form is refused, whatever its segments are. */
static bool legal_form(const struct ring *r, bool table, bool alone, enum spoilt spoilt)
{
    switch (spoilt) {
    case INDIRECT_NEXT:
    case TABLE_LENGTH:
        return !table;
    case NESTED:
        return !table || r->packed;
    case NEXT_OUTSIDE:
    case LOOP:
        return r->packed && table && alone; /* tables have no next there */
    case HEAD_OUTSIDE:
        return r->packed;
    default:
        return true;
    }
}

/* Offers `e`: `direct` of its segments in the ring, the rest in a table. */
static void offer(struct offers *o, const struct ring *r, struct offer *e, uint32_t direct, enum spoilt spoilt,
                  uint8_t operand, bool publish)
{
    bool table = direct < e->segments;
    uint32_t descs = direct + table, flags[OFFER_MAX + 1];
    struct segment desc[OFFER_MAX + 1];

    if (!find_room(o, r, e, descs))
        return;
    e->legal = legal_form(r, table, direct == 0, spoilt) && legal_segments(r, e) && !(r->packed && table && direct > 0);
    if (r->packed && (spoilt == NEXT_OUTSIDE || spoilt == LOOP))
        o->clean = false; /* what comes later would join the list */
    for (uint32_t i = 0; i < direct; i++) {
        desc[i] = e->segment[i];
        flags[i] = (desc[i].write ? DESC_WRITE : 0) | (spoilt == RESERVED_FLAGS ? 0xff78 : 0);
    }
    if (table) {
        desc[direct] = put_table(o, r, e, direct, operand, spoilt);
        flags[direct] = DESC_INDIRECT | (spoilt == INDIRECT_NEXT ? DESC_NEXT : 0);
    }
    if (r->packed)
        put_packed(o, r, e, desc, flags, spoilt);
    else
        put_split(o, r, e, desc, flags, spoilt, operand);
    e->out = true;
    o->offer[o->offered++ % OFFERS] = *e;
    if (publish || r->packed) {
        o->visible = o->offered;
        if (!r->packed)
            put16(ring_split_words(r).avail_idx, o->idx);
    }
}

void offers_make(struct offers *o, const struct ring *r, struct input *in)
{
    uint8_t shape = take_byte(in), out = take_byte(in), operand = 0;
    struct offer e = {.segments = 1 + (shape & 7u)};
    enum spoilt spoilt = NOTHING;
    uint32_t direct = e.segments;

    for (uint32_t i = 0; i < e.segments; i++) {
        bool write = i >= (out & 15u) % (e.segments + 1);

        e.segment[i] = shape & 0x80 ? chosen_segment(r, in, write) : plain_segment(r, i, write);
    }
    if (shape & 0x18 && (!o->clean || o->offered - o->reaped < tables_room(r))) {
        direct = shape & 0x10 ? e.segments / 2 : 0;
        operand = out >> 4;
    }
    if (shape & 0x20) {
        spoilt = take_byte(in) % SPOILT;
        operand = take_byte(in);
    }
    offer(o, r, &e, direct, spoilt, operand, !(shape & 0x40));
}

void offers_plain(struct offers *o, const struct ring *r)
{
    struct offer e = {.segments = r->place.size < 2 || r->segments_max < 2 ? 1 : 2};

    for (uint32_t i = 0; i < e.segments; i++)
        e.segment[i] = plain_segment(r, i, i > 0);
    offer(o, r, &e, e.segments, NOTHING, 0, true);
}

/* ---- Checks ---- */

void offers_check_taken(const struct offers *o, const struct ring *r, uint64_t taken, int ret, const struct iovec *iov,
                        unsigned room, const struct vop_taken_buf *buf)
{
    const struct offer *e = &o->offer[taken % OFFERS];
    uint32_t pieces = 0;

    if (taken == o->visible) {
        PROMISE(ret == 0);
        return;
    }
    PROMISE(ret != 0);
    PROMISE(ret != -EPROTO || !e->legal);
    PROMISE(ret != 1 || e->legal);
    if (!e->legal)
        return;
    for (uint32_t i = 0; i < e->segments; i++)
        pieces += pieces_of(r, &e->segment[i], NULL);
    PROMISE((ret == 1) == (pieces <= room));
    if (ret < 0)
        return;
    PROMISE(buf->readable + buf->writable == pieces);
    for (uint32_t i = 0; i < e->segments; i++)
        iov += pieces_of(r, &e->segment[i], iov);
}

uint32_t offers_empty(const struct offers *o, uint64_t seq)
{
    const struct offer *e = &o->offer[seq % OFFERS];
    uint32_t count = 0;

    for (uint32_t i = 0; i < e->segments; i++)
        count += e->segment[i].len == 0;
    return count;
}

void offers_completed(struct offers *o, uint64_t seq, uint32_t len)
{
    struct offer *e = &o->offer[seq % OFFERS];

    e->completed = true;
    e->len = len;
    o->done[o->completed++ % OFFERS] = seq;
}

static uint32_t writable(const struct offer *e)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < e->segments; i++)
        sum += e->segment[i].write ? e->segment[i].len : 0;
    return sum;
}

/* One used element: returns the buffers it stands for, and their descriptors. */
static uint32_t reap_one(struct offers *o, uint32_t id, uint32_t len, bool in_order, uint32_t *ret_descs)
{
    uint32_t descs = 0;

    for (uint32_t buffers = 1;; buffers++) {
        struct offer *e;

        PROMISE(o->reaped < o->completed || (in_order && o->reaped < o->offered));
        e = &o->offer[(in_order ? o->reaped : o->done[o->reaped % OFFERS]) % OFFERS];
        PROMISE(e->out && e->completed);
        e->out = false;
        for (uint32_t i = 0; i < e->descs; i++)
            o->busy[e->desc[i]] = false;
        o->reaped++;
        descs += e->descs;
        if (e->id == id) {
            PROMISE(e->len == len);
            *ret_descs = descs;
            return buffers;
        }
        PROMISE(in_order && writable(e) == 0); /* skipped, which DPDK expects of no other */
    }
}

static void reap_packed(struct offers *o, const struct ring *r)
{
    while (o->reaped < o->offered && ring_packed_is(r, &o->packed_used, true)) {
        uint8_t *d = (uint8_t *)r->place.desc.base + 16 * (size_t)o->packed_used.slot;
        uint32_t word = get32(d + 12), descs;

        (void)reap_one(o, word & 0xffff, word >> 16 & DESC_WRITE ? get32(d + 8) : 0, r->in_order, &descs);
        ring_packed_advance(r, &o->packed_used, descs);
        o->free += descs;
    }
}

void offers_reap(struct offers *o, const struct ring *r, bool all)
{
    struct split_words words = ring_split_words(r);

    if (r->packed)
        reap_packed(o, r);
    while (!r->packed && o->used != get16(words.used_idx)) {
        const uint8_t *elem = words.used_ring + 8 * (size_t)(o->used & (r->place.size - 1));
        uint32_t descs;

        o->used = (uint16_t)(o->used + reap_one(o, get32(elem), get32(elem + 4), r->in_order, &descs));
    }
    if (all && r->in_order)
        PROMISE(o->reaped == o->offered || !o->offer[o->reaped % OFFERS].completed);
    else if (all)
        PROMISE(o->reaped == o->completed);
}
