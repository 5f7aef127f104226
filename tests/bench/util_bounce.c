/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_bounce.c - the floor under every round trip: two processes bounce two cache lines, one each way.
 *
 * Room: tests/bench.
 */
#include "util_bounce.h"

#include "util_machine.h"
#include "util_stats.h"

#define STOP UINT32_MAX
#define RUN 64u /* round trips between two looks at the clock */

static void wait_for(_Atomic uint32_t *word, uint32_t value)
{
    while (atomic_load_explicit(word, memory_order_acquire) != value)
        cpu_pause();
}

static void round_trips(struct bounce *b, uint32_t from)
{
    for (uint32_t i = 1; i <= RUN; i++) {
        atomic_store_explicit(&b->ping, from + i, memory_order_release);
        wait_for(&b->pong, from + i);
    }
}

double bounce_measure(struct bounce *b, uint64_t duration_ns)
{
    struct samples runs = {0};
    uint32_t count = 0;

    round_trips(b, count); /* not counted: the other process may still be on its way */
    for (uint64_t begin = clock_ns(), before = begin, now; before - begin < duration_ns; before = now) {
        round_trips(b, count += RUN);
        now = clock_ns();
        samples_add(&runs, (double)(now - before) / RUN);
    }
    atomic_store_explicit(&b->ping, STOP, memory_order_release);
    wait_for(&b->pong, STOP);
    double ns = samples_percentile(&runs, 0.5);
    samples_free(&runs);
    return ns;
}

void bounce_answer(struct bounce *b)
{
    uint32_t last = STOP, ping;

    do {
        while ((ping = atomic_load_explicit(&b->ping, memory_order_acquire)) == last)
            cpu_pause();
        atomic_store_explicit(&b->pong, ping, memory_order_release);
        last = ping;
    } while (ping != STOP);
}
