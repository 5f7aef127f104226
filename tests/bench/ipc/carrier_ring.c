/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_ring.c - the floors: rings written by hand that carry messages and do nothing else.
 *
 * Room: tests/bench/ipc.
 *
 * "ring" is the leanest ring that still is one: slots, and an index each way on a cache line of its own. Nothing is
 * checked. Both ends know the size of each message by agreement, so no length is stored. Each end has a private copy of
 * the other's index, and looks at the shared one only when the copy says full or empty. Slots go back a quarter of the
 * ring at a time, or when there is nothing left to receive.
 *
 * Where the slots lie counts as much as the code. Side by side, those of small messages are drawn into a fight: while
 * one processor writes a slot, the prefetcher of the other one fetches the line beside it. So slots are 17 lines apart
 * at least, and always an odd number, so that they spread over all sets of a cache. A round trip of 64 bytes between
 * siblings took 220 to 240 ns with slots 1 line apart, 150 to 190 with 3 or 5, and 105 to 140 with 9, 17, 33 or 65; 32,
 * which is not odd, 160. Far apart it was 780, 620, and 460 to 520. And there are 128 of them rather than 256, since
 * fewer lines and pages stay nearer: in batches of 16, far apart, a message took 29 to 31 ns in place of 47 to 63; the
 * other figures were the same or a little better. With 64 there was no more to gain. (Medians of 10 to 60 interleaved
 * slices on Zen 4.)
 *
 * "ring with a wake flag" is the same, and has in addition what each ring needs whose reader may sleep: having stored
 * an index, an end looks whether the other one has asked to be woken, and a full fence keeps that look behind the
 * store. Nobody ever asks.
 *
 * Of a round trip between two sleepers ring_wake.c has the floors.
 */
#include "ipc.h"
#include "ring_wake.h"
#include "util_machine.h"
#include "util_turn.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINE 256 /* so far apart that no prefetcher takes one for a part of the other */
#define SLOT_LINE 64u
#define SLOT_LINES_LEAST 17u
#define POOL_MIN (1u << 20)
#define SLOTS_MOST 128u
#define SLOTS_LEAST 16u

/* ---- Memory of both rings ---- */

/* Of one direction. Each line has one writer. A flag is not on the line of its writer's index: with each index stored,
 * the other end would have to fetch it again. */
struct ring_lines {
    _Alignas(LINE) _Atomic uint32_t head;   /* messages published; by the sender */
    _Alignas(LINE) _Atomic uint32_t tail;   /* slots given back; by the receiver */
    _Alignas(LINE) _Atomic uint32_t reader; /* the receiver sleeps; by the receiver, and always 0 here */
    _Alignas(LINE) _Atomic uint32_t room;   /* the sender sleeps; by the sender, and always 0 here */
};

struct ring_memory {
    struct ring_lines lines[2]; /* from side 0 to side 1, and back */
    size_t pool_size;           /* bytes of the slots of a direction */
    _Alignas(4096) uint8_t slots[];
};

/* From one slot to the next: an odd number of lines. */
static size_t slot_bytes(size_t size)
{
    size_t lines = (size + SLOT_LINE - 1) / SLOT_LINE;

    return (lines < SLOT_LINES_LEAST ? SLOT_LINES_LEAST : lines | 1) * SLOT_LINE;
}

/* 128, or a pool of 1 MiB if that is less, but 16 at least. A power of two. */
static uint32_t slots_for(size_t size)
{
    uint32_t slots = SLOTS_LEAST;

    while (slots < SLOTS_MOST && slots * slot_bytes(size) < POOL_MIN)
        slots *= 2;
    return slots;
}

static void *ring_prepare(const struct ipc_terms *terms)
{
    size_t largest = SLOTS_LEAST * slot_bytes(terms->size_max);
    size_t pool = largest > 2 * POOL_MIN ? largest : 2 * POOL_MIN; /* what slots_for() makes of a smaller size fits */
    struct ring_memory *memory = shared_memory(sizeof(*memory) + 2 * pool);

    memory->pool_size = pool;
    return memory;
}

/* ---- An end ---- */

/* What is private of one direction. */
struct ring_half {
    struct ring_lines *lines;
    uint8_t *slots;
    uint32_t own, published; /* messages put in, or taken; how many of them the other end knows of */
    uint32_t other;          /* its index as last seen */
    uint32_t mask, lazy;     /* slots - 1; slots given back together */
    size_t stride, size;
};

struct ring_end {
    _Alignas(LINE) struct ring_half out;
    _Alignas(LINE) struct ring_half in;
};

static void *ring_open(const struct ipc_terms *terms, int side)
{
    struct ring_memory *memory = terms->prepared;
    struct ring_end *e = aligned_alloc(LINE, sizeof(*e));

    if (!e)
        die(-ENOMEM, "ring");
    *e = (struct ring_end){
        .out = {.lines = &memory->lines[side], .slots = memory->slots + (side ? memory->pool_size : 0)},
        .in = {.lines = &memory->lines[!side], .slots = memory->slots + (side ? 0 : memory->pool_size)},
    };
    return e;
}

static void ring_close(void *end)
{
    free(end);
}

/* The ring is empty whenever the size changes. */
static __attribute__((noinline)) void change_size(struct ring_half *h, size_t size)
{
    uint32_t slots = slots_for(size);

    h->size = size;
    h->stride = slot_bytes(size);
    h->mask = slots - 1;
    h->lazy = slots / 4;
}

