/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_socket.c - where the control socket of a bridge lies: makes it there, and takes it away again.
 *
 * Room: bridge.
 */
#include "control_socket.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if !defined(SO_PASSRIGHTS) && SO_DOMAIN == 39 /* headers before Linux 6.16; the usual numbering of socket options */
#define SO_PASSRIGHTS 83
#endif

#define SUFFIX ".sock"
#define SUFFIX_UNFINISHED ".new" /* bound, and not listening yet */
#define UNFINISHED_SECONDS 10    /* nobody takes as long as that from one to the other */
#define BACKLOG 128
#define TRIES 10 /* somebody may remove the directory, which is empty, before there is a file in it */

/* ---- What killed bridges have left ---- */

/* Is it "vop0.1234" and the suffix? Others may have files there, too. */
static bool is_of_bridge(const char *name, const char *suffix)
{
    const char *end = strrchr(name, '.');
    const char *digits = end;

    while (digits && digits > name && isdigit((unsigned char)digits[-1]))
        digits--;
    return end && strcmp(end, suffix) == 0 && digits < end && digits > name && digits[-1] == '.';
}

static bool set_address(const char *directory, const char *name, struct sockaddr_un *ret_address)
{
    int length;

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    length = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s/%s", directory, name);
    return length > 0 && (size_t)length < sizeof(ret_address->sun_path);
}

/* Does it refuse who comes? Then nobody has it open. (A file that is no socket refuses, too.) */
static bool is_dead(const struct sockaddr_un *address)
{
    struct stat st;
    int fd = lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)
                 ? -1
                 : socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_refused =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return is_refused;
}

static bool is_old(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && time(NULL) - st.st_mtime > UNFINISHED_SECONDS;
}

static void remove_dead(const char *directory)
{
    DIR *dir = opendir(directory);
    struct sockaddr_un address;

    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        bool is_finished = is_of_bridge(entry->d_name, SUFFIX);

        if ((is_finished || is_of_bridge(entry->d_name, SUFFIX_UNFINISHED)) &&
            set_address(directory, entry->d_name, &address) && (is_finished || is_old(address.sun_path)) &&
            is_dead(&address))
            unlink(address.sun_path);
    }
    closedir(dir);
}

/* ---- Making one ---- */

