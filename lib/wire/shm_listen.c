/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_listen.c - the listening socket of the shm wire: made at a path that nobody else has, or taken from outside.
 *
 * Room: wire. PROTOCOL.md, The shm wire, is the contract.
 */
#include "core/error.h"
#include "sys/closer.h"
#include "sys/opener.h"
#include "wire/shm_wire.h"
#include "wire/socket.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128

/* A socket that somebody else has made and listens on. The caller keeps his descriptor. */
static int adopt_listener(const char *number, int *ret_socket)
{
    char *end = NULL;
    long fd = strtol(number, &end, 10);
    int copy;

    if (number[0] < '0' || number[0] > '9' || *end || fd >= INT_MAX) /* a long of 32 bits ends there, too */
        return vop__error(EINVAL, "fd:%.20s: not the number of a descriptor; write shm:fd:3", number);
    if (vop__socket_option((int)fd, SO_DOMAIN) != AF_UNIX || vop__socket_option((int)fd, SO_TYPE) != SOCK_SEQPACKET ||
        vop__socket_option((int)fd, SO_ACCEPTCONN) != 1)
        return vop__error(EINVAL,
                          "fd:%ld: not a listening Unix socket of type SOCK_SEQPACKET; pass one as that descriptor, or "
                          "write shm:/path/of/socket",
                          fd);
    copy = fcntl((int)fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return vop__error(errno, "cannot listen on fd:%ld: %s", fd, strerror(errno));
    if (fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | O_NONBLOCK) < 0) {
        int err = errno;

        close(copy);
        return vop__error(err, "cannot listen on fd:%ld: %s", fd, strerror(err));
    }
    *ret_socket = copy;
    return 0;
}

int vop__shm_listen(const char *path, mode_t mode, int *ret_socket)
{
    struct sockaddr_un address;
    int ret;

    if (vop__shm_is_fd(path))
        return adopt_listener(path + strlen(VOP__SHM_FD), ret_socket);
    ret = vop__shm_address(path, &address);
    if (ret == 0)
        ret = vop__open_listening(path, SOCK_SEQPACKET, mode & 0777, LISTEN_BACKLOG);
    if (ret < 0)
        return ret;
    *ret_socket = ret;
    return 0;
}

int vop__shm_file(const char *path, char **ret_file)
{
    char *file = NULL, *here;

    if (vop__shm_is_fd(path)) {
        *ret_file = NULL;
        return 0;
    }
    here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (!here || here[0] != '/') /* a directory that cannot be named: then it is as good as gone when left */
        file = strdup(path);
    else if (asprintf(&file, "%s/%s", here, path) < 0)
        file = NULL;
    free(here);
    if (!file)
        return vop__error(ENOMEM, "no memory for a path");
    *ret_file = file;
    return 0;
}

int vop__shm_accept(int listener, int *ret_socket)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        int err = errno;

        if (err == EMFILE && vop__closer_is_behind())
            return vop__error_static(EAGAIN, "descriptors of a link that is over are still being closed");
        /* ECONNABORTED and the like: that peer has gone again. */
        if (err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS)
            return vop__error(err == ENOBUFS ? ENOMEM : err, "cannot accept a peer: %s; free some resources and retry",
                              strerror(err));
        return vop__error_static(EAGAIN, "no peer is waiting");
    }
    *ret_socket = fd;
    return 0;
}
