/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.c - how long to look for work before going to sleep.
 *
 * Room: core. Theory: <vopipc/spin.h>.
 */
#include <vopipc/spin.h>

#define STEP_NS 5000 /* first step up from 0, and the last before 0 */

void vop_spin_init(struct vop_spin *spin, int64_t max_ns)
{
    spin->max_ns = max_ns;
    spin->window_ns = max_ns;
}

void vop_spin_learn(struct vop_spin *spin, int64_t waited_ns)
{
    if (waited_ns <= spin->window_ns)
        return;
    if (waited_ns <= spin->max_ns) {
        spin->window_ns = spin->window_ns < STEP_NS ? STEP_NS : 2 * spin->window_ns;
        if (spin->window_ns > spin->max_ns)
            spin->window_ns = spin->max_ns;
    } else {
        spin->window_ns = spin->window_ns <= STEP_NS ? 0 : spin->window_ns / 2;
    }
}
