/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * life.c - a channel from its wire to its end: handshake, queues, close.
 *
 * Room: channel.
 */
#include "channel/life.h"

#include "channel/options.h"
#include "channel/pairs.h"
#include "core/error.h"
#include "core/log.h"

#include <string.h>

/* ---- Making ---- */

static int announce(struct vop__link *l, const struct vop_options *options)
{
    struct vop__hello mine = {
        .device_id = options->device_id,
        .geometry = vop__options_geometry(options, l->wire->queue_pairs),
        .config_size = options->config_size,
        .incarnation = (uint64_t)l->wire->system << VOP__INCARNATION_SYSTEM,
        .doorbell = l->wire->doorbell,
    };

    memcpy(mine.features, options->features, sizeof(mine.features));
    mine.features[0] |= l->wire->features;
    memcpy(mine.config, options->config, sizeof(mine.config));
    vop__heart_start(l);
    return vop__session_open(&l->session, &l->wire->local, &l->wire->remote, &mine);
}

int vop__channel_new(struct vop__wire *wire, const struct vop_options *options, struct vop_channel **ret_channel)
{
    struct vop_channel *c = vop__pairs_new(wire, options);
    int ret;

    if (!c)
        return vop__error(ENOMEM, "no memory for a channel");
    ret = announce(c->link, options);
    if (ret < 0) {
        vop__pairs_free(c);
        return ret;
    }
    *ret_channel = c;
    return 0;
}

void vop__channel_count(struct vop_channel *c, struct vop__share *share)
{
    vop__share_take(share);
    c->share = share;
}

/* ---- The handshake ---- */

/*
 * The geometry in force is the smaller of two offers, so it may be less than this program can live with. The peer may
 * read the text in a REFUSE, which holds 103 characters.
 */
static int check_demands(const struct vop_channel *c)
{
    const struct vop__session *s = &c->link->session;
    const struct vop__slots *mine = vop__session_sends(s), *its = &s->peer.geometry.receive;
    bool sends_whole = vop__pairs_are_mirrored(c, true), receives_whole = vop__pairs_are_mirrored(c, false);

    if (c->tx.message_max < c->message_min)
        return vop__error(
            EMSGSIZE, "message_min %u, %zu is the longest: this side has %u slots of %u, the other %u of %u",
            c->message_min, c->tx.message_max, mine->queue_size, mine->slot_size, its->queue_size, its->slot_size);
    if (sends_whole) {
        mine = &s->mine.geometry.receive;
        its = vop__session_peer_sends(s);
    }
    if (c->contiguous && !(sends_whole && receives_whole))
        return vop__error(EMSGSIZE, "contiguous, no such memory: this side has %u slots of %u, the other %u of %u",
                          mine->queue_size, mine->slot_size, its->queue_size, its->slot_size);
    return 0;
}

/* The peer is known: resets all that this side writes for the session. */
static int reset_queues(struct vop_channel *c)
{
    int ret;

    if (c->wire->ops->unmirror)
        c->wire->ops->unmirror(c->wire);
    ret = vop__pairs_reset(c);
    return ret < 0 ? ret : check_demands(c);
}

static int start(struct vop_channel *c)
{
    struct vop__link *l = c->link;
    const struct vop__geometry *g = &l->session.geometry;
    int ret = vop__pairs_start(c);

    if (ret < 0)
        return ret;
    l->wire->peer_doorbell = l->session.peer.doorbell;
    l->futex = vop__session_has(&l->session, VOP_F_FUTEX) && vop__session_has(&l->session, VOP_F_SOCKET_BELL);
    l->up = true;
    vop__log(VOP_LOG_INFO, "link up: %s, side %u, pid %d, %u slots of %u bytes, to send %u of %u, queue pairs: %u",
             l->wire->ops->name, l->wire->side, (int)l->wire->peer_pid, g->receive.queue_size, g->receive.slot_size,
             g->send.queue_size, g->send.slot_size, g->queue_pairs);
    return 1;
}

int vop__channel_step(struct vop_channel *c)
{
    struct vop__link *l = c->link;

    if (!vop__fate_is_here(l))
        return vop__fate(l);
    if (l->up) /* a peer can be READY before it says so on the socket */
        return 1;
    /* Two looks, READY and then UP: a peer that changes its incarnation all the time must not keep this loop going. */
    for (unsigned looks = 0; looks < 2; looks++) {
        int ret = vop__session_step(&l->session);

        if (ret == VOP__SESSION_UP)
            return start(c);
        if (ret != VOP__SESSION_READY)
            return ret;
        ret = reset_queues(c);
        if (ret < 0)
            return ret;
        vop__session_ready(&l->session);
    }
    return 0;
}

bool vop__channel_has_answered(const struct vop_channel *c)
{
    return c->link->session.mine.state == VOP_STATE_READY;
}

unsigned vop__channel_offered_pairs(const struct vop_channel *c)
{
    return c->link->session.peer.geometry.queue_pairs;
}

unsigned vop__channel_pairs(const struct vop_channel *c)
{
    return c->link->session.geometry.queue_pairs;
}

size_t vop__channel_half_size(const struct vop_channel *c, bool remote)
{
    return (size_t)vop__geometry_half_size(&c->link->session.geometry, remote);
}

size_t vop__channel_first_slot(const struct vop_channel *c)
{
    return vop__geometry_areas(&c->link->session.geometry, true, 0).pool;
}

void vop__channel_lost_slots(struct vop_channel *c)
{
    vop__pairs_lose_slots(c);
}

bool vop__channel_has(const struct vop_channel *c, unsigned feature)
{
    return vop__session_has(&c->link->session, feature);
}

bool vop__channel_was_known(const struct vop_channel *c)
{
    return vop__pairs_are_broken(c); /* checked only once the peer was READY for this side */
}

bool vop__channel_keeps_side(struct vop_channel *c)
{
    if (vop__heart_is_lost(c->link))
        return false;
    vop__beat(c->link);
    return vop__fate_may_write(c->link);
}

/* ---- The end ---- */

static void say_goodbye(struct vop_channel *c)
{
    struct vop__link *l = c->link;

    if (l->up && !(vop__fate_flags(l) & VOP__FATE_DIED)) {
        vop__pairs_publish(c);
        vop__session_close(&l->session);
        vop__pairs_kick(c);
    } else if (l->wire->watched && vop__fate_may_write(l)) {
        vop__session_leave(&l->session); /* the memory stays, and a peer that is only late will look at it */
    }
}

/* After an orderly end of this side the peer does; one that has ended itself, or lied, does not. */
static bool reads_on(struct vop__link *l)
{
    return l->up && vop__fate(l) == 0 && l->wire->ops->alive(l->wire) == 0;
}

void vop_channel_close(vop_channel *c)
{
    struct vop__link *l;

    if (!c)
        return;
    c = c->first;
    l = c->link;
    if (vop__fate_is_here(l)) {
        vop__pairs_end_sleep(c);
        say_goodbye(c);
        if (c->wire->ops->keep && reads_on(l))
            vop__pairs_keep(c);
        if (l->up)
            vop__log(VOP_LOG_INFO, "link closed: %s, side %u, pid %d", l->wire->ops->name, l->wire->side,
                     (int)l->wire->peer_pid);
    } else {
        c->wire->ops->forget(c->wire);
    }
    c->wire->ops->close(c->wire);
    if (c->share)
        vop__share_drop(c->share);
    vop__pairs_free(c);
}
