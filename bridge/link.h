/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - finds a peer, again and again: listens or connects, and starts over when a session has ended.
 *
 * Room: bridge. On a libuv loop. What carries frames sees nothing of it but the ports of a session.
 *
 *   WAITING    listening: the listener is polled; connecting, or without the device that the listener was on: a timer
 *              tries again, 20 ms to 250 ms apart
 *   UP         there is a channel. Listening: others wait in the socket's backlog, for a link has one peer
 *   CLOSED     nothing is open
 *
 * In WAITING and in UP a listener whose socket loses its name is closed, and the timer opens another one. That takes
 * nothing from a channel that is up.
 *
 * A link to a virtual machine (vhost-user:) goes its own way: link_vhost.h.
 *
 * WAITING -> UP by itself; UP -> WAITING by link_drop(); all -> CLOSED by link_close(). Coming up and going down are
 * logged.
 */
#ifndef VOP_BRIDGE_LINK_H
#define VOP_BRIDGE_LINK_H

#include "link_setup.h"
#include "link_vhost.h"
#include "port_channel.h"
#include "socket_watch.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <vopipc/channel.h>

/** Private to link.c. */
struct link {
    uv_loop_t *loop; /* NULL: CLOSED */
    bool is_vhost;   /* then the rest is not used */
    struct link_vhost vhost;
    struct link_setup setup;
    link_up *up;
    void *context;

    vop_listener *listener; /* NULL: connecting, or its device or its name is gone */
    uv_poll_t listener_poll;
    struct socket_watch socket_watch; /* open only while there is a listener */
    uv_timer_t retry;
    unsigned retry_ms;
    uint64_t waiting_since; /* loop time */
    bool has_complained;    /* about this wait */
    bool was_up;

    vop_channel *channel; /* NULL unless UP */
    struct port_channel port;
};

/**
 * Opens the listener, or tries to connect for the first time. A peer that is not there yet is no failure.
 *
 * -errno   the link is CLOSED; the reason was logged
 */
int link_open(struct link *link, uv_loop_t *loop, const struct link_setup *setup, link_up *up, void *context);

/** Logs why the session has ended, as a port told, closes the channel, and waits for the next peer. */
void link_drop(struct link *link, int why);

/** Closes everything; does nothing if the link is not open. The loop must run once more before it is closed. */
void link_close(struct link *link);

#endif
