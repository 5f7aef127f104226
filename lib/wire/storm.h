/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * storm.h - bounds what a peer that rings without end, or a line that stays asserted, can make this side do.
 *
 * Room: wire. For an interrupt that is masked when it comes, and let through again by whoever took it. In each tenth of
 * a second so many are taken; the next one stays masked until the tenth is over. Looks that need no interrupt go on.
 */
#ifndef VOP_WIRE_STORM_H
#define VOP_WIRE_STORM_H

#include "core/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define VOP__STORM_MS 100u

struct vop__storm {
    unsigned most;     /* interrupts in a tenth of a second */
    unsigned count;    /* of this one. Atomic, as are all that follow */
    uint32_t begin;    /* of this one, in milliseconds: not every machine has atomic words of 64 bits */
    unsigned storms;   /* so many there were */
    bool is_listening; /* false: one is masked */
};

/** One was taken. True: let the next one through; false: do not. Any thread. */
bool vop__storm_take(struct vop__storm *s);

/** Milliseconds, as `begin` has them. */
static inline uint32_t vop__storm_now(void)
{
    return (uint32_t)(vop__clock_coarse_ns() / VOP__NS_PER_MS);
}

/** One was taken, and its device is not there: it stays masked for as long. Any thread. */
void vop__storm_pause(struct vop__storm *s);

/** What was taken was of use: those before it do not count. */
static inline void vop__storm_calm(struct vop__storm *s)
{
    if (__atomic_load_n(&s->count, __ATOMIC_RELAXED) != 0)
        __atomic_store_n(&s->count, 0, __ATOMIC_RELAXED);
}

/** Now and then. True, once: the time is over, let the next one through. Any thread. */
bool vop__storm_is_over(struct vop__storm *s);

#endif
