/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unix_name.c - Unix sockets by the name of their file: listening there, as the only one, and connecting.
 *
 * Room: sys.
 */
#include "sys/unix_name.h"

#include "core/clock.h"
#include "core/error.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_TRIES 100 /* of 10 ms each */
#define FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

static int make_address(const char *path, struct sockaddr_un *ret_address)
{
    size_t length = strlen(path);

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length == 0 || length >= sizeof(ret_address->sun_path))
        return vop__error(ENAMETOOLONG, "%.60s: the name of a socket has 1 to %zu bytes; use a shorter one", path,
                          sizeof(ret_address->sun_path) - 1);
    memcpy(ret_address->sun_path, path, length);
    return 0;
}

static int directory_missing(const char *path)
{
    return vop__error(ENOENT, "%s: its directory does not exist; create that first", path);
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

static pid_t peer_pid(int socket)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof(peer);

    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ? 0 : peer.pid;
}

/*
 * Is the process that called listen(2) dead? Then whoever still holds the socket has it from fork(), and forgot it. A
 * process of another PID namespace has the number 0 here, and lives for all that is known.
 */
static bool is_orphaned(int probe)
{
    pid_t listener = peer_pid(probe);

    return listener > 0 && kill(listener, 0) < 0 && errno == ESRCH;
}

/* Removes a socket that nobody listens on. */
static int remove_stale(const char *path, int type, const struct sockaddr_un *address)
{
    bool is_stale;
    struct stat st;
    int probe, ret, err;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : path_error(errno, path, "look");
    if (!S_ISSOCK(st.st_mode))
        return vop__error(EADDRINUSE, "%s: exists and is not a socket; remove it or use another path", path);
    probe = socket(AF_UNIX, type | FLAGS, 0);
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

static int listen_at(int fd, const char *path, const struct sockaddr_un *address, mode_t mode, int backlog)
{
    /* The file begins with the mode that the socket has before bind, less the umask: never wider than asked for. */
    if (fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return path_error(errno, path, "create a socket");
    if (undo_umask(path, mode) < 0 || listen(fd, backlog) < 0) {
        int ret = path_error(errno, path, "set up the socket");

        unlink(path);
        return ret;
    }
    return 0;
}

int vop__unix_listen(const char *path, int type, mode_t mode, int backlog, int *ret_socket)
{
    struct sockaddr_un address;
    struct lock lock;
    int ret = make_address(path, &address);
    int fd;

    if (ret < 0)
        return ret;
    fd = socket(AF_UNIX, type | FLAGS, 0);
    if (fd < 0)
        return vop__error(errno, "cannot make a socket: %s", strerror(errno));
    ret = take_lock(path, &lock);
    if (ret == 0) {
        ret = remove_stale(path, type, &address);
        if (ret == 0)
            ret = listen_at(fd, path, &address, mode, backlog);
        drop_lock(&lock);
    }
    if (ret < 0)
        close(fd);
    else
        *ret_socket = fd;
    return ret;
}

/* ---- Connecting ---- */

int vop__unix_missing(const char *path)
{
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = "";
    const char *slash = strrchr(path, '/');

    if (slash && (size_t)(slash - path) < sizeof(directory))
        memcpy(directory, path, (size_t)(slash - path));
    if (directory[0] && access(directory, F_OK) < 0 && errno == ENOENT)
        return directory_missing(path);
    return vop__error(ENOENT, "%s: no such socket; start the listening side first", path);
}

static int nobody_listens(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return vop__error(ECONNREFUSED, "%s: not a socket; name the one that the listening side made", path);
    return vop__error(ECONNREFUSED, "%s: no server listens there any more; start the listening side", path);
}

static int connect_error(int err, const char *path)
{
    switch (err) {
    case EAGAIN:
        return vop__error_static(EAGAIN, "the server's backlog is full");
    case ENOENT:
        return vop__unix_missing(path);
    case ECONNREFUSED:
        return nobody_listens(path);
    case EPROTOTYPE:
        return vop__error(EPROTO, "%s: the socket there is of another type; what listens there is no such server",
                          path);
    case EACCES:
        return vop__error(err, "%s: no permission; the socket's file mode must let this user write", path);
    default:
        return vop__error(err, "%s: cannot connect: %s", path, strerror(err));
    }
}

int vop__unix_connect(const char *path, int type, int *ret_socket)
{
    struct sockaddr_un address;
    int ret = make_address(path, &address);
    int fd, err;

    if (ret < 0)
        return ret;
    fd = socket(AF_UNIX, type | FLAGS, 0);
    if (fd < 0)
        return vop__error(errno, "cannot make a socket: %s", strerror(errno));
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        err = errno;
        if (err == EINTR)
            continue;
        close(fd);
        return connect_error(err, path);
    }
    *ret_socket = fd;
    return 0;
}
