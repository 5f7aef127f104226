/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.h - how long to look for work before going to sleep: learned from what looking brought lately.
 *
 * Room: the public headers. A channel does this by itself; here it is for programs with a loop of their own.
 *
 * A wake-up costs some 10 us, looking for work costs a processor that somebody else may need: perhaps the one whose
 * work is waited for, and then it only comes once this thread sleeps. So looking has to earn its time. Work that was
 * found while looking is worth a wake-up saved; a look in vain costs as long as it took; when the costs prevail, there
 * is no looking any more. From then on a sleep that was short enough for a look to have caught its end is followed,
 * after some more of them, by one trial: if the look finds work, there is looking again; if not, the next trial comes
 * after twice as many. Who is idle does not look, who is busy does not sleep, and who shares a processor with its peer
 * tries seldom.
 *
 *     struct vop_spin spin;
 *     vop_spin_init(&spin, 50000);
 *     for (;;) {
 *         look for spin.window_ns at most; if there was no work, sleep until there is;
 *         vop_spin_learn(&spin, time since the work had run out, whether it slept);
 *         work;
 *     }
 *
 * Pure functions of what they are given. One thread per struct.
 */
#ifndef VOPIPC_SPIN_H
#define VOPIPC_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What was learned. A program reads `window_ns`, and may set it to another first guess after vop_spin_init(). */
struct vop_spin {
    int64_t max_ns;    /* never look longer, in nanoseconds. 0: do not look; INT64_MAX: for ever */
    int64_t window_ns; /* look so long now, in nanoseconds */
    int64_t earned_ns; /* by looking, less what it cost */
    uint32_t rest;     /* short sleeps until the next trial */
    uint32_t pause;    /* short sleeps between the last two trials in vain */
};

/** Starts with a window of `max_ns` nanoseconds, and never goes beyond. */
void vop_spin_init(struct vop_spin *spin, int64_t max_ns);

/**
 * Learns from a wait that has ended.
 *
 * waited_ns   its length, looking and sleeping together; INT64_MAX: nothing came
 * slept       looking found nothing (or there was none), and so it slept
 */
void vop_spin_learn(struct vop_spin *spin, int64_t waited_ns, bool slept);

/**
 * For who finds work so often that even this call counts: does finding it without sleep teach anything? If not, there
 * is no need to tell vop_spin_learn().
 */
static inline bool vop_spin_is_sure(const struct vop_spin *spin)
{
    return spin->earned_ns >= 200000;
}

#ifdef __cplusplus
}
#endif

#endif
