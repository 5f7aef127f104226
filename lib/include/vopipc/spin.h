/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.h - how long to look for work before going to sleep: learned from how long the last waits took.
 *
 * Room: the public headers. A channel does this by itself; here it is for programs with a loop of their own.
 *
 * A wake-up costs 10 to 20 us; looking for work costs a processor that somebody else may need. So the window follows
 * the waits, as KVM's halt polling does: it doubles when the wait that just ended would have fitted into a longer look,
 * and halves when the wait was longer than the longest look. A program that is idle stops looking; one that is busy
 * never sleeps.
 *
 *     struct vop_spin spin;
 *     vop_spin_init(&spin, 50000);
 *     for (;;) {
 *         look for spin.window_ns; if there was no work, sleep until there is;
 *         vop_spin_learn(&spin, time since the work had run out);
 *         work;
 *     }
 *
 * Pure functions of what they are given. One thread per struct.
 */
#ifndef VOPIPC_SPIN_H
#define VOPIPC_SPIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What was learned. A program reads `window_ns`, and may set another first guess after vop_spin_init(). */
struct vop_spin {
    int64_t max_ns;    /* never look longer, in nanoseconds. 0: do not look; INT64_MAX: for ever */
    int64_t window_ns; /* look so long now, in nanoseconds */
};

/** Starts with a window of `max_ns` nanoseconds, and never exceeds it. */
void vop_spin_init(struct vop_spin *spin, int64_t max_ns);

/** Learns from a wait of `waited_ns` nanoseconds, looking and sleeping together; INT64_MAX if nothing came of it. */
void vop_spin_learn(struct vop_spin *spin, int64_t waited_ns);

#ifdef __cplusplus
}
#endif

#endif
