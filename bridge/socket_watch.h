/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket_watch.h - notices when the socket of a listener loses its name.
 *
 * Room: bridge. On a libuv loop. Whoever cleans up a directory may take a socket for a file that nobody needs; then the
 * listener goes on to listen, and nobody can find it.
 */
#ifndef VOP_BRIDGE_SOCKET_WATCH_H
#define VOP_BRIDGE_SOCKET_WATCH_H

#include <stdint.h>
#include <uv.h>

/** The name is gone, or is that of something else. Called once; the watch is to be closed. */
typedef void socket_lost(void *context);

/** Which file it is. */
struct socket_file {
    uint64_t device, inode; /* st_dev, st_ino */
};

/** Private to socket_watch.c. */
struct socket_watch {
    const char *path; /* NULL: closed */
    struct socket_file file;
    socket_lost *lost;
    void *context;
    uv_poll_t poll;
    int inotify;
};

/** The path of the socket that a listener of this link makes, a part of `uri`; NULL if it makes none. */
const char *socket_watch_path(const char *uri);

/** Which file has this name now? -ENOENT and others of lstat(2). */
int socket_watch_look(const char *path, struct socket_file *ret_file);

/** Removes the socket that a listener has made there. */
void socket_watch_remove(const char *path);

/** An inotify descriptor that tells of names in the directory of `path`, or -errno. */
int socket_watch_begin(const char *path);

/**
 * Watches the socket that a listener has just made at `path`, which stays. Nothing is logged.
 *
 * -ENOENT   it has gone already
 * -errno    it cannot be watched; either way the watch is closed
 */
int socket_watch_open(struct socket_watch *watch, uv_loop_t *loop, const char *path, socket_lost *lost, void *context);

/** Does nothing if it is closed. The loop must turn once more before it is opened again. */
void socket_watch_close(struct socket_watch *watch);

#endif
