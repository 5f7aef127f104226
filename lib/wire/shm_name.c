/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_name.c - the name of a link of the shm wire: listening at a path, connecting to it.
 *
 * Room: wire. PROTOCOL.md, The shm wire, is the contract.
 */
#include "core/clock.h"
#include "core/error.h"
#include "wire/shm_wire.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128
#define DIRECTORY_LOCK_TRIES 100 /* of 10 ms each */

static int address_of(const char *path, struct sockaddr_un *ret_address)
{
    size_t length = strlen(path);

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length == 0)
        return vop__error(EINVAL, "the link has no path: write shm:/path/of/socket");
    if (strchr(path, '?'))
        return vop__error(EINVAL, "%.80s: a shm link has no options; write shm:/path/of/socket, without '?'", path);
    if (length >= sizeof(ret_address->sun_path))
        return vop__error(ENAMETOOLONG, "%.60s...: a socket path has at most %zu bytes; use a shorter one", path,
                          sizeof(ret_address->sun_path) - 1);
    memcpy(ret_address->sun_path, path, length);
    return 0;
}

static int directory_missing(const char *path)
{
    return vop__error(ENOENT, "%s: its directory does not exist; create that first", path);
}

static int name_missing(const char *path)
{
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = "";
    const char *slash = strrchr(path, '/');

    if (slash)
        memcpy(directory, path, (size_t)(slash - path)); /* it fitted into an address */
    if (directory[0] && access(directory, F_OK) < 0 && errno == ENOENT)
        return directory_missing(path);
    return vop__error(ENOENT, "%s: no such socket; start the listening side first", path);
}

int vop__shm_check_name(const char *path)
{
    struct sockaddr_un address;
    int ret = address_of(path, &address);

    if (ret == 0 && access(path, F_OK) < 0 && errno == ENOENT)
        ret = name_missing(path);
    return ret;
}

static int nobody_listens(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return vop__error(ECONNREFUSED, "%s: not a socket; name the one that the listening side made", path);
    return vop__error(ECONNREFUSED, "%s: no server listens there any more; start the listening side", path);
}

static int path_error(int err, const char *path, const char *verb)
{
    switch (err) {
    case ENOENT:
        return directory_missing(path);
    case EACCES:
    case EPERM:
        return vop__error(err, "%s: no permission to %s there; use another directory or run as its owner", path, verb);
    default:
        return vop__error(err, "%s: cannot %s: %s", path, verb, strerror(err));
    }
}

/*
 * Two servers that start at the same moment would both find the same stale socket, and one would remove the other's
 * fresh one. A lock on the directory keeps them apart. Best effort: without permission to read the directory, there is
 * no lock.
 */
static int lock_directory(const char *path)
{
    char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct timespec pause = {.tv_nsec = 10 * VOP__NS_PER_MS};
    int fd;

    memcpy(copy, path, strlen(path) + 1); /* length checked by address_of() */
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    for (unsigned i = 0; i < DIRECTORY_LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        nanosleep(&pause, NULL);
    return fd;
}

/* Removes a socket that nobody listens on. */
static int remove_stale(const char *path, const struct sockaddr_un *address)
{
    struct stat st;
    int probe, ret, err;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : path_error(errno, path, "look");
    if (!S_ISSOCK(st.st_mode))
        return vop__error(EADDRINUSE, "%s: exists and is not a socket; remove it or use another path", path);
    probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return vop__error(errno, "cannot make a socket: %s", strerror(errno));
    ret = connect(probe, (const struct sockaddr *)address, sizeof(*address));
    err = errno;
    close(probe);
    if (ret < 0 && err == ECONNREFUSED)
        return unlink(path) < 0 && errno != ENOENT ? path_error(errno, path, "replace the old socket") : 0;
    if (ret < 0 && (err == EACCES || err == EPERM))
        return path_error(err, path, "connect");
    return vop__error(EADDRINUSE, "%s: another server listens there; stop it or use another path", path);
}

/*
 * Gives the fresh socket the bits that the umask took. Whoever may write to the directory can put something else in its
 * place in the meantime, such as a symbolic link: so it is opened without following links, looked at, and changed
 * through that descriptor.
 */
static int undo_umask(const char *path, mode_t mode)
{
    char by_fd[32];
    struct stat st;
    int ret = -1;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -1;
    (void)snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        errno = EBUSY;
    else if ((st.st_mode & 0777) == mode)
        ret = 0;
    else
        ret = chmod(by_fd, mode);
    close(fd);
    return ret;
}

int vop__shm_listen(const char *path, mode_t mode, int *ret_socket)
{
    struct sockaddr_un address;
    int fd, directory;
    int ret = address_of(path, &address);

    if (ret < 0)
        return ret;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return vop__error(errno, "cannot make a socket: %s", strerror(errno));
    directory = lock_directory(path);
    ret = remove_stale(path, &address);
    if (ret < 0)
        goto out;
    /* The file begins with the mode that the socket has before bind, less the umask: never wider than asked for. */
    if (fchmod(fd, mode & 0777) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        ret = path_error(errno, path, "create a socket");
        goto out;
    }
    if (undo_umask(path, mode & 0777) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        ret = path_error(errno, path, "set up the socket");
        unlink(path);
    }
out:
    if (directory >= 0)
        close(directory);
    if (ret < 0)
        close(fd);
    else
        *ret_socket = fd;
    return ret;
}

int vop__shm_accept(int listener, int *ret_socket)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        int err = errno;

        /* ECONNABORTED and the like: that peer has gone again. */
        if (err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS)
            return vop__error(err == ENOBUFS ? ENOMEM : err, "cannot accept a peer: %s; free some resources and retry",
                              strerror(err));
        return vop__error_static(EAGAIN, "no peer is waiting");
    }
    *ret_socket = fd;
    return 0;
}

int vop__shm_dial(const char *path, int64_t deadline, int *ret_socket)
{
    struct sockaddr_un address;
    struct timespec pause = {.tv_nsec = VOP__NS_PER_MS};
    int ret = address_of(path, &address);
    int fd, err;

    if (ret < 0)
        return ret;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return vop__error(errno, "cannot make a socket: %s", strerror(errno));
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        err = errno;
        if (err == EINTR)
            continue;
        if (err == EAGAIN && vop__time_left(deadline) > 0) { /* the backlog is full */
            nanosleep(&pause, NULL);
            continue;
        }
        close(fd);
        switch (err) {
        case EAGAIN:
            return vop__error(ETIMEDOUT, "%s: the server does not accept connections", path);
        case ENOENT:
            return name_missing(path);
        case ECONNREFUSED:
            return nobody_listens(path);
        case EPROTOTYPE:
            return vop__error(EPROTO, "%s: the socket there is of another type; this is not a libvopipc server", path);
        case EACCES:
            return vop__error(err, "%s: no permission; the socket's file mode must let this user write", path);
        default:
            return vop__error(err, "%s: cannot connect: %s", path, strerror(err));
        }
    }
    *ret_socket = fd;
    return 0;
}
