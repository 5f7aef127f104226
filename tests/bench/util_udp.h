/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_udp.h - UDP sockets in two network namespaces.
 *
 * Room: tests/bench.
 */
#ifndef BENCH_UTIL_UDP_H
#define BENCH_UTIL_UDP_H

#include <netinet/in.h>

/** Enters the namespace of this name, as in `ip netns`; NULL: stays. Ends the program if that fails. */
void netns_enter(const char *name);

/**
 * A server's socket: bound to any address of the family of `address`, which is numeric, and to a port that is free.
 * Ends the program if that fails.
 */
int udp_open_server(const char *address, in_port_t *ret_port);

/** A client's socket, connected to this address and port. Ends the program if that fails. */
int udp_open_client(const char *address, in_port_t port);

#endif
