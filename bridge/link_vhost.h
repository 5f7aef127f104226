/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_vhost.h - a link whose peer is the network card of a virtual machine: vhost-user:PATH, with options behind a ?.
 *
 * Room: bridge. On a libuv loop. It listens on the socket for the program that runs the machine, its front end; or it
 * connects, if that program listens (?connect).
 *
 *   LISTENING   no front end; connecting: a timer tries again, 20 ms to 250 ms apart
 *   CONNECTED   a front end, whose driver does not use the card: the machine boots, or its interface is down
 *   UP          the driver has the queues of one pair running, or of several from the first on: a session
 *
 * LISTENING -> CONNECTED -> UP and CONNECTED -> LISTENING by themselves; UP -> CONNECTED or LISTENING by
 * link_drop(). While a front end is there, others wait in the socket's backlog.
 *
 * Each queue pair of the card is a port, whose thread serves its queues. What the front end says is for the control
 * loop, which keeps those threads away while it listens: queues start and stop then.
 */
#ifndef VOP_BRIDGE_LINK_VHOST_H
#define VOP_BRIDGE_LINK_VHOST_H

#include "link.h"

extern const struct link_kind link_vhost_kind;

#endif
