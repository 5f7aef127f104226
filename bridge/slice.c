/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slice.c - how long the kernel lets a thread run at a time, and so how soon it runs when it wakes up.
 *
 * Room: bridge.
 */
#include "slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORT_NS 100000 /* the shortest that there is */
#define KEEP_POLICY 8   /* SCHED_FLAG_KEEP_POLICY */

/* sched_setattr(2). The kernel's header and that of the C library cannot be included together. */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of SCHED_OTHER: the slice; 0: the system's */
    uint64_t deadline, period;
};

void slice_set(bool is_short)
{
    static _Thread_local struct attributes known; /* as they were when one could ask: in a sandbox only at first */
    struct attributes attributes = {.size = sizeof(attributes)};

    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) == 0)
        known = attributes;
    if (known.size == 0 || known.policy != SCHED_OTHER)
        return;
    attributes = known;
    attributes.flags |= KEEP_POLICY; /* somebody may have changed it meanwhile */
    attributes.runtime = is_short ? SHORT_NS : 0;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}
