/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netns_watch.h - notices when a network namespace loses its name.
 *
 * Room: bridge. On a libuv loop. A namespace lives as long as anybody holds it, and a bridge holds that of its
 * interface: after `ip netns del` nobody finds it any more, but interface and addresses live on, and answer the peer.
 */
#ifndef VOP_BRIDGE_NETNS_WATCH_H
#define VOP_BRIDGE_NETNS_WATCH_H

#include "netns.h"

#include <stdbool.h>
#include <uv.h>

/** The name is gone, or means another namespace now; that was logged. Called once. */
typedef void netns_lost(void *context);

/** Private to netns_watch.c. */
struct netns_watch {
    const struct netns *netns; /* NULL: closed */
    uv_fs_event_t event;
    bool is_unheeded;
    netns_lost *lost;
    void *context;
};

/**
 * Begins to watch the name of `netns`, which must stay. Without a name there is nothing to watch, and nothing happens.
 *
 * -ENOENT   the name has gone already
 * -errno    it is not watched, for another reason; either was logged
 */
int netns_watch_open(struct netns_watch *watch, uv_loop_t *loop, const struct netns *netns, netns_lost *lost,
                     void *context);

/**
 * Whether what it notices is told; at first it is. Returns false if that is impossible now: it is not open, or the name
 * has gone while nobody wanted to know.
 */
bool netns_watch_heed(struct netns_watch *watch, bool is_heeded);

/** Ends it; does nothing if it is not open. The loop must run once more before it is closed. */
void netns_watch_close(struct netns_watch *watch);

#endif
