/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_neighbours.c - has neighbours asked for once more that were asked for while nobody could hear the question.
 *
 * Room: bridge.
 */
#include "netlink_private.h"

#include "netlink_away.h"

#include <linux/neighbour.h>
#include <netlink/cache.h>
#include <netlink/route/neighbour.h>

/* One that has failed is asked for by the next packet. */
static bool is_unanswered(const struct netlink *netlink, struct rtnl_neigh *neighbour)
{
    int state = rtnl_neigh_get_state(neighbour);

    return rtnl_neigh_get_ifindex(neighbour) == netlink->index && state > 0 && (state & NUD_INCOMPLETE);
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

/*
 * As though nobody had asked before, and at once. What waits for the answer stays: were the neighbour deleted, it would
 * be lost, and connections would end with "No route to host".
 */
static void ask_again(struct netlink *netlink, struct rtnl_neigh *neighbour)
{
    struct rtnl_neigh *question = rtnl_neigh_alloc();

    if (!question)
        return;
    rtnl_neigh_set_ifindex(question, netlink->index);
    rtnl_neigh_set_family(question, rtnl_neigh_get_family(neighbour));
    (void)rtnl_neigh_set_dst(question, rtnl_neigh_get_dst(neighbour));
    rtnl_neigh_set_state(question, NUD_NONE);
    /* Without the privilege this fails, and the second has to be waited for. */
    if (rtnl_neigh_add(netlink->sock, question, 0) == 0) {
        rtnl_neigh_set_flags(question, NTF_USE);
        (void)rtnl_neigh_add(netlink->sock, question, 0);
    }
    rtnl_neigh_put(question);
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

        if (noted)
            ask_again(netlink, (struct rtnl_neigh *)object);
        nl_object_put(noted);
    }
    nl_cache_free(now);
    nl_cache_free(netlink->in_vain);
    netlink->in_vain = NULL;
}
