/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_ring.c - the floors: rings written by hand that carry messages and do nothing else, and two ways to wake a
 * process by hand.
 *
 * Room: tests/bench/ipc.
 *
 * "ring" is the leanest ring that still is one: slots, and an index each way on a cache line of its own. Nothing is
 * checked. Both ends know the size of each message by agreement, so no length is stored. Each end has a private copy of
 * the other's index, and looks at the shared one only when the copy says full or empty. Slots go back a quarter of the
 * ring at a time, or when there is nothing left to receive.
 *
 * "ring with a wake flag" is the same, and has in addition what each ring needs whose reader may sleep: having stored
 * an index, an end looks whether the other one has asked to be woken, and a full fence keeps that look behind the
 * store. Nobody ever asks.
 *
 * "eventfd" and "futex" are sleeping round trips: the message is in shared memory, and what takes the time is to wake
 * somebody. They have room for one message.
 */
#include "ipc.h"
#include "util_content.h"
#include "util_machine.h"
#include "util_turn.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE 256 /* so far apart that no prefetcher takes one for a part of the other */
#define SLOT_ALIGN 64u
#define POOL_MIN (1u << 20)
#define SLOTS_MOST 256u
#define SLOTS_LEAST 16u

/* ---- Memory of both rings ---- */

/* Of one direction. Each line has one writer. */
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

static size_t slot_bytes(size_t size)
{
    return (size + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN;
}

/* 256, or a pool of 1 MiB if that is less, but 16 at least. A power of two. */
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

static inline void *wait_for_room(struct ring_half *h, size_t size)
{
    if (__builtin_expect(size != h->size, 0))
        change_size(h, size);
    while (h->own - h->other > h->mask) {
        h->other = atomic_load_explicit(&h->lines->tail, memory_order_acquire);
        if (h->own - h->other > h->mask)
            cpu_pause();
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

    memcpy(wait_for_room(&e->out, size), data, size);
    put(&e->out, more, wakes);
}

static inline void ring_receive(void *end, void *data, size_t size, bool wakes)
{
    struct ring_end *e = end;

    memcpy(data, wait_for_message(&e->in, size, wakes), size);
    taken(&e->in, wakes);
}

static void *ring_loan(void *end, size_t size)
{
    return wait_for_room(&((struct ring_end *)end)->out, size);
}

static void bare_send(void *end, const void *data, size_t size, bool more)
{
    ring_send(end, data, size, more, false);
}

static void bare_receive(void *end, void *data, size_t size)
{
    ring_receive(end, data, size, false);
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

static void wake_send(void *end, const void *data, size_t size, bool more)
{
    ring_send(end, data, size, more, true);
}

static void wake_receive(void *end, void *data, size_t size)
{
    ring_receive(end, data, size, true);
}

static void wake_publish(void *end, size_t size)
{
    (void)size;
    put(&((struct ring_end *)end)->out, false, true);
}

static const void *wake_take(void *end, size_t size)
{
    return wait_for_message(&((struct ring_end *)end)->in, size, true);
}

static void wake_give_back(void *end)
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
    .loan = ring_loan,
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
    .send = wake_send,
    .receive = wake_receive,
    .loan = ring_loan,
    .publish = wake_publish,
    .take = wake_take,
    .give_back = wake_give_back,
    .close = ring_close,
};

/* ---- Waking by hand ---- */

/* From one side to the other. */
struct wake_lines {
    _Alignas(LINE) _Atomic uint32_t word; /* counts messages */
    _Alignas(LINE) uint8_t message[CONTENT_SIZE_MIN];
    int eventfd; /* made before the fork */
};

struct wake_end {
    struct wake_lines *out, *in;
    uint32_t seen; /* messages received */
};

static void *futex_prepare(const struct ipc_terms *terms)
{
    (void)terms;
    return shared_memory(2 * sizeof(struct wake_lines));
}

static void *eventfd_prepare(const struct ipc_terms *terms)
{
    struct wake_lines *lines = futex_prepare(terms);

    for (int i = 0; i < 2; i++) {
        lines[i].eventfd = eventfd(0, EFD_CLOEXEC);
        if (lines[i].eventfd < 0)
            die(-errno, "eventfd");
    }
    return lines;
}

static void *wake_open(const struct ipc_terms *terms, int side)
{
    struct wake_lines *lines = terms->prepared;
    struct wake_end *e = malloc(sizeof(*e));

    if (!e)
        die(-ENOMEM, "wake");
    *e = (struct wake_end){.out = &lines[side], .in = &lines[!side]};
    return e;
}

static void write_message(struct wake_lines *out, const void *data, size_t size)
{
    memcpy(out->message, data, size);
    atomic_fetch_add_explicit(&out->word, 1, memory_order_release);
}

static void read_message(struct wake_end *e, void *data, size_t size)
{
    e->seen++;
    memcpy(data, e->in->message, size);
}

static void eventfd_send(void *end, const void *data, size_t size, bool more)
{
    struct wake_end *e = end;

    (void)more;
    write_message(e->out, data, size);
    if (eventfd_write(e->out->eventfd, 1) < 0)
        die(-errno, "eventfd: write");
}

static void eventfd_receive(void *end, void *data, size_t size)
{
    struct wake_end *e = end;
    eventfd_t value;

    if (eventfd_read(e->in->eventfd, &value) < 0)
        die(-errno, "eventfd: read");
    if (value != 1 || atomic_load_explicit(&e->in->word, memory_order_acquire) != e->seen + 1)
        die(0, "eventfd: more than one message is under way");
    read_message(e, data, size);
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

static void futex_send(void *end, const void *data, size_t size, bool more)
{
    struct wake_end *e = end;

    (void)more;
    write_message(e->out, data, size);
    if (futex(&e->out->word, FUTEX_WAKE, 1) < 0)
        die(-errno, "futex: wake");
}

static void futex_receive(void *end, void *data, size_t size)
{
    struct wake_end *e = end;

    while (atomic_load_explicit(&e->in->word, memory_order_acquire) == e->seen) {
        if (futex(&e->in->word, FUTEX_WAIT, e->seen) < 0 && errno != EAGAIN && errno != EINTR)
            die(-errno, "futex: wait");
    }
    read_message(e, data, size);
}

static const struct ipc_carrier by_eventfd = {
    .name = "eventfd",
    .is_floor = true,
    .waitings = 1u << IPC_SLEEP,
    .size_max = CONTENT_SIZE_MIN,
    .is_lockstep = true,
    .prepare = eventfd_prepare,
    .open = wake_open,
    .send = eventfd_send,
    .receive = eventfd_receive,
    .close = ring_close,
};

static const struct ipc_carrier by_futex = {
    .name = "futex",
    .is_floor = true,
    .waitings = 1u << IPC_SLEEP,
    .size_max = CONTENT_SIZE_MIN,
    .is_lockstep = true,
    .prepare = futex_prepare,
    .open = wake_open,
    .send = futex_send,
    .receive = futex_receive,
    .close = ring_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&ring, &ring_with_flag, &by_eventfd, &by_futex, NULL};
