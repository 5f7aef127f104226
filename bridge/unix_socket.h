/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unix_socket.h - a listening Unix socket at a path: puts it there, and takes it away again.
 *
 * Room: bridge. The file appears under its name only when it listens: so whoever finds one that refuses him knows that
 * nobody has it open any more, and may remove it. None is taken from somebody who lives.
 */
#ifndef VOP_BRIDGE_UNIX_SOCKET_H
#define VOP_BRIDGE_UNIX_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#define UNIX_PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

/** A socket that is open has a path. */
struct unix_socket {
    int fd;                    /* non-blocking and listening; -1 once somebody else has taken it */
    char path[UNIX_PATH_SIZE]; /* "": closed */
    dev_t device;
    ino_t inode;
};

enum unix_socket_op {
    UNIX_SOCKET_CLOSE,
    UNIX_SOCKET_RENAME, /* after the interface */
    UNIX_SOCKET_MODE,
    UNIX_SOCKET_OPS
};

/** What the broker is asked, where there is one. */
struct unix_socket_question {
    uint32_t op; /* enum unix_socket_op */
    uint32_t mode;
    char path[UNIX_PATH_SIZE]; /* which socket is meant */
};

/** Asks the broker. ret_path, which may be NULL, is the path afterwards. */
int unix_socket_away(enum unix_socket_op op, const struct unix_socket *socket, mode_t mode,
                     char ret_path[UNIX_PATH_SIZE]);

/**
 * Makes a socket that listens. One that is dead is replaced.
 *
 * directory    of the file
 * unfinished   name of the file until it listens; what has it already is removed
 * name         of the file then
 * mode         of the file: who may connect
 *
 * -ENAMETOOLONG   a path is longer than an address of a socket can be: 107 bytes
 * -EADDRINUSE     somebody listens there, or it is no socket
 * -errno          as socket(2), bind(2), chmod(2) and link(2) say
 */
int unix_socket_open(const char *directory, const char *unfinished, const char *name, mode_t mode,
                     struct unix_socket *ret_socket);

/**
 * Gives it another name in its directory, under the same conditions as before. Clients that are connected stay so.
 *
 * -ENOENT   the file is not ours any more
 * -errno    as above; it has the old name
 */
int unix_socket_rename(struct unix_socket *socket, const char *name);

/**
 * Gives the file another mode.
 *
 * -ENOENT   it is not ours any more
 * -errno    as chmod(2) says
 */
int unix_socket_set_mode(const struct unix_socket *socket, mode_t mode);

/** Removes the file if it is still ours; does nothing if the socket is closed. */
void unix_socket_close(struct unix_socket *socket);

/** Is the file a socket that refuses who comes? Then nobody has it open. */
bool unix_socket_is_dead(const char *path);

#endif
