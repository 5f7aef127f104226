/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.h - a channel in the application's event loop: the descriptor behind vop_channel_fd().
 *
 * Room: channel, its third step.
 */
#ifndef VOP_CHANNEL_EVENT_H
#define VOP_CHANNEL_EVENT_H

#include "channel/channel.h"

/**
 * Makes the descriptor. Before the peer hears of the channel: a lack of descriptors later would end what it has
 * already. 0, or -errno with a text and nothing to close.
 */
int vop__event_open(struct vop_channel *c);

/** The link is up: the descriptor polls readable when it is time to beat. */
void vop__event_start(struct vop_channel *c);

/** Undoes vop__event_open(). */
void vop__event_close(struct vop_channel *c);

#endif
