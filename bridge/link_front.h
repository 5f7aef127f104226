/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_front.h - a link whose peer is a network card in another program, the back end of vhost-user, and whose driver
 * is this side: vhost-user:PATH?front.
 *
 * Room: bridge. On a libuv loop. It connects to the socket on which the back end listens.
 *
 *   WAITING   no back end; a timer tries again, 20 ms to 250 ms apart, and less often while one is busy with others
 *   UP        all queue pairs that both sides have run: a session
 *
 * Each session has memory of its own for rings and frames, which a back end of an earlier one cannot reach.
 */
#ifndef VOP_BRIDGE_LINK_FRONT_H
#define VOP_BRIDGE_LINK_FRONT_H

#include "link.h"

extern const struct link_kind link_front_kind;

#endif
