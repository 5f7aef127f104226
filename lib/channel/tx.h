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

#include <vopipc/spin.h>

struct vop__tx {
    _Alignas(128) struct vop__slot_device queue;
    struct vop__link *link;
    unsigned index;         /* of the queue pair */
    size_t message_max;     /* bytes */
    size_t reserved_length; /* of the open reservation, 0 for none */
    uint32_t wanted;        /* slots that the last refused reservation needed */
    const void *holder;     /* atomic: thread that holds messages back (VOP_COMMIT_MORE), NULL for none */
    struct vop_spin spin;
    struct vop__pulse pulse;
    vop__counter messages, bytes, publishes, kicks, full, sleeps, spins_hit, rescues;
    struct vop__slot_place place;
    uint16_t *spans; /* for the queue */
};

/** Resets all that this direction writes for a session whose geometry is in force. 0 or -ENOMEM with a text. */
int vop__tx_reset(struct vop__tx *tx);

/** The link is up: checks what the peer wrote for this direction. 0, or -EPROTO with a text. */
int vop__tx_start(struct vop__tx *tx);

/** Frees what was allocated. */
void vop__tx_free(struct vop__tx *tx);

/** Publishes committed messages, and kicks if the peer sleeps for them. */
void vop__tx_publish(struct vop__tx *tx);

/** An orderly end: has the wire keep what the peer may still read, its queues and the messages it has not returned. */
void vop__tx_keep(const struct vop__tx *tx);

/** One attempt without waiting: 0 with a reservation of `length`, -EAGAIN, or the error. */
int vop__tx_try(struct vop__tx *tx, size_t length, struct vop_buffer *ret_buffer);

/** vop__slot_device_arm() for `slots`. A peer whose index is wrong has broken the link. */
int vop__tx_arm(struct vop__tx *tx, uint32_t slots);

#endif
