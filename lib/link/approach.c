/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * approach.c - two sides that find each other in memory that is there already.
 *
 * Room: link. wire/side.h is a side of such memory; PROTOCOL.md, The ivshmem wire, is the contract.
 *
 * The two sides do the same, whoever came first, and nothing but the memory joins them: so listening and connecting are
 * one approach, and differ in how long each waits. There is one channel at a time.
 *
 *   state of an approach   at each tick
 *   no channel             waits for its own last channel to be closed; then looks whether the side is free, which
 *                          takes CLAIM_NS if its last owner is unknown and may live -> has a channel
 *   has a channel          beats, and goes on with the session's handshake -> up, handed over
 */
#include "link/approach.h"

#include "channel/life.h"
#include "channel/options.h"
#include "core/clock.h"
#include "core/container.h"
#include "core/error.h"
#include "core/log.h"
#include "link/elsewhere.h"
#include "native/session.h"
#include "sys/opener.h"
#include "sys/process.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_NS (20 * VOP__NS_PER_MS)       /* between two looks at the peer's block */
#define BUSY_TICK_NS (100 * VOP__NS_PER_MS) /* while there is a channel */
#define CLAIM_NS (1000 * VOP__NS_PER_MS)    /* whoever has a side beats within that time, or loses it */
#define NO_INCARNATION 1                    /* stands for a peer that has not come so far */
#define LOOK_NS (200 * VOP__NS_PER_MS)      /* between two looks at what else may be wrong: see look_around() */

struct approach {
    vop__side_open_fn *open_side;
    char *rest; /* what it opens */
    struct vop__side *side;
    struct vop_options options;
    struct vop_channel *channel;     /* NULL until the side is claimed */
    const struct vop__window *local; /* the half that it reads */
    struct vop__claim owner;         /* who last wrote this side's block, while that is watched */
    int64_t since;                   /* when watching began; 0: it did not */
    struct vop__claim peer;          /* as it was when the channel began */
    uint64_t refused;                /* incarnation of the peer that the log complained about */
    int64_t looked;                  /* around */
    struct vop__elsewhere elsewhere;
    bool is_stranded; /* there is new memory that cannot be had; the log said so */
};

struct approach_listener {
    struct vop_listener listener;
    struct approach approach;
    int timer;
    int64_t tick_ns;
};

static struct approach_listener *listener_of(const struct vop_listener *listener)
{
    return vop__container_of(listener, struct approach_listener, listener);
}

/* ---- Approaching ---- */

static bool is_same(const struct vop__claim *a, const struct vop__claim *b)
{
    return a->incarnation == b->incarnation && a->state == b->state && a->heartbeat == b->heartbeat;
}

/* A side into whose halves the queues of this program fit: as many as it wants, or as there is room for. */
static int take_side(const struct approach *a, struct vop__side **ret_side)
{
    struct vop__geometry geometry;
    const struct vop__slots *largest = &geometry.receive;
    uint64_t needed, file = 2;
    struct vop__side *side;
    int ret = a->open_side(a->rest, &side);

    if (ret < 0)
        return ret;
    geometry = vop__options_geometry(&a->options, side->queue_pairs);
    while (needed = vop__geometry_offer_size(&geometry), needed > side->remote.size && geometry.queue_pairs > 1)
        geometry.queue_pairs--;
    while (file < 2 * needed)
        file *= 2;
    if (vop__geometry_pool_size(&geometry.send) > vop__geometry_pool_size(largest))
        largest = &geometry.send;
    if (needed > side->remote.size && side->ops->meet)
        ret =
            vop__error(EINVAL,
                       "%.120s: there are %zu KiB for each half, and a queue of %u slots of %u bytes needs %llu; make "
                       "BAR 1 and the pool of vop_pci_uio (pool_size) larger, or the queue smaller",
                       side->name, side->remote.size / 1024, largest->queue_size, largest->slot_size,
                       (unsigned long long)(needed + 1023) / 1024);
    else if (needed > side->remote.size)
        ret = vop__error(EINVAL,
                         "%.120s: half of it is too small for a queue of %u slots of %u bytes; make it %llu KiB, or "
                         "the queue smaller",
                         side->name, largest->queue_size, largest->slot_size, (unsigned long long)file / 1024);
    if (ret < 0) {
        side->ops->close(side);
        return ret;
    }
    side->queue_pairs = geometry.queue_pairs;
    *ret_side = side;
    return 0;
}

