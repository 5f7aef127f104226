/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * storm.c - bounds what a peer that rings without end, or a line that stays asserted, can make this side do.
 *
 * Room: wire. Threads that take interrupts side by side may each count one too few or too many.
 */
#include "wire/storm.h"

static bool is_new_time(struct vop__storm *s)
{
    uint32_t now = vop__storm_now();

    if (now - __atomic_load_n(&s->begin, __ATOMIC_RELAXED) < VOP__STORM_MS)
        return false;
    __atomic_store_n(&s->begin, now, __ATOMIC_RELAXED);
    __atomic_store_n(&s->count, 0, __ATOMIC_RELAXED);
    return true;
}

bool vop__storm_take(struct vop__storm *s)
{
    if (__atomic_add_fetch(&s->count, 1, __ATOMIC_RELAXED) <= s->most || is_new_time(s)) {
        __atomic_store_n(&s->is_listening, true, __ATOMIC_RELAXED);
        return true;
    }
    __atomic_add_fetch(&s->storms, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&s->is_listening, false, __ATOMIC_RELEASE);
    return false;
}

void vop__storm_pause(struct vop__storm *s)
{
    (void)is_new_time(s);
    __atomic_store_n(&s->is_listening, false, __ATOMIC_RELEASE);
}

bool vop__storm_is_over(struct vop__storm *s)
{
    if (__atomic_load_n(&s->is_listening, __ATOMIC_ACQUIRE) || !is_new_time(s))
        return false;
    return !__atomic_exchange_n(&s->is_listening, true, __ATOMIC_ACQ_REL);
}
