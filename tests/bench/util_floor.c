/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_floor.c - the floor under every queue: a plain ring of pointers with a single producer and a single consumer.
 *
 * Room: tests/bench.
 */
#include "util_floor.h"

#include "util_machine.h"
#include "util_stats.h"

#define RUN 4096u        /* pointers between two looks at the clock */
#define LAST UINTPTR_MAX /* the pointer that ends a measurement; the others count from 1 */

/* One side of a ring: its own index, how much of it is published, and the other side's index as last seen. */
struct side {
    struct floor_ring *ring;
    uint32_t own, published, other;
};

static inline void publish(struct side *s, _Atomic uint32_t *index)
{
    atomic_store_explicit(index, s->own, memory_order_release);
    s->published = s->own;
}

static inline bool try_put(struct side *s, void *pointer, unsigned batch)
{
    if (s->own - s->other == FLOOR_SLOTS) {
        s->other = atomic_load_explicit(&s->ring->tail, memory_order_acquire);
        if (s->own - s->other == FLOOR_SLOTS)
            return false;
    }
    s->ring->slot[s->own++ % FLOOR_SLOTS] = pointer;
    if (s->own - s->published >= batch)
        publish(s, &s->ring->head);
    return true;
}

static inline bool try_take(struct side *s, void **ret_pointer, unsigned batch)
{
    if (s->own == s->other) {
        s->other = atomic_load_explicit(&s->ring->head, memory_order_acquire);
        if (s->own == s->other)
            return false;
    }
    *ret_pointer = s->ring->slot[s->own++ % FLOOR_SLOTS];
    if (s->own - s->published >= batch)
        publish(s, &s->ring->tail);
    return true;
}

static inline void put(struct side *s, void *pointer, unsigned batch)
{
    while (!try_put(s, pointer, batch))
        cpu_pause();
}

static inline void *take(struct side *s, unsigned batch)
{
    void *pointer;

    while (!try_take(s, &pointer, batch))
        cpu_pause();
    return pointer;
}

static void expect(struct side *s, uintptr_t *expected, void *pointer)
{
    if ((uintptr_t)pointer != *expected + 1)
        die(0, "the ring of pointers at %p lost one", (void *)s->ring);
    ++*expected;
}

/* Takes what has come back, up to a batch. */
static void collect(struct side *back, uintptr_t *returned, unsigned batch)
{
    void *pointer;

    for (unsigned i = 0; i < batch && try_take(back, &pointer, batch); i++)
        expect(back, returned, pointer);
}

/* Sends a run of pointers. */
static void send_run(struct side *there, struct side *from, bool back, unsigned batch, uintptr_t *sent,
                     uintptr_t *returned)
{
    for (unsigned i = 1; i <= RUN; i++) {
        while (!try_put(there, (void *)(*sent + 1), batch)) {
            if (back)
                collect(from, returned, batch);
            else
                cpu_pause();
        }
        ++*sent;
        if (back && i % batch == 0)
            collect(from, returned, batch);
    }
}

double floor_measure(struct floor_rings *f, bool back, unsigned batch, uint64_t duration_ns)
{
    struct side there = {.ring = &f->there}, from = {.ring = &f->back};
    uintptr_t sent = 0, returned = 0;
    struct samples runs = {0};

    send_run(&there, &from, back, batch, &sent, &returned); /* the other process may still be on its way: not counted */
    for (uint64_t begin = clock_ns(), before = begin, now; before - begin < duration_ns; before = now) {
        send_run(&there, &from, back, batch, &sent, &returned);
        now = clock_ns();
        samples_add(&runs, (double)(now - before) / RUN);
    }
    while (back && returned < sent)
        collect(&from, &returned, batch);
    put(&there, (void *)LAST, 1);
    double ns = samples_percentile(&runs, 0.5);
    samples_free(&runs);
    return ns;
}

void floor_answer(struct floor_rings *f, bool back, unsigned batch)
{
    struct side there = {.ring = &f->there}, from = {.ring = &f->back};
    uintptr_t taken = 0;

    for (;;) {
        void *pointer = take(&there, batch);

        if ((uintptr_t)pointer == LAST)
            return;
        expect(&there, &taken, pointer);
        if (back)
            put(&from, pointer, batch);
    }
}