static int open_approach(struct approach *a, vop__side_open_fn *open_side, const char *rest,
                         const struct vop_options *options)
{
    int ret;

    *a = (struct approach){.open_side = open_side, .rest = strdup(rest), .options = *options};
    if (!a->rest)
        return vop__error(ENOMEM, "no memory for a link");
    ret = take_side(a, &a->side);
    if (ret < 0)
        free(a->rest);
    return ret;
}

/* Gives up an approach that is not up yet. */
static void close_approach(struct approach *a)
{
    if (a->channel)
        vop_channel_close(a->channel);
    a->side->ops->close(a->side);
    free(a->rest);
}

/* May this side be taken? 1, 0 not yet, -EADDRINUSE. */
static int claim(struct approach *a)
{
    struct vop__claim now = vop__session_claim(&a->side->remote);
    uint64_t system = now.incarnation >> VOP__INCARNATION_SYSTEM;

    if (now.state == VOP_STATE_ABSENT)
        return 1;
    if (system != 0 && system == a->side->system) /* its last owner held the lock that we hold now, so it is dead */
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
            a->side->name, a->side->number, 1 - a->side->number);
    }
    return vop__clock_ns() - a->since >= CLAIM_NS;
}

/* Says why (the error text) once for each incarnation of a peer. */
static int refuse(struct approach *a, uint64_t incarnation, int err)
{
    if (incarnation != a->refused)
        vop__log(VOP_LOG_ERROR, "refused a peer: %s", vop_error_text());
    a->refused = incarnation;
    return err;
}

/* Is the memory of the other side there? 1, 0 not yet or not any more, or an error: -EPROTO it is not for us. */
static int meet(struct approach *a)
{
    struct vop__geometry geometry = vop__options_geometry(&a->options, a->side->queue_pairs);
    uint64_t needed = vop__geometry_offer_size(&geometry);
    int ret = a->side->ops->meet ? a->side->ops->meet(a->side) : 1;

    if (ret == 1 && needed > a->side->remote.size)
        ret = vop__error(EPROTO,
                         "%.120s: the other side has %zu bytes for each half, and the queues of this side need %llu",
                         a->side->name, a->side->remote.size, (unsigned long long)needed);
    return ret == -EPROTO ? refuse(a, NO_INCARNATION, ret) : ret;
}

