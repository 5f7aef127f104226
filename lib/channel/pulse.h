/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pulse.h - does the peer live, and does it know that this side does?
 *
 * Room: channel, its first step. Most wires hear a death by themselves; they are asked now and then by a side that
 * never sleeps. On a watched wire (wire.h) each side keeps a heartbeat, and looks at the other's (PROTOCOL.md, The
 * ivshmem wire).
 *
 * There is no thread for that. The heart beats in calls of the application, in its waits, which wake up for it, and in
 * vop_channel_process(), for which the channel's descriptor has a timer. Each direction looks at the peer's heartbeat
 * for itself, so that two threads share nothing here but the own count.
 */
#ifndef VOP_CHANNEL_PULSE_H
#define VOP_CHANNEL_PULSE_H

#include "channel/fate.h"

/** One direction's share of looking whether the peer still lives, while nothing makes it sleep. */
struct vop__pulse {
    uint32_t polls;
    int64_t next_ns;
    uint32_t heartbeat; /* of the peer, as last seen. Watched wires only, as what follows */
    int64_t looked_ns;
    int64_t silent_ns; /* how long it has been the same while somebody looked */
};

/** The link is about to be announced: the time of the first beat. */
void vop__heart_start(struct vop__link *l);

/** A heartbeat, if it is time for one and this side is still ours. Watched wires only. */
void vop__heart_beat(struct vop__link *l);

/** Has somebody else taken this side? Loads across the wire. Watched wires only. */
bool vop__heart_is_lost(struct vop__link *l);

/** Shows that this side lives: wherever a thread comes by that may do nothing else for long. */
static inline void vop__beat(struct vop__link *l)
{
    if (__builtin_expect(l->wire->watched, 0))
        vop__heart_beat(l);
}

/** The link is up: the peer's heart is listened to from now on. */
void vop__pulse_start(struct vop__link *l, struct vop__pulse *pulse);

/** Now and then asks the wire whether the peer lives; called on every attempt that found nothing. */
void vop__pulse_look(struct vop__link *l, struct vop__pulse *pulse);

/**
 * How long to sleep at most before looking at the rings without having been kicked; `last_ns` is the answer before, 0
 * at first. VOP__NEVER where every kick and every death is heard.
 */
int64_t vop__nap(const struct vop__wire *wire, int64_t last_ns);

#endif
