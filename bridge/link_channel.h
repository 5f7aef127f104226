/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_channel.h - a link that is a channel of the library: listens or connects, and starts over when a session ended.
 *
 * Room: bridge. On a libuv loop.
 *
 *   WAITING    listening: the listener is polled; connecting, or without the device that the listener was on: a timer
 *              tries again, 20 ms to 250 ms apart
 *   UP         there is a channel. Listening: others wait in the socket's backlog, for a link has one peer
 *
 * In WAITING and in UP a listener whose socket loses its name is closed, and the timer opens another one. That takes
 * nothing from a channel that is up.
 */
#ifndef VOP_BRIDGE_LINK_CHANNEL_H
#define VOP_BRIDGE_LINK_CHANNEL_H

#include "link.h"

extern const struct link_kind link_channel_kind;

#endif
