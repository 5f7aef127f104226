/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_server.h - servers in other processes, for programs that outlive them; and sockets that are not such servers.
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

/** A message there and back. */
void server_echo(vop_channel *channel);

/** Makes it close the link in an orderly way, and hears the end. */
void server_quit(vop_channel *channel);

/** A socket of a given type at the path of a shm URI, which listens if `backlog` is 0 or more. */
int server_socket(const char *uri, int type, int backlog);

/** Connects to it until its backlog is full. Returns how many sockets that took. */
unsigned server_fill_backlog(const char *uri, int *ret_sockets, unsigned max);

#endif