/* Gives the socket its name, which nobody has, or only a dead one. */
static int publish(const char *from, const struct sockaddr_un *to)
{
    for (int i = 0; i < TRIES; i++) {
        if (link(from, to->sun_path) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
        if (!is_dead(to))
            return -EADDRINUSE;
        unlink(to->sun_path);
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

static int bind_unfinished(int fd, const struct sockaddr_un *address, mode_t mode)
{
    unlink(address->sun_path); /* of a bridge that had our PID */
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return -errno;
    refuse_fds(fd);
    if (chmod(address->sun_path, mode) < 0 || listen(fd, BACKLOG) < 0) {
        int ret = -errno;

        unlink(address->sun_path);
        return ret;
    }
    return 0;
}

static int make_socket(const char *directory, const char *name, mode_t mode, struct control_socket *socket)
{
    struct sockaddr_un unfinished, finished;
    char file[NAME_MAX];
    struct stat st;
    int ret;

    snprintf(file, sizeof(file), ".%s.%ld" SUFFIX_UNFINISHED, name, (long)getpid());
    if (!set_address(directory, file, &unfinished))
        return -ENAMETOOLONG;
    snprintf(file, sizeof(file), "%s.%ld" SUFFIX, name, (long)getpid());
    if (!set_address(directory, file, &finished))
        return -ENAMETOOLONG;
    ret = bind_unfinished(socket->fd, &unfinished, mode);
    if (ret)
        return ret;
    ret = lstat(unfinished.sun_path, &st) < 0 ? -errno : publish(unfinished.sun_path, &finished);
    unlink(unfinished.sun_path);
    if (ret)
        return ret;
    socket->device = st.st_dev;
    socket->inode = st.st_ino;
    memcpy(socket->path, finished.sun_path, sizeof(socket->path));
    return 0;
}

/* Root's directory can be read by everybody, so that who may use a bridge finds it. */
static mode_t get_directory_mode(void)
{
    return geteuid() == 0 ? 0755 : 0700;
}

/* If it is empty. Somebody may have made it with other rights, and wants to find it there again. */
static void remove_directory(const char *directory)
{
    struct stat st;

    if (lstat(directory, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 07777) == get_directory_mode())
        rmdir(directory);
}

static int open_in(const char *directory, const char *name, mode_t mode, struct control_socket *ret_socket)
{
    struct control_socket made = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    int ret = made.fd < 0 ? -errno : -ENOENT;

    for (int i = 0; ret == -ENOENT && i < TRIES; i++) {
        if (mkdir(directory, get_directory_mode()) == 0)
            (void)chmod(directory, get_directory_mode()); /* whatever the umask says */
        else if (errno != EEXIST) {
            ret = -errno;
            break;
        }
        remove_dead(directory);
        ret = make_socket(directory, name, mode, &made);
    }
    if (ret) {
        remove_directory(directory);
        if (made.fd >= 0)
            close(made.fd);
        return ret;
    }
    snprintf(made.directory, sizeof(made.directory), "%s", directory); /* shorter than made.path */
    *ret_socket = made;
    return 0;
}

int control_socket_open(const char *directory, const char *name, mode_t mode, struct control_socket *ret_socket,
                        char ret_path[CONTROL_PATH_SIZE])
{
    const char *own = getenv("XDG_RUNTIME_DIR");
    int length, ret;

    snprintf(ret_path, CONTROL_PATH_SIZE, "%s", directory ? directory : CONTROL_DIRECTORY);
    ret = open_in(directory ? directory : CONTROL_DIRECTORY, name, mode, ret_socket);
    if (directory || (ret != -EACCES && ret != -EROFS && ret != -EPERM && ret != -ENOENT))
        return ret;
    if (!own || own[0] != '/')
        return -ENOENT;
    length = snprintf(ret_path, CONTROL_PATH_SIZE, "%s%s", own, strrchr(CONTROL_DIRECTORY, '/'));
    if (length < 0 || (size_t)length >= CONTROL_PATH_SIZE)
        return -ENAMETOOLONG;
    return open_in(ret_path, name, mode, ret_socket);
}

/* ---- Another name ---- */

static bool is_ours(const struct control_socket *socket)
{
    struct stat st;

    return lstat(socket->path, &st) == 0 && st.st_dev == socket->device && st.st_ino == socket->inode;
}

/* ".1234.sock" of such a path: the process that renames it may be another one. */
static const char *find_suffix(const char *path)
{
    const char *suffix = path + strlen(path) - strlen(SUFFIX);

    while (*--suffix != '.')
        ;
    return suffix;
}

int control_socket_rename(struct control_socket *socket, const char *name)
{
    struct sockaddr_un address;
    char file[NAME_MAX];
    int ret;

    snprintf(file, sizeof(file), "%s%s", name, find_suffix(socket->path));
    if (!set_address(socket->directory, file, &address))
        return -ENAMETOOLONG;
    if (!is_ours(socket))
        return -ENOENT;
    ret = publish(socket->path, &address);
    if (ret)
        return ret;
    unlink(socket->path);
    memcpy(socket->path, address.sun_path, sizeof(socket->path));
    return 0;
}

/* ---- Taking it away ---- */

void control_socket_close(struct control_socket *socket)
{
    if (!socket->path[0])
        return;
    if (is_ours(socket))
        unlink(socket->path);
    remove_directory(socket->directory);
    if (socket->fd >= 0)
        close(socket->fd);
    socket->fd = -1;
    socket->path[0] = '\0';
}
