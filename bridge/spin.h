/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.h - how long to look for work before going to sleep.
 *
 * Room: bridge. Pure functions of the times they are given.
 *
 * A wake-up costs some 10 us on each side; looking for work costs a processor that somebody else may need. As KVM does
 * with its halt polling, the window follows what the sleeps turn out to be: if work came so soon that a longer look
 * would have found it, the window grows; if it took longer than we may ever look, looking was a waste, and the window
 * shrinks.
 */
#ifndef VOP_BRIDGE_SPIN_H
#define VOP_BRIDGE_SPIN_H

#include <stdint.h>

struct spin {
    uint64_t max_ns;    /* never look longer */
    uint64_t window_ns; /* look so long now */
    uint64_t idle_ns;   /* time at which the work had run out */
};

/** Starts with `max_us`, or with no spinning at all where only one processor may be used. */
void spin_init(struct spin *spin, uint32_t max_us, unsigned processors);

/** The work has run out: returns the time until which to look for more. */
uint64_t spin_begin(struct spin *spin, uint64_t now_ns);

/** Work came after a sleep: learns from it. */
void spin_woken(struct spin *spin, uint64_t now_ns);

#endif
