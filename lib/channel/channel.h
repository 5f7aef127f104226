/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - the channel itself: one queue pair of a link as the application holds it.
 *
 * Room: channel, private to it. The files of this room stand in four steps, and each knows only those below it:
 *
 *   4   send.c  recv.c  life.c  info.c     what an application calls, and a channel from its wire to its end
 *       config.c                           what both sides say of their devices
 *   3   wait.c  event.c  pairs.c           how a thread waits for a channel, how an event loop does, all of a link
 *   2   tx.c    rx.c                       one attempt to send, one to receive
 *   1   fate.c  pulse.c  link.c            is the link good, is the peer alive, what do all queue pairs share
 *
 * send.c and recv.c touch only their own direction, so that one thread can be in each.
 */
#ifndef VOP_CHANNEL_CHANNEL_H
#define VOP_CHANNEL_CHANNEL_H

#include "channel/rx.h"
#include "channel/tx.h"
#include "core/share.h"

#include <vopipc/channel.h>

/** When an event loop is to look without a kick. Watched wires only. */
struct vop__alarm {
    int timer;          /* -1: none. Atomic where another thread may interrupt */
    int64_t nap_ns;     /* length of the last nap */
    uint32_t positions; /* of both queues when the nap began */
    unsigned armed;     /* for what: enum vop_arm_flags */
    bool is_last;       /* it is set for the end */
};

struct vop_channel {
    struct vop__link *link;
    struct vop__wire *wire;     /* the link's, also where that is not to be used any more */
    struct vop_channel *first;  /* of pair 0, which holds what follows: pairs.h */
    struct vop_channel *others; /* of pairs 1 and up, one after another */
    unsigned pairs;             /* how many channels there are in all */
    struct vop__share *share;   /* held until they are closed; NULL: nobody counts */
    uint32_t message_min;       /* what the options demand of the geometry in force */
    bool contiguous;
    int epoll_fd; /* this and the rest each channel has for itself */
    struct vop__alarm alarm;
    struct vop__tx tx;
    struct vop__rx rx;
};

/** The channel of queue pair `pair` of the same link, below c->first->pairs. */
static inline struct vop_channel *vop__channel_at(const struct vop_channel *c, unsigned pair)
{
    return pair == 0 ? c->first : &c->first->others[pair - 1];
}

#endif
