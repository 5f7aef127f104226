/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket_watch.c - notices when the socket of a listener loses its name.
 *
 * Room: bridge. The directory is watched, because a socket that is open hears nothing of its name, and another one of
 * that name is a file of its own.
 */
#include "socket_watch.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define SCHEME "shm:"
#define DESCRIPTOR "shm:fd:" /* somebody else's socket */

static bool has_name(const struct socket_watch *watch)
{
    struct stat st;

    if (lstat(watch->path, &st) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return st.st_dev == watch->device && st.st_ino == watch->inode;
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct socket_watch *watch = event->data;

    (void)name; /* it may be that of the directory, which can go, too */
    (void)events;
    (void)status;
    if (has_name(watch))
        return;
    uv_fs_event_stop(event);
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
    ret = uv_fs_event_init(loop, &watch->event);
    if (ret)
        return ret;
    watch->path = path;
    watch->event.data = watch;
    ret = uv_fs_event_start(&watch->event, on_event, dirname(copy), 0);
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
    uv_close((uv_handle_t *)&watch->event, NULL);
    watch->path = NULL;
}
