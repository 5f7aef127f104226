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

enum vop__fate_flags {
    VOP__FATE_DIED = 1u << 0,   /* the peer is dead, or takes this side for dead */
    VOP__FATE_BROKE = 1u << 1,  /* the peer broke the protocol: both directions of all queue pairs end */
    VOP__FATE_OUSTED = 1u << 2, /* somebody else has this side's memory now: nothing more may be written */
    VOP__FATE_HERE = 1u << 3,   /* this is the process that opened the link; a child of fork() finds 0 (link.h) */
};

struct vop__link {
    unsigned fate;   /* atomic: enum vop__fate_flags (fate.h) */
    bool watched;    /* the wire is */
    bool futex;      /* FUTEX is in force: who waits in a call sleeps on the index itself */
    bool up;         /* both sides were READY: messages may travel */
    int interrupted; /* atomic: the application ends all waits; no news of the peer */
    struct vop__wire *wire;
    struct vop__session session;
    struct vop__heart heart;
};

/** -ECANCELED, with a text. */
int vop__link_interrupted(void);

/** Has the application ended all waits? */
static inline bool vop__link_is_interrupted(const struct vop__link *l)
{
    return __builtin_expect(__atomic_load_n(&l->interrupted, __ATOMIC_RELAXED), 0);
}

/** A link on a wire, in memory that a child of fork() finds all zero: there it is nobody's. NULL without memory. */
struct vop__link *vop__link_new(struct vop__wire *wire);
void vop__link_free(struct vop__link *l);

/** Where queue pair `queue` has its receive queue: if `remote` the peer's, which this side fills, else this side's. */
struct vop__slot_place vop__link_place(struct vop__link *l, unsigned queue, bool remote);

/* ---- Who holds something back? ---- */

/** Its address identifies a thread. One object for all files, since a static one would differ by file as well. */
extern _Thread_local char vop__thread_mark;

/** Identifies this thread: for `holder` in tx.h and rx.h. Asked for each message, so without a call where that can be.
 */
static inline const void *vop__thread(void)
{
#if defined(__GNUC__) && !defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
    return __builtin_thread_pointer();
#else
    return &vop__thread_mark;
#endif
}

#endif
