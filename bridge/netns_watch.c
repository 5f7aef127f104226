/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns_watch.c - notices when a network namespace loses its name.
 *
 * Room: bridge. The directory is watched, because the name itself is a mount point: a watch on it would be one on the
 * namespace, which hears nothing of its name.
 */
#include "netns_watch.h"

#include "log.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>

static int check_name(const struct netns *netns)
{
    if (netns_has_name(netns))
        return 0;
    log_error("--netns %s: it was deleted; start the bridge again in another, or with --on-netns-loss keep",
              netns->path);
    return -ENOENT;
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct netns_watch *watch = event->data;

    (void)name; /* it may be that of the directory, which can go, too */
    (void)events;
    (void)status;
    if (watch->is_unheeded || check_name(watch->netns) == 0)
        return;
    uv_fs_event_stop(event);
    watch->lost(watch->context);
}

int netns_watch_open(struct netns_watch *watch, uv_loop_t *loop, const struct netns *netns, netns_lost *lost,
                     void *context)
{
    char path[PATH_MAX];
    int ret;

    memset(watch, 0, sizeof(*watch));
    if (!netns->path[0])
        return 0;
    watch->lost = lost;
    watch->context = context;
    memcpy(path, netns->path, sizeof(path));
    ret = uv_fs_event_init(loop, &watch->event);
    if (ret)
        goto err_init;
    watch->netns = netns;
    watch->event.data = watch;
    ret = uv_fs_event_start(&watch->event, on_event, dirname(path), 0);
    if (ret)
        goto err_start;
    return check_name(netns); /* it may have gone before */

err_start:
    netns_watch_close(watch);
err_init:
    log_error("--netns %s: watching its name: %s; see fs.inotify in inotify(7), or take --on-netns-loss keep",
              netns->path, strerror(-ret));
    return ret;
}

bool netns_watch_heed(struct netns_watch *watch, bool is_heeded)
{
    if (is_heeded && (!watch->netns || !netns_has_name(watch->netns)))
        return false;
    watch->is_unheeded = !is_heeded;
    return true;
}

void netns_watch_close(struct netns_watch *watch)
{
    if (!watch->netns)
        return;
    uv_close((uv_handle_t *)&watch->event, NULL);
    watch->netns = NULL;
}
