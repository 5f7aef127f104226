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
 * ABSENT <-> WAITING -> UP by themselves; UP -> WAITING or ABSENT by link_2009_drop(). The link of the library is used
 * by the control loop while WAITING, and while UP by the thread that has the port.
 */
#ifndef VOP_BRIDGE_LINK_2009_H
#define VOP_BRIDGE_LINK_2009_H

#include "link_setup.h"
#include "port_2009.h"

#include <uv.h>

/** Private to link_2009.c, but for `port`. */
struct link_2009 {
    uv_loop_t *loop;
    struct link_setup setup;
    const struct link_events *events;
    void *context;
    uv_timer_t reopen;
    bool has_complained; /* that there is no board */
    vop_net2009 *link;   /* NULL: ABSENT */
    unsigned device;
    uv_poll_t *poll; /* while WAITING; frees itself when closed */
    struct port_2009 port;
    uint64_t peer_features;
    struct link_peer peer; /* as it was told last */
};

/** Is this the name of such a link? */
bool link_is_2009(const char *uri);

/** Is it the host's end? */
bool link_2009_is_host(const char *uri);

/** As link_open(). */
int link_2009_open(struct link_2009 *link, uv_loop_t *loop, const struct link_setup *setup,
                   const struct link_events *events, void *context);

/** As link_drop(), link_look(), and link_close() for a link that is open. */
void link_2009_drop(struct link_2009 *link, int why, const char *text);
bool link_2009_look(struct link_2009 *link, struct link_peer *ret_peer);
void link_2009_close(struct link_2009 *link);

/** As link_announce(): the configuration of `setup` is as it is to be announced. */
void link_2009_announce(struct link_2009 *link, const struct vop_net_config *config);

#endif
