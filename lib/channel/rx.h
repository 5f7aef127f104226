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

#include <vopipc/spin.h>

struct vop__rx {
    _Alignas(128) struct vop__slot_driver queue;
    struct vop__link *link;
    unsigned index;     /* of the queue pair */
    const void *holder; /* atomic: thread that holds released slots back, NULL for none */
    struct vop_spin spin;
    struct vop__pulse pulse;
    vop__counter messages, bytes, publishes, kicks, sleeps, spins_hit, rescues;
    struct vop__slot_place place;
};

/** Resets all that this direction writes for a session whose geometry is in force. */
void vop__rx_reset(struct vop__rx *rx);

/** The link is up. */
void vop__rx_start(struct vop__rx *rx);

/** Publishes released slots, and kicks if the peer sleeps for them. */
void vop__rx_publish(struct vop__rx *rx);

/** One attempt without waiting: 1 with a message, 0 at the end of the stream, -EAGAIN, or the error. */
int vop__rx_try(struct vop__rx *rx, struct vop_buffer *ret_buffer);

/** vop__slot_driver_arm(). A peer whose index is wrong has broken the link. */
int vop__rx_arm(struct vop__rx *rx);

#endif
