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
int vop__rx_missed(struct vop__rx *rx, struct vop_buffer *ret_buffer);

/** The next message, if there is one: 1, else 0 and it is for vop__rx_missed() to say why. */
static inline int vop__rx_take(struct vop__rx *rx, struct vop_buffer *ret_buffer)
{
    if (vop__fate_bars_receiving(rx->link) || vop__slot_driver_peek(&rx->queue, ret_buffer) <= 0)
        return 0;
    (void)vop__beat(rx->link); /* a busy receiver may never reach the waiting code */
    vop__count(&rx->messages, 1);
    vop__count(&rx->bytes, ret_buffer->length);
    return 1;
}

/** One attempt without waiting: 1 with a message, 0 at the end of the stream, -EAGAIN, or the error. */
static inline int vop__rx_try(struct vop__rx *rx, struct vop_buffer *ret_buffer)
{
    return vop__rx_take(rx, ret_buffer) ? 1 : vop__rx_missed(rx, ret_buffer);
}

/** vop__slot_driver_arm_for(). A peer whose index is wrong has broken the link. */
int vop__rx_arm(struct vop__rx *rx, uint32_t how, uint32_t *ret_word);

#endif
