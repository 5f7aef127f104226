/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_watch.h - notices when somebody changes the interface: its state, MTU or name, or takes it away.
 *
 * Room: bridge. On a libuv loop.
 */
#ifndef VOP_BRIDGE_NETLINK_WATCH_H
#define VOP_BRIDGE_NETLINK_WATCH_H

#include "sandbox_need.h"

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
 * A socket that hears of changes of interfaces, in the namespace `netns_fd` or (negative) the present one: another
 * process can make it.
 *
 * -errno   the reason was logged
 */
int netlink_watch_socket(int netns_fd);

/**
 * Watches the interface with this index by such a socket, which is closed with the watch.
 *
 * -errno   it is not open, and the socket closed; the reason was logged
 */
int netlink_watch_open(struct netlink_watch *watch, uv_loop_t *loop, int fd, int index, netlink_changed *changed,
                       void *context);

/**
 * Watches the interface with this index from now on, by another such socket, which is closed with the watch.
 *
 * -errno   it watches what it did before, and the socket is closed; the reason was logged
 */
int netlink_watch_move(struct netlink_watch *watch, int fd, int index);

/** Watches another interface of the same namespace. */
void netlink_watch_set_index(struct netlink_watch *watch, int index);

extern const struct sandbox_need netlink_watch_need;

/** Closes it; does nothing if it is not open. The loop must run once more before it is closed. */
void netlink_watch_close(struct netlink_watch *watch);

#endif
