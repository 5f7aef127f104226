/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fate.h - is this link still good, and if not, why? The one place that answers, and that words the answer.
 *
 * Room: channel, its first step. vop__fate() asks. The verbs below record what somebody has found out, for good. Any
 * thread.
 *
 *   what happened                        found by                                         vop__fate()
 *   the peer closed                      its state word                                   -EPIPE
 *   the peer died                        the wire, a wait, its silence, a new             -ECONNRESET
 *                                        incarnation in its block
 *   this side was taken for dead         a look at its own block (pulse.h)                -ECONNRESET
 *   the peer broke the protocol          a queue, its state word, the wire                -EPROTO
 *   this process is a child of fork()    the flag that only its parent has                -EINVAL
 */
#ifndef VOP_CHANNEL_FATE_H
#define VOP_CHANNEL_FATE_H

#include "channel/link.h"

/** The rare part of vop__fate(): something was recorded in `fate`, or the peer's state was seen not to be READY. */
int vop__fate_why(struct vop__link *l, unsigned fate);

static inline unsigned vop__fate_flags(const struct vop__link *l)
{
    return __atomic_load_n(&l->fate, __ATOMIC_ACQUIRE);
}

/** Is the link good? Records nothing and leaves the error text alone, so that whoever asks next is told the reason. */
static inline bool vop__fate_is_good(const struct vop__link *l)
{
    return __builtin_expect(vop__fate_flags(l) == VOP__FATE_HERE, 1) &&
           __builtin_expect(vop__session_peer_state(&l->session) == VOP_STATE_READY, 1);
}

/** 0 while the link is good, else with a text: -EPIPE, -ECONNRESET, -EPROTO or -EINVAL, as above. */
static inline int vop__fate(struct vop__link *l)
{
    /* In this order: a peer that another thread saw die may have closed first, and then its state says so. */
    return vop__fate_is_good(l) ? 0 : vop__fate_why(l, vop__fate_flags(l));
}

/** Is this the process that opened the link? In a child of fork() the memory is not mapped, and nothing may be touched.
 */
static inline bool vop__fate_is_here(const struct vop__link *l)
{
    return __builtin_expect(vop__fate_flags(l) & VOP__FATE_HERE, 1);
}

/** Is receiving over, too? What a dead peer had sent may still be received, but not what a liar had. */
static inline bool vop__fate_bars_receiving(const struct vop__link *l)
{
    return __builtin_expect((vop__fate_flags(l) & (VOP__FATE_HERE | VOP__FATE_BROKE)) != VOP__FATE_HERE, 0);
}

/** May this side still write into its memory? */
static inline bool vop__fate_may_write(const struct vop__link *l)
{
    return __builtin_expect(!(vop__fate_flags(l) & VOP__FATE_OUSTED), 1);
}

/** The peer is dead. */
void vop__fate_die(struct vop__link *l);

/**
 * The wire reports the end, by an error of one of its operations: the peer died or broke the protocol; or this side
 * ended its own waits, because the peer had broken the protocol or because the application wants it.
 */
void vop__fate_hear_end(struct vop__link *l, int err);

/** Kicks. That may show that the peer breaks the protocol. */
void vop__fate_kick(struct vop__link *l, unsigned queue, enum vop__bell bell);

/** In the way that a queue asks for. Where FUTEX is not in force it is the doorbell; else `index` is what moved. */
void vop__fate_wake(struct vop__link *l, unsigned queue, enum vop__bell bell, enum vop__kick how, const void *index);

/** This side has been ousted. */
void vop__fate_oust(struct vop__link *l);

/** Has the peer restarted in the same memory? Then the one that this side knew is dead. */
bool vop__fate_restarted(struct vop__link *l);

/**
 * A queue met an impossible value (the error text says which), so the peer broke the protocol: -EPROTO. But if the half
 * belongs to another peer by now, or the memory was taken away and something else is there: -ECONNRESET.
 */
int vop__fate_breach(struct vop__link *l);

#endif
