/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pulse.h - is the peer alive, and does it know that this side is?
 *
 * Room: channel, its first step. Most wires hear a death by themselves; a side that never sleeps asks them now and
 * then. On a watched wire (wire.h) each side keeps a heartbeat, and looks at the other's (PROTOCOL.md, The ivshmem
 * wire).
 *
 * There is no thread for that. The heart beats in calls of the application, in its waits, which wake up for it, and in
 * vop_channel_process(), for which the channel's descriptor has a timer. Each direction looks at the peer's heartbeat
 * for itself, so that two threads share nothing here but this side's count.
 */
#ifndef VOP_CHANNEL_PULSE_H
#define VOP_CHANNEL_PULSE_H

#include "channel/fate.h"

/** One direction's share of checking that the peer is alive, while that direction does not sleep. */
struct vop__pulse {
    int64_t next_ns;
    uint32_t heartbeat; /* of the peer, as last seen. Watched wires only, like the fields below */
    int64_t looked_ns;
    int64_t silent_ns; /* how long it has stood still while this direction looked */
};

/** The link is about to be announced: beats are timed from now on. */
void vop__heart_start(struct vop__link *l);

/** A heartbeat, if it is time for one. May this side still write into its memory? Watched wires only. */
bool vop__heart_beat(struct vop__link *l);

/** Has somebody else taken this side? Loads across the wire. Watched wires only. */
bool vop__heart_is_lost(struct vop__link *l);

/**
 * Shows that this side is alive. For every call that a thread may repeat for long without waiting. False: this side has
 * been ousted, and must not write any more; on a wire that is not watched it never is.
 */
static inline bool vop__beat(struct vop__link *l)
{
    return __builtin_expect(!l->watched, 1) || vop__heart_beat(l);
}

/** The link is up: watch the peer's heartbeat from now on. */
void vop__pulse_start(struct vop__link *l, struct vop__pulse *pulse);

/** Now and then asks the wire whether the peer is alive; called on every attempt that found nothing. */
void vop__pulse_look(struct vop__link *l, struct vop__pulse *pulse);

/**
 * How long to sleep at most before looking at the rings without a kick; `last_ns` is the previous answer, 0 at first.
 * VOP__NEVER where every kick and every death is heard.
 */
int64_t vop__nap(const struct vop__wire *wire, int64_t last_ns);

#endif
