/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - a peer, again and again: listens or connects, and starts over when the session has ended.
 *
 * Room: bridge. On the libuv loop of the bridge.
 *
 *   WAITING    listening: the listener is polled; connecting, or without the device that the listener was on: a timer
 *              tries again, 20 ms to 250 ms apart
 *   UP         there is a channel and its descriptor is polled. Listening: others wait in the socket's backlog, for
 *              there is one link
 *   CLOSED     nothing is open
 *
 * WAITING -> UP by itself; UP -> WAITING by link_drop(); all -> CLOSED by link_close().
 */
#ifndef VOP_BRIDGE_LINK_H
#define VOP_BRIDGE_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <vopipc/channel.h>

struct link_callbacks {
    /** A peer is there. Returns 0, or a negative errno (and has said why) to refuse it. */
    int (*up)(void *context, vop_channel *channel);
    /** The channel's descriptor has something: call vop_channel_process(). */
    void (*ready)(void *context);
};

struct link {
    uv_loop_t *loop;
    const char *uri;
    bool is_listening;
    struct vop_options options;
    struct link_callbacks callbacks;
    void *context;

    vop_listener *listener; /* NULL: connecting, or its device is gone */
    uv_poll_t listener_poll;
    uv_timer_t retry;
    unsigned retry_ms;
    uint64_t waiting_since; /* loop time */
    bool has_complained;    /* about this wait */
    bool was_up;

    vop_channel *channel; /* NULL unless UP */
    uv_poll_t *poll;      /* of the channel; frees itself when closed */
};

/**
 * Opens the listener, or tries to connect for the first time. A peer that is not there yet is no failure. Says what is
 * wrong.
 *
 * -errno   nothing is open
 */
int link_open(struct link *link, uv_loop_t *loop, const char *uri, bool is_listening, const struct vop_options *options,
              const struct link_callbacks *callbacks, void *context);

/** Closes the channel, and waits for the next peer. */
void link_drop(struct link *link);

/** Closes everything. The loop must run once more before it is closed. */
void link_close(struct link *link);

#endif
