/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_server.h - servers in other processes, sockets that are not such servers, and a connector that meets them.
 *
 * Room: tests.
 */
#ifndef TESTS_UNIT_LINK_UTIL_SERVER_H
#define TESTS_UNIT_LINK_UTIL_SERVER_H

#include "support/link.h"

/**
 * Starts a server that echoes: one link after another, until it is killed. "quit" makes it close the link at once. It
 * listens after `delay_ms`.
 */
pid_t server_start(const char *uri, const struct vop_options *options, long delay_ms);

/** Kills it, whatever it does. */
void server_kill(pid_t server);

/** Removes what those that were killed have left at a shm URI, and its directory. */
void server_clean(const char *uri);

/** A message there and back. */
void server_echo(vop_channel *channel);

/** Makes it close the link in an orderly way, and hears the end. */
void server_quit(vop_channel *channel);

/** A socket of a given type at the path of a shm URI, which listens if `backlog` is 0 or more. */
int server_socket(const char *uri, int type, int backlog);

/** Connects to it until its backlog is full. Returns how many sockets that took. */
unsigned server_fill_backlog(const char *uri, int *ret_sockets, unsigned max);

/* ---- A connector that meets them ---- */

/** One that is open. */
vop_connector *opened(const char *uri, const struct vop_options *options);

/** Has it something to do, within that time? */
bool is_readable(const vop_connector *connector, int timeout_ms);

/** One step, which does not wait. */
int one_step(vop_connector *connector, vop_channel **ret_channel);

/** What an event loop does: a step whenever the descriptor is readable, until that is not -EAGAIN. Counts them. */
int run_loop(vop_connector *connector, vop_channel **ret_channel, unsigned *ret_steps);

/** A channel, for which it waits. */
vop_channel *connected(vop_connector *connector);

#endif
