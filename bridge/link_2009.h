/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_2009.h - a link that is a network device between a host and an MPC8349 board in the layout of 2009:
 * mpc8349-2009:ADDRESS?device=N, or mpc8349-2009:board?device=N.
 *
 * Room: bridge. On a libuv loop.
 *
 *   ABSENT    there is no board, or somebody else has it; it is looked for four times a second
 *   WAITING   the board is ours, and its device looks for its peer
 *   UP        a session
 *
 * ABSENT <-> WAITING -> UP by themselves; UP -> WAITING or ABSENT by link_drop(). The link of the library is used
 * by the control loop while WAITING, and while UP by the thread that has the port.
 */
#ifndef VOP_BRIDGE_LINK_2009_H
#define VOP_BRIDGE_LINK_2009_H

#include "link.h"

extern const struct link_kind link_2009_kind;

#endif
