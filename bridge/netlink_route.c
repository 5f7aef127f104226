/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_route.c - routes through the interface.
 *
 * Room: bridge. As `ip route add` makes them: in the main table, and none in the place of another.
 */
#include "netlink_private.h"

#include "log.h"
#include "netlink_away.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <string.h>
#include <sys/socket.h>

static size_t get_length(const struct route *route)
{
    return route->family == AF_INET ? 4 : 16;
}

static struct nl_addr *build_addr(const struct route *route, const uint8_t *bytes, unsigned prefix)
{
    struct nl_addr *built = nl_addr_build(route->family, (void *)(uintptr_t)bytes, get_length(route));

    if (built)
        nl_addr_set_prefixlen(built, (int)prefix);
    return built;
}

static int add_hop(const struct netlink *netlink, const struct route *route, struct rtnl_route *request)
{
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
    struct nl_addr *gateway = NULL;

    if (hop && route->has_gateway)
        gateway = build_addr(route, route->gateway, (unsigned)get_length(route) * 8);
    if (!hop || (route->has_gateway && !gateway)) {
        if (hop)
            rtnl_route_nh_free(hop);
        return -NLE_NOMEM;
    }
    rtnl_route_nh_set_ifindex(hop, netlink->index);
    if (gateway)
        rtnl_route_nh_set_gateway(hop, gateway); /* its own reference */
    nl_addr_put(gateway);
    rtnl_route_add_nexthop(request, hop); /* which owns it from now on */
    return 0;
}

/* A request about this route, or a libnl error. */
static int build_route(const struct netlink *netlink, const struct route *route, struct rtnl_route **ret_request)
{
    struct nl_addr *destination = build_addr(route, route->destination, route->prefix);
    struct rtnl_route *request = rtnl_route_alloc();
    int ret = destination && request ? 0 : -NLE_NOMEM;

    if (!ret) {
        rtnl_route_set_family(request, (uint8_t)route->family);
        rtnl_route_set_protocol(request, RTPROT_STATIC);
        rtnl_route_set_scope(request,
                             route->family == AF_INET && !route->has_gateway ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
        ret = rtnl_route_set_dst(request, destination);
    }
    if (!ret)
        ret = add_hop(netlink, route, request);
    nl_addr_put(destination);
    if (ret && request)
        rtnl_route_put(request);
    else if (!ret)
        *ret_request = request;
    return ret;
}

/* ---- What is there ---- */

static bool is_hop(const struct netlink *netlink, const struct route *route, struct rtnl_nexthop *hop)
{
    struct nl_addr *gateway = rtnl_route_nh_get_gateway(hop);
    size_t length = get_length(route);

    if (rtnl_route_nh_get_ifindex(hop) != netlink->index || (gateway != NULL) != route->has_gateway)
        return false;
    return !gateway || (nl_addr_get_len(gateway) == length &&
                        memcmp(nl_addr_get_binary_addr(gateway), route->gateway, length) == 0);
}

/* The kernel gives the destination of a default route as none at all, or as one of length 0. */
static bool is_destination(const struct route *route, struct nl_addr *destination)
{
    unsigned prefix = destination ? nl_addr_get_prefixlen(destination) : 0;

    if (prefix != route->prefix)
        return false;
    return prefix == 0 ||
           memcmp(nl_addr_get_binary_addr(destination), route->destination, nl_addr_get_len(destination)) == 0;
}

static bool has_route(struct netlink *netlink, const struct route *route)
{
    struct nl_cache *cache;
    bool is_found = false;

    if (rtnl_route_alloc_cache(netlink->sock, route->family, 0, &cache) < 0)
        return false;
    for (struct nl_object *object = nl_cache_get_first(cache); object && !is_found;
         object = nl_cache_get_next(object)) {
        struct rtnl_route *one = (struct rtnl_route *)object;

        is_found = rtnl_route_get_table(one) == RT_TABLE_MAIN && rtnl_route_get_nnexthops(one) == 1 &&
                   is_destination(route, rtnl_route_get_dst(one)) &&
                   is_hop(netlink, route, rtnl_route_nexthop_n(one, 0));
    }
    nl_cache_free(cache);
    return is_found;
}

/* ---- Changes ---- */

static int refuse_route(const struct netlink *netlink, const struct route *route, int ret)
{
    if (ret == -NLE_EXIST) {
        log_error(
            "--route %s: there is a route to it already, by another way; remove that one (`ip route` shows it) or "
            "leave this one out",
            route->text);
        return -EEXIST;
    }
    if (netlink->error == ENETUNREACH || netlink->error == EHOSTUNREACH) {
        log_error("--route %s: no address of the interface reaches this gateway; give it one with --address",
                  route->text);
        return -ENETUNREACH;
    }
    return netlink_refuse(netlink, "--route", route->text, ret);
}

int netlink_add_route(struct netlink *netlink, const struct route *route)
{
    if (broker_is_there())
        return netlink_away_route(NETLINK_ADD_ROUTE, route);

    struct rtnl_route *request;
    int ret = build_route(netlink, route, &request);

    if (!ret) {
        ret = rtnl_route_add(netlink->sock, request, NLM_F_EXCL);
        rtnl_route_put(request);
        if ((ret == -NLE_EXIST || ret == -NLE_PERM) && has_route(netlink, route))
            ret = 0;
    }
    return ret ? refuse_route(netlink, route, ret) : 0;
}

int netlink_delete_route(struct netlink *netlink, const struct route *route)
{
    if (broker_is_there())
        return netlink_away_route(NETLINK_DELETE_ROUTE, route);

    struct rtnl_route *request;
    int ret = build_route(netlink, route, &request);

    if (!ret) {
        ret = rtnl_route_delete(netlink->sock, request, 0);
        rtnl_route_put(request);
        if (ret && !has_route(netlink, route))
            ret = 0;
    }
    return ret ? refuse_route(netlink, route, ret) : 0;
}
