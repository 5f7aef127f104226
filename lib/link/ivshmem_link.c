/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ivshmem_link.c - links of the scheme ivshmem: two sides that find each other in memory that is there already.
 *
 * Room: link. wire/ivshmem.h is the memory; PROTOCOL.md, The ivshmem wire, the contract.
 *
 * The two sides do the same, whoever came first, and nothing but the memory joins them: so listening and connecting are
 * one approach, and differ in who waits for how long. There is one channel at a time.
 *
 *   state of an approach   at each tick
 *   no channel             waits for its own last channel to be closed; then looks whether the side is free, which
 *                          takes CLAIM_NS if its last owner is unknown and may live -> has a channel
 *   has a channel          beats, and goes on with the session's handshake -> up, handed over
 */
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "link/scheme.h"
#include "wire/ivshmem.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS (20 * VOP__NS_PER_MS)       /* between two looks at the peer's block */
#define BUSY_TICK_NS (100 * VOP__NS_PER_MS) /* while there is a channel */
#define CLAIM_NS (1000 * VOP__NS_PER_MS)    /* somebody who has a side beats within that time, or has lost it */

struct approach {
    struct vop__ivshmem *side;
    struct vop_options options;
    struct vop_channel *channel; /* NULL until the side is claimed */
    struct vop__claim owner;     /* whose block stood in the own place, while it is watched */
    int64_t since;               /* when that began; 0: it did not */
    struct vop__claim peer;      /* as it was when the channel began */
    uint64_t refused;            /* incarnation of the peer that was complained about */
};

struct ivshmem_listener {
    struct vop_listener listener;
    struct approach approach;
    int timer;
    int64_t tick_ns;
};

static struct ivshmem_listener *ivshmem_listener_of(struct vop_listener *listener)
{
    return (struct ivshmem_listener *)(void *)((char *)listener - offsetof(struct ivshmem_listener, listener));
}

/* ---- Approaching ---- */

static bool is_same(const struct vop__claim *a, const struct vop__claim *b)
{
    return a->incarnation == b->incarnation && a->state == b->state && a->heartbeat == b->heartbeat;
}

static int approach_open(struct approach *a, const char *rest, const struct vop_options *options)
{
    struct vop__geometry geometry = vop__options_geometry(options);
    uint64_t needed = vop__geometry_half_size(&geometry), file = 2;
    int ret;

    *a = (struct approach){.options = *options};
    ret = vop__ivshmem_open(rest, &a->side);
    if (ret < 0)
        return ret;
    while (file < 2 * needed)
        file *= 2;
    if (needed > vop__ivshmem_remote(a->side)->size) {
        ret = vop__error(EINVAL,
                         "%.120s: half of it is too small for a queue of %u slots of %u bytes; make it %llu KiB, or "
                         "the queue smaller",
                         vop__ivshmem_name(a->side), geometry.queue_size, geometry.slot_size,
                         (unsigned long long)file / 1024);
        vop__ivshmem_close(a->side);
    }
    return ret;
}

/* Gives up what is not up. */
static void approach_close(struct approach *a)
{
    if (a->channel)
        vop_channel_close(a->channel);
    vop__ivshmem_close(a->side);
}

/* May this side be taken? 1, 0 not yet, -EADDRINUSE. */
static int claim(struct approach *a)
{
    struct vop__claim now = vop__session_claim(vop__ivshmem_remote(a->side));
    uint64_t system = now.incarnation >> VOP__INCARNATION_SYSTEM;

    if (now.state == VOP_STATE_ABSENT)
        return 1;
    if (system != 0 && system == vop__ivshmem_system(a->side)) /* who had it, with the lock we have now, is dead */
        return 1;
    if (a->since == 0) {
        a->since = vop__clock_ns();
        a->owner = now;
        return 0;
    }
    if (!is_same(&now, &a->owner)) {
        a->since = 0;
        return vop__error(
            EADDRINUSE, "%.120s: side %u is in use, by another machine or another device; use the other side: ?side=%u",
            vop__ivshmem_name(a->side), vop__ivshmem_number(a->side), 1 - vop__ivshmem_number(a->side));
    }
    return vop__clock_ns() - a->since >= CLAIM_NS;
}

/* 0: there is a channel, which says HELLO, or not yet. */
static int begin_channel(struct approach *a)
{
    struct vop__wire *wire;
    int ret;

    if (vop__ivshmem_is_busy(a->side))
        return 0;
    ret = claim(a);
    if (ret <= 0)
        return ret;
    a->since = 0;
    wire = vop__ivshmem_wire(a->side);
    if (!wire)
        return -ENOMEM;
    a->peer = vop__session_claim(&wire->local);
    ret = vop__channel_new(wire, &a->options, &a->channel);
    if (ret < 0) {
        wire->ops->close(wire);
        return ret;
    }
    return 0;
}

static void drop_channel(struct approach *a)
{
    vop_channel_close(a->channel);
    a->channel = NULL;
}

/* The peer's block is not to be had: what a dead one left behind is none of our business, a live one is to hear it. */
static int judge_refusal(struct approach *a)
{
    struct vop__claim now = vop__session_claim(&a->channel->wire->local);

    if (a->channel->tx.queue.broken) /* it was READY for us, so it lives */
        drop_channel(a);
    else if (is_same(&now, &a->peer))
        return 0;
    if (now.incarnation != a->refused)
        vop__log(VOP_LOG_ERROR, "refused a peer: %s", vop_error_text());
    a->refused = now.incarnation;
    return -EPROTO;
}

