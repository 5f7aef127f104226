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
 * A link to a virtual machine (vhost-user:) goes its own way, and so does a board's network device (mpc8349-2009:):
 * link_vhost.h, link_2009.h.
 *
 * WAITING -> UP by itself; UP -> WAITING by link_drop(); all -> CLOSED by link_close(). Coming up and going down are
 * logged.
 */
#ifndef VOP_BRIDGE_LINK_H
#define VOP_BRIDGE_LINK_H

#include "link_2009.h"
#include "link_setup.h"
#include "link_vhost.h"
#include "port_channel.h"
#include "socket_watch.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <vopipc/channel.h>

enum link_kind {
    LINK_CHANNEL,
    LINK_VHOST,
    LINK_2009,
};

/** Private to link.c. */
struct link {
    uv_loop_t *loop;     /* NULL: CLOSED */
    enum link_kind kind; /* where it is no channel, the next but one, `setup` and nothing else is used */
    struct link_vhost vhost;
    struct link_2009 pair;
    struct link_setup setup;
    const struct link_events *events;
    void *context;

    vop_listener *listener; /* NULL: connecting, or its device or its name is gone */
    uv_poll_t listener_poll;
    struct socket_watch socket_watch; /* open only while there is a listener */
    uv_timer_t retry;
    unsigned retry_ms;
    uint64_t waiting_since; /* loop time */
    bool has_complained;    /* about this wait */
    bool was_up;
    bool is_changed; /* what is announced is not any more what it was at first */

    vop_channel *channel; /* NULL unless UP */
    struct port_channel ports[LINK_PORTS_MAX];
    unsigned port_count;
    uint32_t generation; /* of what the peer says of its interface */
    struct link_peer peer;
};

/**
 * Opens the listener, or tries to connect for the first time. A peer that is not there yet is no failure.
 *
 * -errno   the link is CLOSED; the reason was logged
 */
int link_open(struct link *link, uv_loop_t *loop, const struct link_setup *setup, const struct link_events *events,
              void *context);

/**
 * Logs why the session has ended, as a port told, closes the channel, and waits for the next peer. Nobody uses a port
 * any more.
 *
 * text   vop_error_text() of the thread that was told
 */
void link_drop(struct link *link, int why, const char *text);

/**
 * Announces the state of the interface to the peer, now and to those who come: is it up, and its MTU. A peer whose
 * library is too old keeps what it was told first, and a machine is told nothing.
 */
void link_announce(struct link *link, bool is_up, uint32_t mtu);

/** After a port's process() returned 1. Returns whether something is new, and fills in all of it. */
bool link_look(struct link *link, struct link_peer *ret_peer);

/** Ends the wait of a thread that a peer may hold up. */
void link_unblock(struct link *link);

/** Closes everything; does nothing if the link is not open. The loop must run once more before it is closed. */
void link_close(struct link *link);

#endif
