/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns.h - does something inside another network namespace.
 *
 * Room: bridge. A socket or TAP that is opened inside stays there; the program itself returns at once.
 */
#ifndef VOP_BRIDGE_NETNS_H
#define VOP_BRIDGE_NETNS_H

#include <limits.h>
#include <stdbool.h>

struct netns {
    int fd;              /* -1: the present one, which was not opened */
    char path[PATH_MAX]; /* its name in the file system; "" if it has none, as a process's has not */
};

/**
 * Opens the namespace that `name` means: an open descriptor, if it is fd:N; a path, if it has a '/'; one of `ip netns`,
 * if there is one of that name; or the namespace of the process with that number.
 *
 * -errno   the reason was logged
 */
int netns_open(const char *name, struct netns *ret_netns);

/** Does its path still lead to this namespace? */
bool netns_has_name(const struct netns *netns);

/** Closes the descriptor, if there is one. */
void netns_close(struct netns *netns);

/**
 * Enters the namespace. If that is the present one, for which a negative `fd` stands, too, nothing happens.
 *
 * ret_previous   for netns_leave(), which must follow
 *
 * -errno   this thread is where it was; the reason was logged
 */
int netns_enter(int fd, int *ret_previous);

/** Returns to where netns_enter() was called. */
void netns_leave(int previous);

#endif
