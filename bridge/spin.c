/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.c - how long to look for work before going to sleep.
 *
 * Room: bridge.
 */
#include "spin.h"

#define SPIN_FIRST_NS 10000

void spin_init(struct spin *spin, uint32_t max_us, unsigned processors)
{
    spin->max_ns = processors > 1 ? (uint64_t)max_us * 1000 : 0;
    spin->window_ns = 0;
    spin->idle_ns = 0;
}

uint64_t spin_begin(struct spin *spin, uint64_t now_ns)
{
    spin->idle_ns = now_ns;
    return now_ns + spin->window_ns;
}

void spin_woken(struct spin *spin, uint64_t now_ns)
{
    uint64_t idle_ns = now_ns - spin->idle_ns;

    if (idle_ns > spin->max_ns) {
        spin->window_ns /= 2;
        if (spin->window_ns < SPIN_FIRST_NS / 2)
            spin->window_ns = 0;
    } else if (idle_ns > spin->window_ns) {
        spin->window_ns = spin->window_ns ? spin->window_ns * 2 : SPIN_FIRST_NS;
        if (spin->window_ns > spin->max_ns)
            spin->window_ns = spin->max_ns;
    }
}
