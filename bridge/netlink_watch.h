/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_watch.h - notices when somebody changes the interface: its state, MTU or name, or takes it away.
 *
 * Room: bridge. On a libuv loop.
 */
#ifndef VOP_BRIDGE_NETLINK_WATCH_H
#define VOP_BRIDGE_NETLINK_WATCH_H

#include <stdbool.h>
#include <uv.h>

/**
 * Something may have changed: netlink_look() tells what.
 *
 * -errno   the kernel did not tell; it is called again soon
 */
typedef int netlink_changed(void *context);

/** Private to netlink_watch.c. */
struct netlink_watch {
    struct nl_sock *sock; /* NULL: closed */
    uv_loop_t *loop;
    uv_poll_t *poll; /* frees itself when closed */
    uv_timer_t again;
    int index;
    bool has_changed;
    netlink_changed *changed;
    void *context;
};

/**
 * Watches the interface with this index, in the namespace `netns_fd` or (negative) the present one.
 *
 * -errno   it is not open; the reason was logged
 */
int netlink_watch_open(struct netlink_watch *watch, uv_loop_t *loop, int netns_fd, int index, netlink_changed *changed,
                       void *context);

/**
 * Watches the interface with this index from now on, in this namespace.
 *
 * -errno   it watches what it did before; the reason was logged
 */
int netlink_watch_move(struct netlink_watch *watch, int netns_fd, int index);

/** Closes it; does nothing if it is not open. The loop must run once more before it is closed. */
void netlink_watch_close(struct netlink_watch *watch);

#endif
