/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_socket.h - where the control socket of a bridge lies: makes it there, and takes it away again.
 *
 * Room: bridge. The file is DIRECTORY/NAME.PID.sock, so bridges of one name do not meet.
 */
#ifndef VOP_BRIDGE_CONTROL_SOCKET_H
#define VOP_BRIDGE_CONTROL_SOCKET_H

#include "unix_socket.h"

#include <sys/types.h>

/** Where root's bridges are looked for. Others are below $XDG_RUNTIME_DIR, in a directory of this same name. */
#define CONTROL_DIRECTORY "/run/vop-bridge"

#define CONTROL_PATH_SIZE UNIX_PATH_SIZE

/** All 0: closed. */
struct control_socket {
    struct unix_socket file;
    char directory[CONTROL_PATH_SIZE];
};

/**
 * Makes the socket, non-blocking and listening, and removes those that bridges which were killed have left there.
 *
 * directory   made if it is not there; NULL: CONTROL_DIRECTORY or, where this user cannot write there, the other one
 * name        of the interface
 * mode        file mode of the socket
 *
 * -ENOENT         without a directory: XDG_RUNTIME_DIR is not set, and CONTROL_DIRECTORY cannot be used
 * -ENAMETOOLONG   the path is longer than an address of a socket can be: 107 bytes
 * -EADDRINUSE     another bridge has this very name, in another PID namespace
 * -errno          as mkdir(2), bind(2) and link(2) say
 *
 * On failure `ret_path` has what could not be used, if it was found at all.
 */
int control_socket_open(const char *directory, const char *name, mode_t mode, struct control_socket *ret_socket,
                        char ret_path[CONTROL_PATH_SIZE]);

/**
 * Gives the file the name that one of this interface has. Clients that are connected stay so.
 *
 * -ENAMETOOLONG   as above
 * -errno          as rename(2) says; it has the old name
 */
int control_socket_rename(struct control_socket *socket, const char *name);

/** Removes the file, and the directory if it is empty and as a bridge makes it. Does nothing if it is closed. */
void control_socket_close(struct control_socket *socket);

#endif