/* 0: there is a channel, which says HELLO, or there is none yet. */
static int begin_channel(struct approach *a)
{
    struct vop__wire *wire;
    int ret;

    if (vop__side_is_busy(a->side))
        return 0;
    ret = meet(a);
    if (ret <= 0)
        return ret;
    ret = claim(a);
    if (ret <= 0)
        return ret;
    a->since = 0;
    wire = a->side->ops->wire(a->side);
    if (!wire)
        return -ENOMEM;
    a->local = &wire->local;
    a->peer = vop__session_claim(a->local);
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

/* The peer's block cannot be used, as it was when the step began or later. What a dead peer left behind, or whoever had
 * the memory before, is of no interest, also if it is just being overwritten; a live peer must be told. */
static int check_refusal(struct approach *a, const struct vop__claim *before, int err)
{
    if (vop__channel_was_known(a->channel)) /* it was READY for this side, so it lives */
        drop_channel(a);
    else if (is_same(before, &a->peer))
        return 0;
    return refuse(a, before->incarnation, err);
}

/* A file that was deleted and made anew: whoever opens it from now on is not in the memory that this side has. */
static void follow_name(struct approach *a)
{
    struct vop__side *side;

    if (!a->side->ops->is_replaced || !a->side->ops->is_replaced(a->side))
        return;
    if (take_side(a, &side) < 0) {
        if (!a->is_stranded)
            vop__log(VOP_LOG_ERROR, "%.120s was made anew and cannot be used yet: %s", a->side->name, vop_error_text());
        a->is_stranded = true;
        return;
    }
    vop__log(VOP_LOG_INFO, "%.120s was made anew: side %u leaves the old memory for it", side->name, side->number);
    drop_channel(a);
    a->side->ops->close(a->side);
    a->side = side;
    a->since = 0;
    a->is_stranded = false;
    memset(&a->elsewhere, 0, sizeof(a->elsewhere));
}

/* Nobody has come: is this the right memory, and does the peer see the same? 0, or -EPROTO. */
static int look_around(struct approach *a)
{
    uint64_t half_size, incarnation;
    int64_t now = vop__clock_ns();

    if (now - a->looked < LOOK_NS)
        return 0;
    a->looked = now;
    follow_name(a);
    if (a->side->number == 0 || a->side->ops->meet ||
        !vop__elsewhere_find(&a->elsewhere, &a->side->remote, &half_size, &incarnation))
        return 0;
    vop__error(EPROTO, "%.120s: the program of side 0 sees %llu KiB of memory, this side %zu KiB: give both one size",
               a->side->name, (unsigned long long)half_size / 512, a->side->remote.size / 512);
    return refuse(a, incarnation, -EPROTO);
}

/* 1 the channel is up, 0 the peer must act first, -EPROTO it is not for us, else an error of this side. */
static int step(struct approach *a)
{
    struct vop__claim before;
    int ret;

    if (!a->channel) {
        ret = begin_channel(a);
        if (!a->channel)
            return ret;
    } else if (ret = meet(a), ret != 1) {
        drop_channel(a);
        return ret;
    }
    /* Whoever claimed the side at the same moment has written the same block; the last writer has the side. */
    if (!vop__channel_keeps_side(a->channel)) {
        drop_channel(a);
        return vop__error(EADDRINUSE, "%.120s: somebody else has taken side %u", a->side->name, a->side->number);
    }
    before = vop__session_claim(a->local);
    ret = vop__channel_step(a->channel);
    if (ret == 0)
        return look_around(a);
    return ret == -EPROTO || ret == -EMSGSIZE ? check_refusal(a, &before, ret) : ret;
}

/* The same, and hands over the channel. What a step found means nothing if the memory is gone by the end of it. */
static int advance(struct approach *a, struct vop_channel **ret_channel)
{
    int ret = step(a), gone = a->side->ops->check(a->side);

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

/* The first tick is now. */
static void start_tick(const struct approach_listener *l, int64_t ns)
{
    struct itimerspec at = {.it_value = {.tv_nsec = 1}, .it_interval = vop__timespec(ns)};

    (void)timerfd_settime(l->timer, 0, &at, NULL);
}

static void set_tick(struct approach_listener *l, int64_t ns)
{
    if (ns == l->tick_ns)
        return;
    l->tick_ns = ns;
    start_tick(l, ns);
}

int vop__approach_listen(vop__side_open_fn *open_side, const char *rest, const struct vop_options *options,
                         struct vop_listener **ret_listener)
{
    struct approach_listener *l = calloc(1, sizeof(*l));
    int ret;

    if (!l)
        return vop__error(ENOMEM, "no memory for a listener");
    l->timer = vop__new_timer();
    if (l->timer < 0) {
        ret = vop__error(errno, "cannot make a listener: %s", strerror(errno));
        goto err_free;
    }
    ret = open_approach(&l->approach, open_side, rest, options);
    if (ret < 0)
        goto err_close;
    set_tick(l, TICK_NS);
    *ret_listener = &l->listener;
    return 0;

err_close:
    close(l->timer);
err_free:
    free(l);
    return ret;
}

void vop__approach_wake(struct vop_listener *listener)
{
    start_tick(listener_of(listener), TICK_NS);
}

void vop__approach_close(struct vop_listener *listener)
{
    struct approach_listener *l = listener_of(listener);

    if (listener->opener != vop__process())
        l->approach.side->ops->forget(l->approach.side);
    close_approach(&l->approach);
    close(l->timer);
    free(l);
}

int vop__approach_fd(const struct vop_listener *listener)
{
    return listener_of(listener)->timer;
}

int vop__approach_accept(struct vop_listener *listener, struct vop_channel **ret_channel)
{
    struct approach_listener *l = listener_of(listener);
    uint64_t ticks;
    int ret;

    if (listener->opener != vop__process())
        return vop__error_static(EINVAL,
                                 "the listener is that of another process, which forked this one: close it here");
    if (read(l->timer, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        return vop__error(errno, "cannot read a timer: %s", strerror(errno));
    ret = advance(&l->approach, ret_channel);
    set_tick(l, vop__side_is_busy(l->approach.side) && !l->approach.channel ? BUSY_TICK_NS : TICK_NS);
    if (ret == 1)
        return 0;
    return ret == 0 || ret == -EPROTO || ret == -EMSGSIZE ? -EAGAIN : ret;
}

/* ---- Connecting ---- */

struct approach_attempt {
    struct vop__attempt attempt;
    struct approach approach;
    int64_t deadline;
};

static struct approach_attempt *attempt_of(struct vop__attempt *attempt)
{
    return vop__container_of(attempt, struct approach_attempt, attempt);
}

int vop__approach_begin(vop__side_open_fn *open_side, const char *rest, const struct vop_options *options,
                        struct vop__attempt **ret_attempt)
{
    struct approach_attempt *t = calloc(1, sizeof(*t));
    int ret;

    if (!t)
        return vop__error(ENOMEM, "no memory for a link");
    t->attempt.fd = -1;
    if (options->connect_wait) /* then where it waits is as good as any place, and the memory is there anyway */
        t->deadline = VOP__NEVER;
    else
        t->deadline = vop__clock_ns() + options->handshake_ms * VOP__NS_PER_MS;
    ret = open_approach(&t->approach, open_side, rest, options);
    if (ret < 0) {
        free(t);
        return ret;
    }
    *ret_attempt = &t->attempt;
    return 0;
}

int vop__approach_step(struct vop__attempt *attempt, struct vop_channel **ret_channel)
{
    struct approach_attempt *t = attempt_of(attempt);
    struct approach *a = &t->approach;
    int ret = advance(a, ret_channel);

    if (ret != 0)
        return ret < 0 ? ret : 0;
    if (!a->channel && a->side->ops->meet && vop__time_left(t->deadline) == 0)
        return vop__error(ETIMEDOUT, "%.120s: nobody answers across the bus; start the program of side %u",
                          a->side->name, 1 - a->side->number);
    if (a->channel && vop__time_left(t->deadline) == 0)
        return vop__error(ETIMEDOUT,
                          "%.120s: nobody answers on side %u; start the program of that side, where the memory has the "
                          "same %zu KiB",
                          a->side->name, 1 - a->side->number, a->side->remote.size / 512);
    attempt->at = vop__clock_ns() + TICK_NS;
    return vop__error_static(
        EAGAIN, "nobody answers on the other side yet; start its program, where the memory has the same size");
}

void vop__approach_end(struct vop__attempt *attempt, bool inherited)
{
    struct approach_attempt *t = attempt_of(attempt);

    if (inherited)
        t->approach.side->ops->forget(t->approach.side);
    close_approach(&t->approach);
    free(t);
}
