/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unix_name.h - Unix sockets by the name of their file: listening there, as the only one, and connecting.
 *
 * Room: sys. A call that fails returns -errno, and vop_error_text() says why.
 */
#ifndef VOP_SYS_UNIX_NAME_H
#define VOP_SYS_UNIX_NAME_H

#include <sys/types.h>

/**
 * Makes a socket of type `type` that listens at `path`; replaces one that no process listens on any more. Its file has
 * mode `mode` from the moment it exists. -EADDRINUSE, -ENAMETOOLONG, those of bind(2).
 */
int vop__unix_listen(const char *path, int type, mode_t mode, int backlog, int *ret_socket);

/** Connects to `path`. -EAGAIN the backlog is full, -EPROTO the socket there is of another type, those of connect(2).
 */
int vop__unix_connect(const char *path, int type, int *ret_socket);

/** Nothing has this name: why, as vop__unix_connect() says it. -ENOENT. */
int vop__unix_missing(const char *path);

#endif
