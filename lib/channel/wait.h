/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wait.h - how a thread waits for a channel: it spins for as long as that paid off lately, then sleeps.
 *
 * Room: channel, its third step.
 */
#ifndef VOP_CHANNEL_WAIT_H
#define VOP_CHANNEL_WAIT_H

#include "channel/channel.h"

/** Looks at an index, a pause after each, before anything else is looked at. */
#define VOP__GLANCES 32u

/** Sets up the spinning that an option asks for, in microseconds. */
void vop__spin_start(struct vop_spin *spin, uint32_t spin_us);

/**
 * vop__tx_try() and vop__rx_try(), repeated until the result is not -EAGAIN, or until timeout_ms is over (then
 * -EAGAIN). Call them after a first try returned -EAGAIN. -EINTR: a signal ended the sleep. -ECANCELED:
 * vop_channel_interrupt() did.
 */
int vop__tx_wait(struct vop_channel *c, size_t length, int timeout_ms, struct vop_buffer *ret_buffer);
int vop__rx_wait(struct vop_channel *c, int timeout_ms);

#endif
