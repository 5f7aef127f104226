/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.h - a channel in the application's event loop: the descriptor behind vop_channel_fd().
 *
 * Room: channel, its third step.
 */
#ifndef VOP_CHANNEL_EVENT_H
#define VOP_CHANNEL_EVENT_H

#include "channel/channel.h"

/** There is no descriptor yet: it is made when it is asked for. */
void vop__event_init(struct vop_channel *c);

/** Closes it, if there is one. */
void vop__event_close(struct vop_channel *c);

#endif
