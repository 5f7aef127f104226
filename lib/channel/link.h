/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - what joins this program to its peer: a wire, the session over it, and what is known of the peer's life.
 *
 * Room: channel, its first step. A link is shared by both directions of all its queue pairs, so by several threads:
 * what changes once it is up is atomic.
 */
#ifndef VOP_CHANNEL_LINK_H
#define VOP_CHANNEL_LINK_H

#include "native/session.h"
#include "native/slot.h"
#include "wire/wire.h"

/** This side's heartbeat; every thread beats. Watched wires only (pulse.h). */
struct vop__heart {
    uint32_t beats;   /* atomic */
    uint32_t last_ms; /* atomic; wraps: time since then is a difference */
};

struct vop__link {
    struct vop__wire *wire;
    struct vop__session session;
    unsigned fate;   /* atomic: enum vop__fate_flags (fate.h) */
    bool up;         /* both sides were READY: messages may travel */
    int interrupted; /* atomic: the application ends all waits; no news of the peer */
    struct vop__heart heart;
};

/** -ECANCELED, with a text. */
int vop__link_interrupted(void);

/** Has the application ended all waits? */
static inline bool vop__link_is_interrupted(const struct vop__link *l)
{
    return __builtin_expect(__atomic_load_n(&l->interrupted, __ATOMIC_RELAXED), 0);
}

/** Where queue pair `queue` has its receive queue: if `remote` the peer's, which this side fills, else this side's. */
struct vop__slot_place vop__link_place(struct vop__link *l, unsigned queue, bool remote);

/* ---- Who holds something back? ---- */

/** Its address identifies a thread. One object for all files, since a static one would differ by file as well. */
extern _Thread_local char vop__thread_mark;

/** Identifies this thread: for `holder` in tx.h and rx.h. */
static inline const void *vop__thread(void)
{
    return &vop__thread_mark;
}

#endif
