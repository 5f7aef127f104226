/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rx.h - the receiving direction of a queue pair, one attempt at a time.
 *
 * Room: channel, its second step. Touched by the receiving thread only, except where marked.
 */
#ifndef VOP_CHANNEL_RX_H
#define VOP_CHANNEL_RX_H

#include "channel/pulse.h"
#include "core/counter.h"
#include "native/slot_inline.h"
#include "sys/sleeper.h"

#include <vopipc/spin.h>

struct vop__rx {
    _Alignas(128) struct vop__link *link;
    const void *holder; /* atomic: thread that holds released slots back, NULL for none */
    struct vop__slot_driver queue;
    vop__counter messages, bytes, publishes, kicks, sleeps, spins_hit, rescues;
    unsigned index; /* of the queue pair */
    struct vop_spin spin;
    struct vop__sleeper sleeper; /* on used.idx */
    struct vop__pulse pulse;
    struct vop__slot_place place;
};

/** Resets all that this direction writes for a session whose geometry is in force. */
void vop__rx_reset(struct vop__rx *rx);

/** The link is up. */
void vop__rx_start(struct vop__rx *rx);

/** Publishes released slots, and kicks if the peer sleeps for them. */
void vop__rx_publish(struct vop__rx *rx);

/** Nothing was there, or something impossible: publishes, looks for the end. Answers as vop__rx_try(). */
int vop__rx_missed(struct vop__rx *rx);

/** Is there a message to be taken, as far as its index tells? If not, it is for vop__rx_missed() to say why. */
static inline bool vop__rx_has(struct vop__rx *rx)
{
    return !vop__fate_bars_receiving(rx->link) && vop__slot_driver_any(&rx->queue) > 0;
}

/** One look without waiting: 1 if there is a message, 0 at the end of the stream, -EAGAIN, or the error. */
static inline int vop__rx_try(struct vop__rx *rx)
{
    return vop__rx_has(rx) ? 1 : vop__rx_missed(rx);
}

/** The next message's slots and bytes, if there is one. If not, it is for vop__rx_missed() to say why. */
static inline bool vop__rx_next(struct vop__rx *rx, uint32_t *ret_slots, size_t *ret_length)
{
    return !vop__fate_bars_receiving(rx->link) && vop__slot_driver_next(&rx->queue, ret_slots, ret_length) > 0;
}

/** A message of `length` bytes is taken. A busy receiver may never reach the waiting code, so it beats here. */
static inline void vop__rx_count(struct vop__rx *rx, size_t length)
{
    (void)vop__beat(rx->link);
    vop__count(&rx->messages, 1);
    vop__count(&rx->bytes, length);
}

/** Takes the next message, if there is one. If not, it is for vop__rx_missed() to say why. */
static inline bool vop__rx_take(struct vop__rx *rx, struct vop_buffer *ret_buffer)
{
    if (vop__fate_bars_receiving(rx->link) || vop__slot_driver_peek(&rx->queue, ret_buffer) <= 0)
        return false;
    vop__rx_count(rx, ret_buffer->length);
    return true;
}

/** Slots were released: publishes them if they are many, else they are held back by this thread. */
static inline void vop__rx_hand_back(struct vop__rx *rx)
{
    if (__builtin_expect(vop__slot_driver_should_publish(&rx->queue), 0))
        vop__rx_publish(rx);
    else if (__builtin_expect(rx->holder != vop__thread(), 0))
        __atomic_store_n(&rx->holder, vop__thread(), __ATOMIC_RELEASE);
}

/** vop__slot_driver_arm_for(). A peer whose index is wrong has broken the link. */
int vop__rx_arm(struct vop__rx *rx, uint32_t how, uint32_t *ret_word);

#endif
