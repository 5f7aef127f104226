/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket_watch.c - notices when the socket of a listener loses its name.
 *
 * Room: bridge. The directory is watched, because a socket that is open hears nothing of its name, and another one of
 * that name is a file of its own. Only names are: libuv's own watch tells of each write to any file there, and reads on
 * for as long as there are any, so that a busy log file beside the socket would stop the loop.
 */
#include "socket_watch.h"

#include "broker.h"
#include "broker_link.h"

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

int socket_watch_look(const char *path, struct socket_file *ret_file)
{
    struct stat st;

    *ret_file = (struct socket_file){.device = 0};
    if (broker_is_there())
        return broker_ask(BROKER_NAME, NULL, 0, ret_file, sizeof(*ret_file), NULL);
    if (lstat(path, &st) < 0)
        return -errno;
    *ret_file = (struct socket_file){.device = st.st_dev, .inode = st.st_ino};
    return 0;
}

static bool has_name(const struct socket_watch *watch)
{
    struct socket_file now;
    int ret = socket_watch_look(watch->path, &now);

    if (ret)
        return ret != -ENOENT && ret != -ENOTDIR;
    return now.device == watch->file.device && now.inode == watch->file.inode;
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

static int begin_away(void)
{
    struct broker_fds fds;
    int ret = broker_ask(BROKER_WATCH, NULL, 0, NULL, 0, &fds);

    if (!ret && fds.count == 1)
        return fds.fd[0];
    while (fds.count > 0)
        close(fds.fd[--fds.count]);
    return ret ? ret : -EPROTO;
}

int socket_watch_begin(const char *path)
{
    char copy[PATH_MAX];
    int fd, ret;

    if (broker_is_there())
        return begin_away();
    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    memcpy(copy, path, strlen(path) + 1);
    fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (inotify_add_watch(fd, dirname(copy), NAMES) < 0) {
        ret = -errno;
        close(fd);
        return ret;
    }
    return fd;
}

int socket_watch_open(struct socket_watch *watch, uv_loop_t *loop, const char *path, socket_lost *lost, void *context)
{
    int ret;

    *watch = (struct socket_watch){.lost = lost, .context = context};
    watch->inotify = socket_watch_begin(path);
    if (watch->inotify < 0)
        return watch->inotify;
    ret = uv_poll_init(loop, &watch->poll, watch->inotify);
    if (ret) {
        close(watch->inotify);
        return ret;
    }
    watch->path = path;
    watch->poll.data = watch;
    ret = uv_poll_start(&watch->poll, UV_READABLE, on_event);
    if (!ret)
        ret = socket_watch_look(path, &watch->file);
    if (ret)
        socket_watch_close(watch);
    return ret;
}

void socket_watch_remove(const char *path)
{
    struct vop_opener_answer answer;
    struct socket_file file;
    struct vop_opener_request request = {.what = VOP_OPENER_REMOVE, .path = path};

    if (socket_watch_look(path, &file) < 0)
        return;
    request.device = file.device;
    request.inode = file.inode;
    if (broker_is_there())
        (void)broker_link_ask(NULL, &request, &answer);
    else
        (void)vop_opener_do(&request, &answer);
}

void socket_watch_close(struct socket_watch *watch)
{
    if (!watch->path)
        return;
    uv_close((uv_handle_t *)&watch->poll, NULL);
    close(watch->inotify);
    watch->path = NULL;
}
