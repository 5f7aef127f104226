/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns.h - does something inside another network namespace.
 *
 * Room: bridge. A socket or TAP that is opened inside stays there; the program itself returns at once.
 */
#ifndef VOP_BRIDGE_NETNS_H
#define VOP_BRIDGE_NETNS_H

/**
 * Opens the namespace that `name` means: a path, if it has a '/'; one of `ip netns`, if there is one of that name; or
 * the namespace of the process with that number.
 *
 * Returns a file descriptor, or -errno; the reason was logged.
 */
int netns_open(const char *name);

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
