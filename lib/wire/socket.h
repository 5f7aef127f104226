/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket.h - what the kernel tells of a socket, and lets one refuse: unix(7), socket(7).
 *
 * Room: wire. None of these calls waits, or takes a lock that a peer could hold.
 */
#ifndef VOP_WIRE_SOCKET_H
#define VOP_WIRE_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>

/** The value of an option of SOL_SOCKET that is an int; -1 if it has none, or `fd` is no socket. */
int vop__socket_option(int fd, int option);

/** Who is at the other end, as of connect(2) or listen(2); all three are -1 if the kernel does not know. */
struct ucred vop__socket_peer(int fd);

/**
 * From now on nobody can send descriptors to this Unix socket, where the system can do that (Linux 6.16): true.
 * Elsewhere they stay in it until it is closed.
 */
bool vop__socket_refuse_fds(int fd);

#endif
