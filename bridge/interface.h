/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interface.h - the network interface of a bridge, for as long as the bridge runs: made, watched, and made again.
 *
 * Room: bridge. It knows nothing of links and workers. What an interface is made of is in setup.h; what happens to it
 * later is heard from the kernel:
 *
 *   THERE    the TAP is open. Its state, MTU and name may be changed by anybody, and it may be moved to another network
 *            namespace: `now` and `tap` follow
 *   LOST     it was deleted, and is to be made again; that is tried until it works
 *   CLOSED   nothing is open
 *
 * CLOSED -> THERE by interface_open(); THERE -> LOST by interface_lose(); LOST -> THERE by itself, which events->made()
 * tells; all -> CLOSED by interface_close().
 */
#ifndef VOP_BRIDGE_INTERFACE_H
#define VOP_BRIDGE_INTERFACE_H

#include "netlink.h"
#include "netlink_watch.h"
#include "netns.h"
#include "options.h"
#include "tap.h"

#include <uv.h>

/** What an interface tells, on the control loop. */
struct interface_events {
    /** Its state or its MTU is another one: see `now`. */
    void (*changed)(void *context);
    /** It has another name. */
    void (*renamed)(void *context);
    /** It was made again: the TAP has other descriptors, its carrier is off, and all else is as at the start. */
    void (*made)(void *context);
};

struct interface {
    const struct options *options;
    struct netns netns; /* that of --netns */
    int moved_fd;       /* that to which somebody has moved it; -1: nobody has, or only the broker knows it */
    bool is_away;       /* the broker has followed it there */
    struct tap tap;
    struct netlink *netlink; /* selects it */
    struct netlink_interface now;
    struct netlink_watch watch;

    uv_loop_t *loop; /* NULL: it is not watched */
    const struct interface_events *events;
    void *context;
    uv_timer_t again; /* LOST */
    unsigned pause_ms;
    uint64_t made_at; /* by uv_hrtime() */
};

/** What an interface is before it is opened. */
#define INTERFACE_CLOSED               \
    (struct interface)                 \
    {                                  \
        .netns.fd = -1, .moved_fd = -1 \
    }

/**
 * Makes the interface, or takes it over, as the options say.
 *
 * -errno   the reason was logged. interface_close() must follow all the same
 */
int interface_open(struct interface *interface, const struct options *options);

/**
 * Begins to watch it.
 *
 * -errno   the reason was logged; it is not watched
 */
int interface_watch(struct interface *interface, uv_loop_t *loop, const struct interface_events *events, void *context);

/** It was deleted, which a descriptor of the TAP tells. Nobody uses these any more: they are closed, and it is made
 * again. */
void interface_lose(struct interface *interface);

/** Ends the watch; does nothing without one. The loop must run once more before it is closed. */
void interface_unwatch(struct interface *interface);

/** Closes everything. Unless it is persistent, the interface goes with it. */
void interface_close(struct interface *interface);

#endif
