/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns.h - doing something inside another network namespace.
 *
 * Room: bridge. A socket or TAP opened inside stays there; the program itself returns at once.
 */
#ifndef VOP_BRIDGE_NETNS_H
#define VOP_BRIDGE_NETNS_H

/**
 * Opens the namespace that `name` means: a path, if it has a '/'; one of `ip netns`, if there is one of that name; or
 * the namespace of the process with that number. Says what is wrong.
 *
 * Returns a file descriptor, or -errno.
 */
int netns_open(const char *name);

/**
 * Enters the namespace; a negative `fd` stands for the present one, and nothing happens. Says what is wrong.
 *
 * ret_previous   for netns_leave(), which must follow
 */
int netns_enter(int fd, int *ret_previous);

/** Returns to where netns_enter() was called. */
void netns_leave(int previous);

#endif
