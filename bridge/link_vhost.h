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
 * link_vhost_drop(). While a front end is there, others wait in the socket's backlog.
 *
 * Each queue pair of the card is a port, whose thread serves its queues. What the front end says is for the control
 * loop, which keeps those threads away while it listens: queues start and stop then.
 */
#ifndef VOP_BRIDGE_LINK_VHOST_H
#define VOP_BRIDGE_LINK_VHOST_H

#include "link_setup.h"
#include "port_vhost.h"
#include "socket_watch.h"

#include <limits.h>
#include <uv.h>

/** Private to link_vhost.c. */
struct link_vhost {
    uv_loop_t *loop;
    struct link_setup setup;
    char path[PATH_MAX];
    char record[PATH_MAX];
    bool is_packed;     /* packed rings are offered as well */
    bool is_connecting; /* the front end listens */
    const struct link_events *events;
    void *context;

    int listener;
    uv_poll_t *listener_poll; /* frees itself when closed, as does the other */
    struct socket_watch socket_watch;
    uv_timer_t reopen; /* to listen anew, or to connect again */
    unsigned retry_ms;
    bool has_complained; /* that there is no front end */

    vop_vhost_user *device; /* NULL while LISTENING */
    uv_poll_t *device_poll;
    struct port_vhost ports[LINK_PORTS_MAX];
    unsigned pairs; /* of the device: so many ports */
    unsigned up;    /* of the session; 0: there is none */
    bool has_ended; /* the connection to the front end */
};

/** Is this the name of such a link? */
bool link_is_vhost(const char *uri);

/** As link_open(). -EINVAL: the name is wrong. */
int link_vhost_open(struct link_vhost *link, uv_loop_t *loop, const struct link_setup *setup,
                    const struct link_events *events, void *context);

/** As link_drop(). */
void link_vhost_drop(struct link_vhost *link, int why, const char *text);

/** As link_close(), for a link that is open. */
void link_vhost_close(struct link_vhost *link);

#endif
