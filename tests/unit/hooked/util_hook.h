/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_hook.h - the library with every access to shared words turned into a call: who touched which half, and when.
 *
 * Room: tests. Two channels over the loop wire in one thread; whoever acts says so first with hook_as().
 */
#ifndef TESTS_UNIT_HOOKED_UTIL_HOOK_H
#define TESTS_UNIT_HOOKED_UTIL_HOOK_H

#include "support/test.h"

#include "channel/channel.h"
#include "channel/life.h"
#include "channel/options.h"
#include "support/loop.h"

#include <vopipc/vopipc.h>

/** What a word is, by its place in its half. */
enum hook_area {
    AREA_ANNOUNCE,
    AREA_DESC,
    AREA_AVAIL,
    AREA_USED_EVENT,
    AREA_USED,
    AREA_ELEMENT,
    AREA_AVAIL_EVENT,
    AREAS
};

struct hook_counts {
    uint64_t loads_own, loads_remote, stores_own, stores_remote, fences, kicks;
    uint64_t loads[AREAS], stores[AREAS];
};

enum hook_kind {
    HOOK_LOAD,
    HOOK_STORE,
    HOOK_FENCE,
    HOOK_PLATFORM_FENCE /* with the processor's that is part of it */
};

struct hook_access {
    enum hook_kind kind;
    enum hook_area area;
    char letter;
    int order;
    bool remote;
};

#define HOOK_TRACE_MAX 256

/** Everything the hooks know and do. */
struct hook {
    struct link_pair {
        vop_channel *side[2];
    } link;
    unsigned acting;              /* whose access it is */
    struct hook_counts counts[2]; /* of each side */
    struct hook_access trace[HOOK_TRACE_MAX];
    unsigned traced;
    /* Called at point number `at` from now, where the peer acts: before each access, and once more behind a load. */
    void (*intrude)(void);
    unsigned at;
    unsigned points; /* passed since hook_intrude() */
    bool intruded;
};
extern struct hook hook;

/** Two channels that are up; nothing counted yet. `window_flags` as for vop__loop_pair(). */
void hook_open(uint32_t queue_size, uint32_t slot_size, unsigned window_flags);

/** What else may be different about a link. */
struct hook_how {
    unsigned older;                     /* bit i: side i does not offer LAST_LEN */
    unsigned local_flags, remote_flags; /* of the windows of both sides, from before there is a channel */
};
void hook_open_how(uint32_t queue_size, uint32_t slot_size, const struct hook_how *how);
void hook_close(void);

/** From now on this side acts. Returns its channel. */
vop_channel *hook_as(unsigned side);

/** Counts start again, and so does the trace. */
void hook_reset(void);

/** Lets the peer act once, at the point number `at` (0 is before the next access) of whoever acts. */
void hook_intrude(void (*fn)(void), unsigned at);

#endif
