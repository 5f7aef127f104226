/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket_watch.c - notices when the socket of a listener loses its name.
 *
 * Room: bridge. The directory is watched, because a socket that is open hears nothing of its name, and another one of
 * that name is a file of its own. Only names are: libuv's own watch tells of each write to any file there, and reads on
 * for as long as there are any, so that a busy log file beside the socket would stop the loop.
 */
#include "socket_watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES (IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF | IN_ONLYDIR)
#define SCHEME "shm:"
#define DESCRIPTOR "shm:fd:" /* somebody else's socket */

static bool has_name(const struct socket_watch *watch)
{
    struct stat st;

    if (lstat(watch->path, &st) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return st.st_dev == watch->device && st.st_ino == watch->inode;
}

/* What has happened does not matter: the name is looked at. Events that are left are for the next turn of the loop. */
static void on_event(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    char bytes[4096];

    (void)status;
    (void)events;
    (void)!read(watch->inotify, bytes, sizeof(bytes));
    if (has_name(watch))
        return;
    uv_poll_stop(poll);
    watch->lost(watch->context);
}

const char *socket_watch_path(const char *uri)
{
    if (strncmp(uri, SCHEME, strlen(SCHEME)) != 0 || strncmp(uri, DESCRIPTOR, strlen(DESCRIPTOR)) == 0)
        return NULL;
    return uri + strlen(SCHEME);
}

int socket_watch_open(struct socket_watch *watch, uv_loop_t *loop, const char *path, socket_lost *lost, void *context)
{
    size_t length = strlen(path);
    char copy[PATH_MAX];
    struct stat st;
    int ret;

    *watch = (struct socket_watch){.lost = lost, .context = context};
    if (length >= sizeof(copy))
        return -ENAMETOOLONG;
    memcpy(copy, path, length + 1);
    watch->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->inotify < 0)
        return -errno;
    ret = uv_poll_init(loop, &watch->poll, watch->inotify);
    if (ret) {
        close(watch->inotify);
        return ret;
    }
    watch->path = path;
    watch->poll.data = watch;
    ret = uv_poll_start(&watch->poll, UV_READABLE, on_event);
    if (!ret && inotify_add_watch(watch->inotify, dirname(copy), NAMES) < 0)
        ret = -errno;
    if (!ret && lstat(path, &st) < 0)
        ret = -errno;
    if (ret) {
        socket_watch_close(watch);
        return ret;
    }
    watch->device = st.st_dev;
    watch->inode = st.st_ino;
    return 0;
}

void socket_watch_close(struct socket_watch *watch)
{
    if (!watch->path)
        return;
    uv_close((uv_handle_t *)&watch->poll, NULL);
    close(watch->inotify);
    watch->path = NULL;
}
