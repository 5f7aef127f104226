/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen.c - a Unix socket under a path, in the place of one that a dead server left there; and connecting to one.
 *
 * Room: vhost.
 */
#include "sys/closer.h"
#include "sys/opener.h"

#include <vopipc/vhost_user.h>

#include <sys/socket.h>

#define BACKLOG 8

int vop_vhost_user_connect(const char *path, int *ret_fd)
{
    int fd = vop__open_connected(path, SOCK_STREAM);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

void vop_vhost_user_disconnect(int socket)
{
    vop__closer_take_socket(socket);
}

int vop_vhost_user_listen(const char *path, uint32_t mode, int *ret_fd)
{
    int fd = vop__open_listening(path, SOCK_STREAM, mode != 0 ? mode : 0600, BACKLOG);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}