static inline void *slot(struct ring_half *h)
{
    return h->slots + (h->own & h->mask) * h->stride;
}

/* The flag is read after the index is stored: the fence pairs with that of a reader which sets the flag, and then looks
 * at the index once more before it sleeps. */
static inline void publish(struct ring_half *h, _Atomic uint32_t *index, _Atomic uint32_t *flag, bool wakes)
{
    atomic_store_explicit(index, h->own, memory_order_release);
    h->published = h->own;
    if (!wakes)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(flag, memory_order_relaxed) != 0, 0))
        die(0, "somebody sleeps who never does");
}

/* What is held back goes out before the wait: the slots that are waited for may be those. */
static inline void *wait_for_room(struct ring_half *h, size_t size, bool wakes)
{
    if (__builtin_expect(size != h->size, 0))
        change_size(h, size);
    if (h->own - h->other <= h->mask)
        return slot(h);
    h->other = atomic_load_explicit(&h->lines->tail, memory_order_acquire);
    if (h->own - h->other > h->mask && h->own != h->published)
        publish(h, &h->lines->head, &h->lines->reader, wakes);
    while (h->own - h->other > h->mask) {
        cpu_pause();
        h->other = atomic_load_explicit(&h->lines->tail, memory_order_acquire);
    }
    return slot(h);
}

static inline void put(struct ring_half *h, bool more, bool wakes)
{
    h->own++;
    if (!more)
        publish(h, &h->lines->head, &h->lines->reader, wakes);
}

static inline void *wait_for_message(struct ring_half *h, size_t size, bool wakes)
{
    if (__builtin_expect(size != h->size, 0))
        change_size(h, size);
    if (h->own != h->other)
        return slot(h);
    h->other = atomic_load_explicit(&h->lines->head, memory_order_acquire);
    if (h->own == h->other && h->own != h->published)
        publish(h, &h->lines->tail, &h->lines->room, wakes);
    while (h->own == h->other) {
        cpu_pause();
        h->other = atomic_load_explicit(&h->lines->head, memory_order_acquire);
    }
    return slot(h);
}

static inline void taken(struct ring_half *h, bool wakes)
{
    h->own++;
    if (h->own - h->published >= h->lazy)
        publish(h, &h->lines->tail, &h->lines->room, wakes);
}

/* ---- Both rings: the same, the flag known to the compiler ---- */

static inline void ring_send(void *end, const void *data, size_t size, bool more, bool wakes)
{
    struct ring_end *e = end;

    memcpy(wait_for_room(&e->out, size, wakes), data, size);
    put(&e->out, more, wakes);
}

static inline void ring_receive(void *end, void *data, size_t size, bool wakes)
{
    struct ring_end *e = end;

    memcpy(data, wait_for_message(&e->in, size, wakes), size);
    taken(&e->in, wakes);
}

static void bare_send(void *end, const void *data, size_t size, bool more)
{
    ring_send(end, data, size, more, false);
}

static void bare_receive(void *end, void *data, size_t size)
{
    ring_receive(end, data, size, false);
}

static void *bare_loan(void *end, size_t size)
{
    return wait_for_room(&((struct ring_end *)end)->out, size, false);
}

static void bare_publish(void *end, size_t size)
{
    (void)size;
    put(&((struct ring_end *)end)->out, false, false);
}

static const void *bare_take(void *end, size_t size)
{
    return wait_for_message(&((struct ring_end *)end)->in, size, false);
}

static void bare_give_back(void *end)
{
    taken(&((struct ring_end *)end)->in, false);
}

static void flag_send(void *end, const void *data, size_t size, bool more)
{
    ring_send(end, data, size, more, true);
}

static void flag_receive(void *end, void *data, size_t size)
{
    ring_receive(end, data, size, true);
}

static void *flag_loan(void *end, size_t size)
{
    return wait_for_room(&((struct ring_end *)end)->out, size, true);
}

static void flag_publish(void *end, size_t size)
{
    (void)size;
    put(&((struct ring_end *)end)->out, false, true);
}

static const void *flag_take(void *end, size_t size)
{
    return wait_for_message(&((struct ring_end *)end)->in, size, true);
}

static void flag_give_back(void *end)
{
    taken(&((struct ring_end *)end)->in, true);
}

static const struct ipc_carrier ring = {
    .name = "ring",
    .is_floor = true,
    .waitings = 1u << IPC_SPIN,
    .size_max = 64u << 20,
    .has_batches = true,
    .prepare = ring_prepare,
    .open = ring_open,
    .send = bare_send,
    .receive = bare_receive,
    .loan = bare_loan,
    .publish = bare_publish,
    .take = bare_take,
    .give_back = bare_give_back,
    .close = ring_close,
};

static const struct ipc_carrier ring_with_flag = {
    .name = "ring with a wake flag",
    .is_floor = true,
    .waitings = 1u << IPC_SPIN,
    .size_max = 64u << 20,
    .has_batches = true,
    .prepare = ring_prepare,
    .open = ring_open,
    .send = flag_send,
    .receive = flag_receive,
    .loan = flag_loan,
    .publish = flag_publish,
    .take = flag_take,
    .give_back = flag_give_back,
    .close = ring_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&ring, &ring_with_flag, &ipc_by_eventfd, &ipc_by_futex, NULL};
