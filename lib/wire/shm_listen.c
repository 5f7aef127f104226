/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_listen.c - the listening socket of the shm wire: made at a path that nobody else has, or taken from outside.
 *
 * Room: wire. PROTOCOL.md, The shm wire, is the contract.
 */
#include "core/clock.h"
#include "core/error.h"
#include "sys/closer.h"
#include "wire/shm_wire.h"
#include "wire/socket.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG 128
#define LOCK_TRIES 100 /* of 10 ms each */

static int path_error(int err, const char *path, const char *verb)
{
    switch (err) {
    case ENOENT:
        return vop__shm_directory_missing(path);
    case EACCES:
    case EPERM:
        return vop__error(err, "%s: no permission to %s there; use another directory or run as its owner", path, verb);
    default:
        return vop__error(err, "%s: cannot %s: %s", path, verb, strerror(err));
    }
}

/* ---- One server at a time ---- */

struct lock {
    char file[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(".lock")];
    int fd;
};

static bool is_file(int fd, const char *name)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && lstat(name, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * Two servers that start at the same moment would both find the same stale socket, and one would remove the other's
 * fresh one. A lock keeps them apart: on a file beside the socket, which only whoever may write to the directory can
 * make, as is so for the socket itself. It is removed with the lock, so it must still be there once it is locked.
 */
static int take_lock(const char *path, struct lock *ret_lock)
{
    struct timespec pause = {.tv_nsec = 10 * VOP__NS_PER_MS};

    (void)snprintf(ret_lock->file, sizeof(ret_lock->file), "%s.lock", path);
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        int fd = open(ret_lock->file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

        if (fd < 0)
            return path_error(errno, path, "create a lock file");
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_file(fd, ret_lock->file)) {
            ret_lock->fd = fd;
            return 0;
        }
        close(fd);
        nanosleep(&pause, NULL);
    }
    return vop__error(EADDRINUSE, "%s: another server is just starting there; if it is not, who has %s open?", path,
                      ret_lock->file);
}

static void drop_lock(const struct lock *lock)
{
    unlink(lock->file);
    close(lock->fd);
}

#define LISTENS 0x10000u /* __SO_ACCEPTCON, in /proc/net/unix */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

enum column {
    COLUMN_FLAGS = 3,
    COLUMN_STATE = 5,
    COLUMN_NAME = 7, /* to the end of the line; a socket without a name has none */
    COLUMNS
};

/* Cuts a line of /proc/net/unix. False if it has no name at its end. */
static bool cut_line(char *line, char *ret_column[COLUMNS])
{
    line[strcspn(line, "\n")] = 0;
    for (unsigned i = 0; i < COLUMN_NAME; i++) {
        line += strspn(line, " ");
        ret_column[i] = line;
        line += strcspn(line, " ");
        if (*line == 0)
            return false;
        *line++ = 0;
    }
    ret_column[COLUMN_NAME] = line;
    return true;
}

/* Without a peer, and not listening. One that listened and is not closed yet still has the flag. */
static bool is_bound_only(char *const column[COLUMNS])
{
    return !(strtoul(column[COLUMN_FLAGS], NULL, 16) & LISTENS) && strtoul(column[COLUMN_STATE], NULL, 16) == 1;
}

/*
 * Has somebody bound a socket to this file who does not listen yet? A connection is refused then too. The kernel lists
 * a socket under the name it was bound to.
 */
static bool is_about_to_listen(const char *path, const struct stat *file)
{
    FILE *sockets = fopen("/proc/net/unix", "re");
    char line[512], *column[COLUMNS];
    bool is_found = false;

    while (sockets && !is_found && fgets(line, sizeof(line), sockets)) {
        struct stat st;

        is_found = cut_line(line, column) && is_bound_only(column) &&
                   strcmp(last_part(column[COLUMN_NAME]), last_part(path)) == 0 &&
                   lstat(column[COLUMN_NAME], &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
    }
    if (sockets)
        (void)fclose(sockets);
    return is_found;
}

/*
 * Is the process that called listen(2) dead? Then whoever still holds the socket has it from fork(), and forgot it. A
 * process of another PID namespace has the number 0 here, and lives for all that is known.
 */
static bool is_orphaned(int probe)
{
    pid_t listener = vop__socket_peer(probe).pid;

    return listener > 0 && kill(listener, 0) < 0 && errno == ESRCH;
}

/* Removes a socket that nobody listens on. */
static int remove_stale(const char *path, const struct sockaddr_un *address)
{
    bool is_stale;
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
    is_stale = ret < 0 ? err == ECONNREFUSED && !is_about_to_listen(path, &st) : is_orphaned(probe);
    close(probe);
    if (is_stale)
        return unlink(path) < 0 && errno != ENOENT ? path_error(errno, path, "replace the old socket") : 0;
    if (ret < 0 && (err == EACCES || err == EPERM))
        return path_error(err, path, "connect");
    return vop__error(EADDRINUSE, "%s: another server has that socket; stop it or use another path", path);
}

/* ---- Listening ---- */

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

static int listen_at(int fd, const char *path, const struct sockaddr_un *address, mode_t mode)
{
    /* The file begins with the mode that the socket has before bind, less the umask: never wider than asked for. */
    if (fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return path_error(errno, path, "create a socket");
    if (undo_umask(path, mode) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        int ret = path_error(errno, path, "set up the socket");

        unlink(path);
        return ret;
    }
    return 0;
}

static int make_listener(const char *path, mode_t mode, int *ret_socket)
{
    struct sockaddr_un address;
    struct lock lock;
    int ret = vop__shm_address(path, &address);
    int fd;

    if (ret < 0)
        return ret;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return vop__error(errno, "cannot make a socket: %s", strerror(errno));
    ret = take_lock(path, &lock);
    if (ret == 0) {
        ret = remove_stale(path, &address);
        if (ret == 0)
            ret = listen_at(fd, path, &address, mode);
        drop_lock(&lock);
    }
    if (ret < 0)
        close(fd);
    else
        *ret_socket = fd;
    return ret;
}

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
    return vop__shm_is_fd(path) ? adopt_listener(path + strlen(VOP__SHM_FD), ret_socket)
                                : make_listener(path, mode & 0777, ret_socket);
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
