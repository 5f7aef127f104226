/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_neighbours.c - forgets neighbours that were asked for while nobody could hear the question.
 *
 * Room: bridge.
 */
#include "netlink_private.h"

#include "netlink_away.h"

#include <linux/neighbour.h>
#include <netlink/cache.h>
#include <netlink/route/neighbour.h>

static bool is_unanswered(const struct netlink *netlink, struct rtnl_neigh *neighbour)
{
    int state = rtnl_neigh_get_state(neighbour);

    return rtnl_neigh_get_ifindex(neighbour) == netlink->index && state > 0 && (state & (NUD_INCOMPLETE | NUD_FAILED));
}

/* All that have not answered, or NULL. */
static struct nl_cache *find_unanswered(struct netlink *netlink)
{
    struct nl_object *next;
    struct nl_cache *cache;

    if (rtnl_neigh_alloc_cache(netlink->sock, &cache) < 0)
        return NULL;
    for (struct nl_object *object = nl_cache_get_first(cache); object; object = next) {
        next = nl_cache_get_next(object);
        if (!is_unanswered(netlink, (struct rtnl_neigh *)object))
            nl_cache_remove(object);
    }
    return cache;
}

void netlink_neighbours_note(struct netlink *netlink)
{
    if (broker_is_there()) {
        (void)netlink_away_plain(NETLINK_NEIGHBOURS_NOTE);
        return;
    }
    nl_cache_free(netlink->in_vain);
    netlink->in_vain = find_unanswered(netlink);
}

void netlink_neighbours_retry(struct netlink *netlink)
{
    struct nl_cache *now;

    if (broker_is_there()) {
        (void)netlink_away_plain(NETLINK_NEIGHBOURS_RETRY);
        return;
    }
    now = netlink->in_vain ? find_unanswered(netlink) : NULL;
    for (struct nl_object *object = now ? nl_cache_get_first(now) : NULL; object; object = nl_cache_get_next(object)) {
        struct nl_object *noted = nl_cache_search(netlink->in_vain, object);

        /* Without the privilege this fails, and the second has to be waited for. */
        if (noted)
            (void)rtnl_neigh_delete(netlink->sock, (struct rtnl_neigh *)object, 0);
        nl_object_put(noted);
    }
    nl_cache_free(now);
    nl_cache_free(netlink->in_vain);
    netlink->in_vain = NULL;
}
