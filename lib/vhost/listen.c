/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen.c - a Unix socket under a path, in the place of one that a dead server left there; and connecting to one.
 *
 * Room: vhost.
 */
#include "core/error.h"
#include "sys/closer.h"

#include <vopipc/vhost_user.h>

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 8

/* Removes a socket that nobody listens on: 0 if the name is free. */
static int remove_stale(int fd, const struct sockaddr_un *address)
{
    struct stat st;

    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno != ECONNREFUSED)
        return -EADDRINUSE;
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* A socket has its mode before anybody can connect. */
static int bind_and_listen(int fd, const struct sockaddr_un *address, uint32_t mode)
{
    if (fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return -errno;
    if (chmod(address->sun_path, mode) < 0 || listen(fd, BACKLOG) < 0) {
        int err = errno;

        unlink(address->sun_path);
        return -err;
    }
    return 0;
}

static int make_address(const char *path, struct sockaddr_un *ret_address)
{
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(ret_address->sun_path))
        return vop__error(ENAMETOOLONG, "%s: the name of a socket has 1 to %zu bytes", path,
                          sizeof(ret_address->sun_path) - 1);
    memset(ret_address, 0, sizeof(*ret_address));
    ret_address->sun_family = AF_UNIX;
    memcpy(ret_address->sun_path, path, length);
    return 0;
}

int vop_vhost_user_connect(const char *path, int *ret_fd)
{
    struct sockaddr_un address;
    int fd, ret = make_address(path, &address);

    if (ret < 0)
        return ret;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        *ret_fd = fd;
        return 0;
    }
    ret = vop__error(errno, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ret;
}

void vop_vhost_user_disconnect(int socket)
{
    vop__closer_take_socket(socket);
}

int vop_vhost_user_listen(const char *path, uint32_t mode, int *ret_fd)
{
    struct sockaddr_un address;
    int probe, fd = -1, ret = make_address(path, &address);

    if (ret < 0)
        return ret;
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ret = probe < 0 ? -errno : remove_stale(probe, &address);
    if (ret == 0) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ret = fd < 0 ? -errno : bind_and_listen(fd, &address, mode != 0 ? mode : 0600);
    }
    if (probe >= 0)
        close(probe);
    if (ret == 0) {
        *ret_fd = fd;
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return vop__error(-ret, "%s: %s", path,
                      ret == -EADDRINUSE ? "somebody listens there already, or it is no socket" : strerror(-ret));
}
