/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket.c - what the kernel tells of a socket, and lets one refuse.
 *
 * Room: wire.
 */
#include "wire/socket.h"

#if !defined(SO_PASSRIGHTS) && SO_DOMAIN == 39 /* headers before Linux 6.16; the usual numbering of socket options */
#define SO_PASSRIGHTS 83
#endif

int vop__socket_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

struct ucred vop__socket_peer(int fd)
{
    const struct ucred nobody = {.pid = -1, .uid = (uid_t)-1, .gid = (gid_t)-1};
    struct ucred cred;
    socklen_t size = sizeof(cred);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 ? nobody : cred;
}

bool vop__socket_refuse_fds(int fd)
{
#ifdef SO_PASSRIGHTS
    int no = 0;

    return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0;
#else
    (void)fd;
    return false;
#endif
}
