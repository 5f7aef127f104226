/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.c - how long to look for work before going to sleep.
 *
 * Room: core. Theory: <vopipc/spin.h>.
 */
#include <vopipc/spin.h>

#define WAKE_NS 10000   /* what a wake-up costs */
#define PAUSE_MAX 1024u /* short sleeps between two trials, when none has ever found anything */

void vop_spin_init(struct vop_spin *spin, int64_t max_ns)
{
    *spin = (struct vop_spin){.max_ns = max_ns, .window_ns = max_ns};
}

/* Twice what would have been enough this time. */
static int64_t window_for(const struct vop_spin *spin, int64_t waited_ns)
{
    return waited_ns < spin->max_ns / 2 ? 2 * waited_ns : spin->max_ns;
}

static void learn_found(struct vop_spin *spin)
{
    if (vop_spin_is_sure(spin))
        return;
    spin->earned_ns += WAKE_NS;
    if (vop_spin_is_sure(spin))
        spin->pause = 0;
}

static void learn_in_vain(struct vop_spin *spin, int64_t waited_ns)
{
    spin->earned_ns -= spin->window_ns;
    if (spin->earned_ns >= 0) {
        if (waited_ns <= spin->max_ns)
            spin->window_ns = window_for(spin, waited_ns);
        return;
    }
    spin->earned_ns = 0;
    spin->window_ns = 0;
    spin->pause = spin->pause == 0 ? 1 : spin->pause < PAUSE_MAX ? 2 * spin->pause : PAUSE_MAX;
    spin->rest = spin->pause;
}

static void learn_slept(struct vop_spin *spin, int64_t waited_ns)
{
    if (waited_ns > spin->max_ns) /* no look would have been long enough */
        return;
    if (spin->rest > 0)
        spin->rest--;
    else
        spin->window_ns = window_for(spin, waited_ns);
}

void vop_spin_learn(struct vop_spin *spin, int64_t waited_ns, bool slept)
{
    if (spin->max_ns == 0 || spin->max_ns == INT64_MAX) /* nothing to choose */
        return;
    if (!slept)
        learn_found(spin);
    else if (spin->window_ns > 0)
        learn_in_vain(spin, waited_ns);
    else
        learn_slept(spin, waited_ns);
}
