/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unix_socket.c - a listening Unix socket at a path: puts it there, and takes it away again.
 *
 * Room: bridge.
 */
#include "unix_socket.h"

#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if !defined(SO_PASSRIGHTS) && SO_DOMAIN == 39 /* headers before Linux 6.16; the usual numbering of socket options */
#define SO_PASSRIGHTS 83
#endif

#define BACKLOG 128
#define TRIES 10 /* somebody may take the name of a dead one at the same time */

static bool set_path(const char *directory, const char *name, char ret_path[UNIX_PATH_SIZE])
{
    int length = snprintf(ret_path, UNIX_PATH_SIZE, "%s/%s", directory, name);

    return length > 0 && (size_t)length < UNIX_PATH_SIZE;
}

static struct sockaddr_un address_of(const char path[UNIX_PATH_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, path, strlen(path) + 1);
    return address;
}

bool unix_socket_is_dead(const char *path)
{
    struct sockaddr_un address = address_of(path);
    struct stat st;
    int fd = lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)
                 ? -1
                 : socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_refused =
        fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return is_refused;
}

/* Gives the socket its name, which nobody has, or only a dead one. */
static int publish(const char *from, const char *to)
{
    for (int i = 0; i < TRIES; i++) {
        if (link(from, to) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
        if (!unix_socket_is_dead(to))
            return -EADDRINUSE;
        unlink(to);
    }
    return -EADDRINUSE;
}

/* Clients have no descriptors to send, and closing one can take as long as they like. Connections inherit this. */
static void refuse_fds(int fd)
{
#ifdef SO_PASSRIGHTS
    int no = 0;

    (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
#else
    (void)fd;
#endif
}

static int bind_unfinished(int fd, const char *path, mode_t mode)
{
    struct sockaddr_un address = address_of(path);

    unlink(path); /* of a bridge that had our PID */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    refuse_fds(fd);
    if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0) {
        int ret = -errno;

        unlink(path);
        return ret;
    }
    return 0;
}

static int put(struct unix_socket *made, const char *unfinished, mode_t mode)
{
    struct stat st;
    int ret = bind_unfinished(made->fd, unfinished, mode);

    if (ret)
        return ret;
    ret = lstat(unfinished, &st) < 0 ? -errno : publish(unfinished, made->path);
    unlink(unfinished);
    made->device = st.st_dev;
    made->inode = st.st_ino;
    return ret;
}

int unix_socket_open(const char *directory, const char *unfinished, const char *name, mode_t mode,
                     struct unix_socket *ret_socket)
{
    struct unix_socket made = {.fd = -1};
    char first_path[UNIX_PATH_SIZE];
    int ret;

    if (!set_path(directory, unfinished, first_path) || !set_path(directory, name, made.path))
        return -ENAMETOOLONG;
    made.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made.fd < 0)
        return -errno;
    ret = put(&made, first_path, mode);
    if (ret) {
        close(made.fd);
        return ret;
    }
    *ret_socket = made;
    return 0;
}

static bool is_ours(const struct unix_socket *socket)
{
    struct stat st;

    return lstat(socket->path, &st) == 0 && st.st_dev == socket->device && st.st_ino == socket->inode;
}

int unix_socket_rename(struct unix_socket *socket, const char *name)
{
    char directory[UNIX_PATH_SIZE], path[UNIX_PATH_SIZE];
    int ret;

    snprintf(directory, sizeof(directory), "%.*s", (int)(strrchr(socket->path, '/') - socket->path), socket->path);
    if (!set_path(directory, name, path))
        return -ENAMETOOLONG;
    if (!is_ours(socket))
        return -ENOENT;
    ret = publish(socket->path, path);
    if (ret)
        return ret;
    unlink(socket->path);
    memcpy(socket->path, path, sizeof(socket->path));
    return 0;
}

int unix_socket_away(enum unix_socket_op op, const struct unix_socket *socket, mode_t mode,
                     char ret_path[UNIX_PATH_SIZE])
{
    struct unix_socket_question question = {.op = op, .mode = mode};

    memcpy(question.path, socket->path, sizeof(question.path));
    return broker_ask(BROKER_SOCKET, &question, sizeof(question), ret_path, ret_path ? UNIX_PATH_SIZE : 0, NULL);
}

int unix_socket_set_mode(const struct unix_socket *socket, mode_t mode)
{
    if (broker_is_there())
        return unix_socket_away(UNIX_SOCKET_MODE, socket, mode, NULL);
    if (!is_ours(socket))
        return -ENOENT;
    return chmod(socket->path, mode) < 0 ? -errno : 0;
}

void unix_socket_close(struct unix_socket *socket)
{
    if (!socket->path[0])
        return;
    if (broker_is_there())
        (void)unix_socket_away(UNIX_SOCKET_CLOSE, socket, 0, NULL);
    else if (is_ours(socket))
        unlink(socket->path);
    if (socket->fd >= 0)
        close(socket->fd);
    socket->fd = -1;
    socket->path[0] = '\0';
}
