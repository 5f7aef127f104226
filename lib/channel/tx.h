/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tx.h - the sending direction of a queue pair, one attempt at a time.
 *
 * Room: channel, its second step. Touched by the sending thread only, except where marked.
 */
#ifndef VOP_CHANNEL_TX_H
#define VOP_CHANNEL_TX_H

#include "channel/pulse.h"
#include "core/counter.h"
#include "native/slot_inline.h"
#include "sys/sleeper.h"

#include <vopipc/spin.h>

struct vop__tx {
    _Alignas(128) struct vop__link *link;
    size_t message_max;     /* bytes */
    size_t reserved_length; /* of the open reservation, 0 for none */
    const void *holder;     /* atomic: thread that holds messages back (VOP_COMMIT_MORE), NULL for none */
    struct vop__slot_device queue;
    vop__counter messages, bytes, publishes, kicks, full, sleeps, spins_hit, rescues;
    unsigned index;  /* of the queue pair */
    uint32_t wanted; /* slots that the last refused reservation needed; 0: none was refused */
    struct vop_spin spin;
    struct vop__sleeper sleeper; /* on avail.idx */
    struct vop__pulse pulse;
    struct vop__slot_place place;
    uint16_t *spans; /* for the queue */
};

/** Resets all that this direction writes for a session whose geometry is in force. 0 or -ENOMEM with a text. */
int vop__tx_reset(struct vop__tx *tx);

/** The link is up: checks what the peer wrote for this direction. 0, or -EPROTO with a text. */
int vop__tx_start(struct vop__tx *tx);

/** Frees what was allocated. */
void vop__tx_free(struct vop__tx *tx);

/** The peer sleeps for messages: kicks. */
void vop__tx_kick(struct vop__tx *tx, enum vop__kick how);

/** Publishes committed messages, and kicks if the peer sleeps for them. */
static inline void vop__tx_publish(struct vop__tx *tx)
{
    enum vop__kick how;

    if (tx->queue.next == tx->queue.published || !vop__beat(tx->link))
        return;
    vop__count(&tx->publishes, 1);
    how = vop__slot_device_publish(&tx->queue);
    if (__builtin_expect(how != VOP__KICK_NONE, 0))
        vop__tx_kick(tx, how);
    if (tx->holder)
        __atomic_store_n(&tx->holder, NULL, __ATOMIC_RELEASE);
}

/** An orderly end: has the wire keep what the peer may still read, the messages that it has not returned. */
void vop__tx_keep(const struct vop__tx *tx);

/** Turns the next `slots` slots into a message of `length` bytes that this thread holds back. An ousted side stores
 * nothing. */
static inline void vop__tx_put(struct vop__tx *tx, uint32_t slots, size_t length)
{
    if (__builtin_expect(vop__beat(tx->link), 1)) /* else the next call says so */
        vop__slot_device_commit(&tx->queue, slots, length);
    vop__count(&tx->messages, 1);
    vop__count(&tx->bytes, length);
    if (__builtin_expect(tx->holder != vop__thread(), 0))
        __atomic_store_n(&tx->holder, vop__thread(), __ATOMIC_RELEASE);
}

/** Turns the next `slots` slots into a message of `length` bytes, publishes it, and kicks as above. An ousted side
 * stores nothing. */
static inline void vop__tx_send(struct vop__tx *tx, uint32_t slots, size_t length)
{
    enum vop__kick how;
    uint16_t old;

    if (__builtin_expect(!vop__beat(tx->link), 0)) /* the next call says so */
        return;
    old = vop__slot_device_send(&tx->queue, slots, length);
    /* The books while the index is on its way: what follows the fence is a delay to the next message. */
    vop__count(&tx->messages, 1);
    vop__count(&tx->bytes, length);
    vop__count(&tx->publishes, 1);
    if (tx->holder)
        __atomic_store_n(&tx->holder, NULL, __ATOMIC_RELEASE);
    how = vop__slot_device_must_kick(&tx->queue, old);
    if (__builtin_expect(how != VOP__KICK_NONE, 0))
        vop__tx_kick(tx, how);
}

/** What to do about what vop__slot_device_reserve() answered, other than 0. 0 with a reservation, or an error. */
int vop__tx_refused(struct vop__tx *tx, int why, size_t length, struct vop_buffer *ret_buffer);

/** One attempt without waiting: 0 with a reservation of `length`, -EAGAIN, or the error. */
static inline int vop__tx_try(struct vop__tx *tx, size_t length, struct vop_buffer *ret_buffer)
{
    int ret = vop__fate(tx->link);

    if (ret < 0)
        return ret;
    if (__builtin_expect(!vop__beat(tx->link), 0)) /* there may be room enough to be busy for long */
        return vop__fate(tx->link);
    ret = vop__slot_device_reserve(&tx->queue, length, ret_buffer);
    return __builtin_expect(ret == 0, 1) ? 0 : vop__tx_refused(tx, ret, length, ret_buffer);
}

/** vop__slot_device_arm_for() `slots`. A peer whose index is wrong has broken the link. */
int vop__tx_arm(struct vop__tx *tx, uint32_t slots, uint32_t how, uint32_t *ret_word);

#endif