/* 1 the channel is up, 0 the peer must act first, -EPROTO it is not for us, else an error of this side. */
static int step(struct approach *a)
{
    int ret;

    if (!a->channel) {
        ret = begin_channel(a);
        if (!a->channel)
            return ret;
    }
    /* Who claimed the side at the same moment has written the same block; the last one has it. */
    if (vop__look_if_ousted(a->channel) || !vop__beat(a->channel)) {
        drop_channel(a);
        return vop__error(EADDRINUSE, "%.120s: somebody else has taken side %u", vop__ivshmem_name(a->side),
                          vop__ivshmem_number(a->side));
    }
    ret = vop__channel_step(a->channel);
    return ret == -EPROTO ? judge_refusal(a) : ret;
}

/* The same, handing over the channel. What a step found means nothing if the memory is gone by its end. */
static int advance(struct approach *a, struct vop_channel **ret_channel)
{
    int ret = step(a), gone = vop__ivshmem_check(a->side);

    if (gone < 0) {
        drop_channel(a);
        return gone;
    }
    if (ret == 1) {
        *ret_channel = a->channel;
        a->channel = NULL;
    }
    return ret;
}

/* ---- Listening ---- */

static void ivshmem_listener_close(struct vop_listener *listener)
{
    struct ivshmem_listener *l = ivshmem_listener_of(listener);

    approach_close(&l->approach);
    close(l->timer);
    free(l);
}

static int ivshmem_listener_fd(const struct vop_listener *listener)
{
    return ((const struct ivshmem_listener *)(const void *)((const char *)listener -
                                                            offsetof(struct ivshmem_listener, listener)))
        ->timer;
}

static void set_tick(struct ivshmem_listener *l, int64_t ns)
{
    struct itimerspec at = {.it_value = {.tv_nsec = 1}, .it_interval = vop__timespec(ns)};

    if (ns == l->tick_ns)
        return;
    l->tick_ns = ns;
    (void)timerfd_settime(l->timer, 0, &at, NULL);
}

static int ivshmem_listen(const char *rest, const struct vop_options *options, struct vop_listener **ret_listener)
{
    struct ivshmem_listener *l = calloc(1, sizeof(*l));
    int ret;

    if (!l)
        return vop__error(ENOMEM, "no memory for a listener");
    l->listener.ops = &vop__ivshmem_link;
    l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->timer < 0) {
        ret = vop__error(errno, "cannot make a listener: %s", strerror(errno));
        free(l);
        return ret;
    }
    ret = approach_open(&l->approach, rest, options);
    if (ret < 0) {
        close(l->timer);
        free(l);
        return ret;
    }
    set_tick(l, TICK_NS);
    *ret_listener = &l->listener;
    return 0;
}

/* 1 with a channel, -EAGAIN, or an error of this side. */
static int poll_once(struct ivshmem_listener *l, struct vop_channel **ret_channel)
{
    uint64_t ticks;
    int ret;

    if (read(l->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        return vop__error(errno, "cannot read a timer: %s", strerror(errno));
    ret = advance(&l->approach, ret_channel);
    set_tick(l, vop__ivshmem_is_busy(l->approach.side) && !l->approach.channel ? BUSY_TICK_NS : TICK_NS);
    return ret == 0 || ret == -EPROTO ? -EAGAIN : ret;
}

static int ivshmem_accept(struct vop_listener *listener, int64_t deadline, struct vop_channel **ret_channel)
{
    struct ivshmem_listener *l = ivshmem_listener_of(listener);
    int ret;

    while ((ret = poll_once(l, ret_channel)) == -EAGAIN) {
        struct pollfd fd = {.fd = l->timer, .events = POLLIN};
        int64_t left = vop__time_left(deadline);

        if (left == 0)
            return vop__error_static(EAGAIN, "no peer is there");
        if (poll(&fd, 1, left / VOP__NS_PER_MS >= INT_MAX ? -1 : (int)(left / VOP__NS_PER_MS + 1)) < 0)
            return vop__error_static(EINTR, "interrupted by a signal");
    }
    return ret < 0 ? ret : 0;
}

/* ---- Connecting ---- */

static int meet(struct approach *a, int64_t deadline, struct vop_channel **ret_channel)
{
    struct timespec tick = {.tv_nsec = TICK_NS};
    int ret;

    while ((ret = advance(a, ret_channel)) == 0) {
        if (a->channel && vop__time_left(deadline) == 0)
            return vop__error(ETIMEDOUT, "%.120s: nobody answers on side %u; start the program of that side",
                              vop__ivshmem_name(a->side), 1 - vop__ivshmem_number(a->side));
        if (nanosleep(&tick, NULL) < 0)
            return vop__error_static(EINTR, "interrupted by a signal");
    }
    return ret < 0 ? ret : 0;
}

static int ivshmem_connect(const char *rest, const struct vop_options *options, int64_t deadline,
                           struct vop_channel **ret_channel)
{
    struct approach a;
    int ret = approach_open(&a, rest, options);

    if (ret < 0)
        return ret;
    ret = meet(&a, deadline, ret_channel);
    approach_close(&a);
    return ret;
}

const struct vop__scheme vop__ivshmem_link = {
    .scheme = "ivshmem",
    .listen = ivshmem_listen,
    .accept = ivshmem_accept,
    .fd = ivshmem_listener_fd,
    .close = ivshmem_listener_close,
    .connect = ivshmem_connect,
};
