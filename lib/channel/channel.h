/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - what the files of this room share: the channel itself.
 *
 * Room: channel, private to it. channel.c makes and unmakes it; send.c and recv.c are its two directions and touch only
 * their own struct, so that one thread can be in each; wait.c spins and sleeps for both; event.c is for event loops;
 * pulse.c knows whether the peer lives.
 */
#ifndef VOP_CHANNEL_CHANNEL_H
#define VOP_CHANNEL_CHANNEL_H

#include "native/session.h"
#include "native/slot.h"
#include "wire/wire.h"

#include <vopipc/channel.h>
#include <vopipc/spin.h>

/** A count of one thread that others may read: as wide as a processor's word, since wider is not atomic everywhere. */
typedef unsigned long vop__counter;

/** One direction's share of looking whether the peer still lives, while nothing makes it sleep. */
struct vop__pulse {
    uint32_t polls;
    int64_t next_ns;
    uint32_t heartbeat; /* of the peer, as last seen. Watched wires only, as what follows */
    int64_t looked_ns;
    int64_t silent_ns; /* how long it has been the same while somebody looked */
};

/** The own heartbeat; both directions' threads beat. Watched wires only. */
struct vop__heart {
    uint32_t beats;   /* atomic */
    uint32_t last_ms; /* atomic; wraps: time since then is a difference */
    int ousted;       /* atomic: somebody else has taken this side; nothing more may be written */
};

/** An event loop's turn to look by itself. Watched wires only. */
struct vop__alarm {
    int timer;          /* -1: none */
    int64_t nap_ns;     /* length of the last nap */
    uint32_t positions; /* of both queues when it began */
    unsigned armed;     /* for what: enum vop_arm_flags */
    bool is_last;       /* it rang for the end */
};

/** Sending direction. Touched by the sending thread only, except where marked. */
struct vop__tx {
    _Alignas(128) struct vop__slot_device queue;
    size_t reserved_length; /* of the open reservation, 0 for none */
    uint32_t wanted;        /* slots that the last refused reservation needed */
    const void *holder;     /* atomic: thread that holds messages back (VOP_COMMIT_MORE), NULL for none */
    struct vop_spin spin;
    struct vop__pulse pulse;
    vop__counter messages, bytes, publishes, kicks, full, sleeps, spins_hit, rescues; /* atomic, relaxed */
};

/** Receiving direction, likewise. */
struct vop__rx {
    _Alignas(128) struct vop__slot_driver queue;
    const void *holder; /* atomic: thread that holds released slots back */
    struct vop_spin spin;
    struct vop__pulse pulse;
    vop__counter messages, bytes, publishes, kicks, sleeps, spins_hit, rescues; /* atomic, relaxed */
};

struct vop_channel {
    struct vop__wire *wire;
    struct vop__session session;
    struct vop__slot_place place_tx, place_rx;
    size_t message_max;
    uint16_t *spans; /* for tx.queue */
    int epoll_fd;
    bool up;    /* both sides were READY: messages may travel */
    int dead;   /* atomic: the wire said that the peer is dead */
    int broken; /* atomic: the peer broke the protocol, in either direction */
    struct vop__heart heart;
    struct vop__alarm alarm;
    struct vop__tx tx;
    struct vop__rx rx;
};

/** Options with every default filled in, checked. -EINVAL with a text. `options` may be NULL. */
int vop__options_resolve(const struct vop_options *options, struct vop_options *ret_options);

/** Geometry that the options offer. */
struct vop__geometry vop__options_geometry(const struct vop_options *options);

/**
 * Makes a channel on an open wire, with every descriptor that it will need, and announces it (HELLO). Takes the wire on
 * success only. `options` are resolved.
 */
int vop__channel_new(struct vop__wire *wire, const struct vop_options *options, struct vop_channel **ret_channel);

/** Goes on with the handshake as far as the peer's half allows: 1 up, 0 the peer must act first, -errno with a text. */
int vop__channel_step(struct vop_channel *c);

