/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fate.h - is this link still good, and if not, why? The one place that answers, and that words the answer.
 *
 * Room: channel, its first step. vop__fate() is the question. The verbs below record what somebody has found out; what
 * was recorded stays. Any thread.
 *
 *   what happened                        found by                                         vop__fate()
 *   the peer closed                      its state word                                   -EPIPE
 *   the peer died                        the wire, a wait, its silence, a new             -ECONNRESET
 *                                        incarnation in its block
 *   this side was taken for dead         a look at the own block (pulse.h)                -ECONNRESET
 *   the peer broke the protocol          a queue, its state word                          -EPROTO
 */
#ifndef VOP_CHANNEL_FATE_H
#define VOP_CHANNEL_FATE_H

#include "channel/link.h"

enum vop__fate_flags {
    VOP__FATE_DIED = 1u << 0,   /* the peer is dead, or takes this side for dead */
    VOP__FATE_BROKE = 1u << 1,  /* the peer broke the protocol: both directions of all queue pairs end */
    VOP__FATE_OUSTED = 1u << 2, /* somebody else has this side's memory now: nothing more may be written */
};

/** The rare part of vop__fate(): something was recorded in `fate`, or the peer's state was seen not to be READY. */
int vop__fate_why(struct vop__link *l, unsigned fate, uint32_t state);

static inline unsigned vop__fate_flags(const struct vop__link *l)
{
    return __atomic_load_n(&l->fate, __ATOMIC_ACQUIRE);
}

/** 0 while the link is good, else with a text: -EPIPE, -ECONNRESET or -EPROTO, as above. */
static inline int vop__fate(struct vop__link *l)
{
    /* In this order: what another thread saw die may have closed before, and then its state says so. */
    unsigned fate = vop__fate_flags(l);
    uint32_t state = vop__session_peer_state(&l->session);

    if (__builtin_expect(state == VOP_STATE_READY && fate == 0, 1))
        return 0;
    return vop__fate_why(l, fate, state);
}

/** Did the peer break the protocol? What a dead peer had sent may still be received, but not what a liar had. */
static inline bool vop__fate_broke(const struct vop__link *l)
{
    return __builtin_expect(vop__fate_flags(l) & VOP__FATE_BROKE, 0);
}

/** May this side still write into its memory? */
static inline bool vop__fate_may_write(const struct vop__link *l)
{
    return __builtin_expect(!(vop__fate_flags(l) & VOP__FATE_OUSTED), 1);
}

/** The peer is dead. */
void vop__fate_die(struct vop__link *l);

/** The wire says that there is nobody any more: the peer died, or a wait was ended because it broke the protocol. */
void vop__fate_hear_end(struct vop__link *l);

/** Somebody else has this side. */
void vop__fate_oust(struct vop__link *l);

/** Has the peer begun anew in the same memory? Then the one that was known is dead. */
bool vop__fate_restarted(struct vop__link *l);

/**
 * A queue met what cannot be, and the error text says what: the peer broke the protocol, -EPROTO. But if that is not
 * the same peer any more, or the memory was taken away and something else is there: -ECONNRESET.
 */
int vop__fate_breach(struct vop__link *l);

#endif
