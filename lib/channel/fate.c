/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fate.c - is this link still good, and if not, why?
 *
 * Room: channel. Theory: fate.h.
 */
#include "channel/fate.h"

#include "core/error.h"
#include "core/log.h"
#include "sys/futex.h"

static void record(struct vop__link *l, unsigned flags)
{
    __atomic_fetch_or(&l->fate, flags, __ATOMIC_RELEASE);
}

void vop__fate_die(struct vop__link *l)
{
    record(l, VOP__FATE_DIED);
}

void vop__fate_oust(struct vop__link *l)
{
    record(l, VOP__FATE_OUSTED | VOP__FATE_DIED);
}

/* Whoever sleeps in the other direction or on another pair, and whoever watches a descriptor. */
static void wake_all(struct vop__link *l)
{
    if (l->wire->ops->interrupt)
        l->wire->ops->interrupt(l->wire);
}

/* The peer is gone. It may have been one pair, or one direction, that found it. */
static void end_link(struct vop__link *l)
{
    if (vop__fate_flags(l) & VOP__FATE_DIED)
        return;
    vop__fate_die(l);
    wake_all(l);
}

bool vop__fate_restarted(struct vop__link *l)
{
    if (!vop__session_peer_restarted(&l->session))
        return false;
    end_link(l);
    return true;
}

static void break_link(struct vop__link *l)
{
    record(l, VOP__FATE_BROKE);
    wake_all(l);
}

static int say_died(const struct vop__link *l)
{
    return vop__error_static(ECONNRESET, l->watched ? "the peer is gone without closing the link, or this program was "
                                                      "silent for a second and is taken for dead"
                                                    : "the peer is gone without closing the link");
}

int vop__fate_breach(struct vop__link *l)
{
    if (vop__fate_restarted(l))
        return say_died(l);
    break_link(l);
    return -EPROTO;
}

void vop__fate_hear_end(struct vop__link *l, int err)
{
    if (vop__fate_flags(l) & VOP__FATE_BROKE)
        return;
    if (err == -EPROTO) {
        vop__log(VOP_LOG_ERROR, "%s", vop_error_text()); /* the call that found it may return something else */
        break_link(l);
    } else if (!vop__link_is_interrupted(l)) {
        end_link(l);
    }
}

void vop__fate_kick(struct vop__link *l, unsigned queue, enum vop__bell bell)
{
    int ret = l->wire->ops->kick(l->wire, queue, bell);

    if (ret < 0)
        vop__fate_hear_end(l, ret);
}

void vop__fate_wake(struct vop__link *l, unsigned queue, enum vop__bell bell, enum vop__kick how, const void *index)
{
    if (!l->futex)
        how = VOP__KICK_BELL;
    if (how & VOP__KICK_FUTEX)
        vop__futex_wake_shared(index);
    if (how & VOP__KICK_BELL)
        vop__fate_kick(l, queue, bell);
}

int vop__fate_why(struct vop__link *l, unsigned fate)
{
    uint32_t state;

    if (!(fate & VOP__FATE_HERE))
        return vop__error_static(EINVAL,
                                 "the channel is that of another process, which forked this one: close it here");
    if (fate & VOP__FATE_BROKE)
        return vop__error_static(EPROTO, "the peer broke the protocol");
    state = vop__session_peer_state(&l->session);
    if (state == VOP_STATE_CLOSING)
        return vop__error_static(EPIPE, "the peer has closed the link");
    if (fate & VOP__FATE_DIED || vop__fate_restarted(l))
        return say_died(l);
    if (state == VOP_STATE_READY)
        return 0;
    break_link(l);
    return vop__error(EPROTO, "peer broke the protocol: its state became %u", state);
}