/** Adds to a counter that another thread may read. Only its own thread adds. */
static inline void vop__count(vop__counter *counter, unsigned long n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline bool vop__dead(const struct vop_channel *c)
{
    return __atomic_load_n(&c->dead, __ATOMIC_ACQUIRE);
}

static inline void vop__set_dead(struct vop_channel *c)
{
    __atomic_store_n(&c->dead, 1, __ATOMIC_RELEASE);
}

/** Somebody else has this side now, and what this one wrote is its. */
static inline bool vop__ousted(const struct vop_channel *c)
{
    return __atomic_load_n(&c->heart.ousted, __ATOMIC_RELAXED);
}

/** The peer broke the protocol: both directions end with -EPROTO. */
static inline bool vop__broken(const struct vop_channel *c)
{
    return __atomic_load_n(&c->broken, __ATOMIC_RELAXED);
}

/** The wire says that the peer is dead, or that a wait was ended because the peer broke the protocol. */
static inline void vop__heard_end(struct vop_channel *c)
{
    if (!vop__broken(c))
        vop__set_dead(c);
}

/** Has the peer begun anew in the same memory? Then the one we knew is dead. */
static inline bool vop__peer_restarted(struct vop_channel *c)
{
    if (!vop__session_peer_restarted(&c->session))
        return false;
    vop__set_dead(c);
    return true;
}

/** The rare part of vop__peer_gone(): the peer was seen not to be READY, or dead. */
int vop__peer_gone_how(struct vop_channel *c, bool dead, uint32_t state);

/** 0 while the peer is there, else with a text -EPIPE it has closed, -ECONNRESET it died, -EPROTO it broke. */
static inline int vop__peer_gone(struct vop_channel *c)
{
    /* In this order: what the other thread saw die may have closed before, and then its state says so. */
    bool dead = vop__dead(c);
    uint32_t state = vop__session_peer_state(&c->session);

    if (__builtin_expect(state == VOP_STATE_READY && !dead, 1))
        return 0;
    return vop__peer_gone_how(c, dead, state);
}

/**
 * A ring says what cannot be, and the error text says what. The peer broke the protocol: -EPROTO. But if it is not that
 * peer any more whose half this is, or the memory was taken away and something else is there: -ECONNRESET.
 */
int vop__breach(struct vop_channel *c);

/** Publishes committed messages and kicks if the peer sleeps for them. Sending thread. */
void vop__tx_publish(struct vop_channel *c);

/** Publishes released slots and kicks if the peer sleeps for them. Receiving thread. */
void vop__rx_publish(struct vop_channel *c);

/**
 * One attempt without waiting. tx: 0 with a reservation of `length`; rx: 1 with a message, 0 at the end of stream. Else
 * -EAGAIN or the error.
 */
int vop__tx_try(struct vop_channel *c, size_t length, struct vop__slot_span *ret_span);
int vop__rx_try(struct vop_channel *c, struct vop__slot_span *ret_span);

/** vop__slot_device_arm(), vop__slot_driver_arm(). A peer whose index is wrong has broken the channel. */
int vop__tx_arm(struct vop_channel *c, uint32_t slots);
int vop__rx_arm(struct vop_channel *c);

/** As above, spinning and then sleeping until timeout_ms is over. To be called after a try that said -EAGAIN. */
int vop__tx_wait(struct vop_channel *c, size_t length, int timeout_ms, struct vop__slot_span *ret_span);
int vop__rx_wait(struct vop_channel *c, int timeout_ms, struct vop__slot_span *ret_span);

/** Sets up the spinning that an option asks for. */
void vop__spin_init(struct vop_spin *spin, uint32_t spin_us);

/** Now and then asks the wire whether the peer lives; called on every attempt that found nothing. */
void vop__pulse(struct vop_channel *c, struct vop__pulse *pulse);

/** A heartbeat, if it is time for one. False if this side is no more ours. Any thread; watched wires only. */
bool vop__beat(struct vop_channel *c);

/** Has somebody else taken this side? Loads across the wire. Watched wires only. */
bool vop__look_if_ousted(struct vop_channel *c);

/** The link is up: the peer's heart is listened to from now on. */
void vop__watch(struct vop_channel *c);

/** Makes the channel's descriptor readable when it is time to beat. Watched wires only. */
void vop__alarm_start(struct vop_channel *c);

/**
 * To be asked before an index is published, and wherever else a thread comes by that may do nothing but that for long:
 * it has a heart, too.
 */
static inline bool vop__may_publish(struct vop_channel *c)
{
    return __builtin_expect(!c->wire->watched, 1) || vop__beat(c);
}

/**
 * How long to sleep at most before looking at the rings without having been kicked; `last_ns` is the answer before, 0
 * at first. VOP__NEVER where every kick and every death is heard.
 */
int64_t vop__nap(const struct vop__wire *wire, int64_t last_ns);

/**
 * Publishes what the *other* direction holds back, if this same thread does: a thread that sleeps on one direction must
 * not sit on what the peer waits for in the other (PROTOCOL.md, Notification, step 1).
 */
void vop__publish_own(struct vop_channel *c);

/** Its address differs between threads. One object for all files: a static one would differ between files, too. */
extern _Thread_local char vop__thread_mark;

/** What tells this thread from others: for `holder`. */
static inline const void *vop__thread(void)
{
    return &vop__thread_mark;
}

#endif
