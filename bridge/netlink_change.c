/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_change.c - changes what an interface has: each property by a request of its own, so that a refusal can name
 * it.
 *
 * Room: bridge. What is already as it should be is not touched, and so needs no privilege.
 */
#include "netlink_private.h"

#include "log.h"
#include "netlink_away.h"

#include <errno.h>
#include <linux/if.h>
#include <netlink/addr.h>
#include <netlink/errno.h>
#include <netlink/route/addr.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- Of the interface itself ---- */

/* Sends `change`, which may be NULL for lack of memory, and frees it. A libnl error, or 0. */
static int send_change(struct netlink *netlink, struct rtnl_link *interface, struct rtnl_link *change)
{
    int ret = change ? rtnl_link_change(netlink->sock, interface, change, 0) : -NLE_NOMEM;

    rtnl_link_put(change);
    return ret;
}

/* What a number of the interface is called, how it is read, and how it is set. */
struct number {
    unsigned (*get)(struct rtnl_link *interface);
    void (*set)(struct rtnl_link *interface, unsigned value);
};

static int set_number(struct netlink *netlink, const struct number *number, const char *what, uint32_t value)
{
    struct rtnl_link *interface, *change;
    char text[16];
    int ret = netlink_get(netlink, &interface);

    snprintf(text, sizeof(text), "%u", value);
    if (ret)
        return netlink_refuse(netlink, what, text, ret);
    if (number->get(interface) != value) {
        change = rtnl_link_alloc();
        if (change)
            number->set(change, value);
        ret = send_change(netlink, interface, change);
    }
    rtnl_link_put(interface);
    return ret ? netlink_refuse(netlink, what, text, ret) : 0;
}

int netlink_set_mtu(struct netlink *netlink, const char *what, uint32_t mtu)
{
    static const struct number number = {rtnl_link_get_mtu, rtnl_link_set_mtu};

    if (broker_is_there())
        return netlink_away_number(NETLINK_SET_MTU, what, mtu);
    return set_number(netlink, &number, what, mtu);
}

int netlink_set_txqueuelen(struct netlink *netlink, uint32_t packets)
{
    static const struct number number = {rtnl_link_get_txqlen, rtnl_link_set_txqlen};

    if (broker_is_there())
        return netlink_away_number(NETLINK_SET_TXQUEUELEN, "--txqueuelen", packets);
    return set_number(netlink, &number, "--txqueuelen", packets);
}

static bool has_mac(struct rtnl_link *interface, const uint8_t mac[6])
{
    struct nl_addr *present = rtnl_link_get_addr(interface);

    return present && nl_addr_get_len(present) == 6 && memcmp(nl_addr_get_binary_addr(present), mac, 6) == 0;
}

int netlink_set_mac(struct netlink *netlink, const char *what, const uint8_t mac[6])
{
    if (broker_is_there())
        return netlink_away_mac(what, mac);

    struct nl_addr *wanted = nl_addr_build(AF_LLC, (void *)(uintptr_t)mac, 6);
    struct rtnl_link *interface, *change;
    char text[32] = "";
    int ret = wanted ? netlink_get(netlink, &interface) : -NLE_NOMEM;

    if (!ret) {
        if (!has_mac(interface, mac)) {
            change = rtnl_link_alloc();
            if (change)
                rtnl_link_set_addr(change, wanted);
            ret = send_change(netlink, interface, change);
        }
        rtnl_link_put(interface);
    }
    if (ret)
        ret = netlink_refuse(netlink, what, wanted ? nl_addr2str(wanted, text, sizeof(text)) : text, ret);
    nl_addr_put(wanted);
    return ret;
}

/* The index of a master, or 0 for none. */
static int find_master(struct netlink *netlink, const char *name, int *ret_index)
{
    struct rtnl_link *master;
    int ret;

    *ret_index = 0;
    if (!name)
        return 0;
    ret = rtnl_link_get_kernel(netlink->sock, 0, name, &master);
    if (ret < 0) {
        log_error("--master %s: %s; make it first: ip link add %s type bridge", name, nl_geterror(ret), name);
        return -ENODEV;
    }
    *ret_index = rtnl_link_get_ifindex(master);
    rtnl_link_put(master);
    return 0;
}

int netlink_set_master(struct netlink *netlink, const char *name)
{
    if (broker_is_there())
        return netlink_away_name(NETLINK_SET_MASTER, name);

    struct rtnl_link *interface, *change;
    int index;
    int ret = find_master(netlink, name, &index);

    if (ret)
        return ret;
    ret = netlink_get(netlink, &interface);
    if (!ret) {
        if (rtnl_link_get_master(interface) != index) {
            change = rtnl_link_alloc();
            if (change)
                rtnl_link_set_master(change, index);
            ret = send_change(netlink, interface, change);
        }
        rtnl_link_put(interface);
    }
    if (ret == -NLE_OPNOTSUPP || ret == -NLE_INVAL) {
        log_error("--master %s: it takes no members; name a bridge: ip link add br0 type bridge", name);
        return -EINVAL;
    }
    return ret ? netlink_refuse(netlink, "--master", name ? name : "none", ret) : 0;
}

int netlink_bring_up(struct netlink *netlink, const char *name)
{
    if (broker_is_there())
        return netlink_away_plain(NETLINK_BRING_UP);

    struct rtnl_link *interface, *change;
    int ret = netlink_get(netlink, &interface);

    if (!ret) {
        if (!(rtnl_link_get_flags(interface) & IFF_UP)) {
            change = rtnl_link_alloc();
            if (change)
                rtnl_link_set_flags(change, IFF_UP);
            ret = send_change(netlink, interface, change);
        }
        rtnl_link_put(interface);
    }
    return ret ? netlink_refuse(netlink, "setting up", name, ret) : 0;
}

/* ---- Addresses ---- */

/* With this very prefix. libnl compares that, too. */
static bool has_address(struct netlink *netlink, struct nl_addr *local)
{
    struct nl_cache *cache;
    struct rtnl_addr *found;

    if (rtnl_addr_alloc_cache(netlink->sock, &cache) < 0)
        return false;
    found = rtnl_addr_get(cache, netlink->index, local);
    if (found)
        rtnl_addr_put(found);
    nl_cache_free(cache);
    return found != NULL;
}

/* A request about this address, and the address itself, which the caller puts; or a libnl error. */
static int build_address(const struct netlink *netlink, const struct address *address, struct nl_addr **ret_local,
                         struct rtnl_addr **ret_request)
{
    struct nl_addr *local = nl_addr_build(address->family, address->bytes, address->family == AF_INET ? 4 : 16);
    struct rtnl_addr *request = rtnl_addr_alloc();
    int ret = local && request ? 0 : -NLE_NOMEM;

    if (!ret) {
        nl_addr_set_prefixlen(local, (int)address->prefix);
        rtnl_addr_set_ifindex(request, netlink->index);
        ret = rtnl_addr_set_local(request, local);
    }
    if (ret) {
        if (request)
            rtnl_addr_put(request);
        nl_addr_put(local);
        return ret;
    }
    *ret_local = local;
    *ret_request = request;
    return 0;
}

static int refuse_address(const struct netlink *netlink, const struct address *address, int ret)
{
    if (ret == -NLE_NOACCESS || ret == -NLE_OPNOTSUPP || ret == -NLE_AF_NOSUPPORT) {
        log_error("--address %s: %s; is net.ipv6.conf.*.disable_ipv6 set?", address->text, nl_geterror(ret));
        return -EACCES;
    }
    return netlink_refuse(netlink, "--address", address->text, ret);
}

int netlink_add_address(struct netlink *netlink, const struct address *address)
{
    if (broker_is_there())
        return netlink_away_address(NETLINK_ADD_ADDRESS, address);

    struct rtnl_addr *request;
    struct nl_addr *local;
    int ret = build_address(netlink, address, &local, &request);

    if (!ret) {
        /* The carrier comes and goes with the peer; detecting duplicates would take a second each time, an outage. */
        if (address->family == AF_INET6)
            rtnl_addr_set_flags(request, IFA_F_NODAD);
        ret = rtnl_addr_add(netlink->sock, request, NLM_F_REPLACE);
        /* Tried first all the same, for one that is there may have no flag yet. */
        if (ret == -NLE_PERM && has_address(netlink, local))
            ret = 0;
        rtnl_addr_put(request);
        nl_addr_put(local);
    }
    return ret ? refuse_address(netlink, address, ret) : 0;
}

int netlink_delete_address(struct netlink *netlink, const struct address *address)
{
    if (broker_is_there())
        return netlink_away_address(NETLINK_DELETE_ADDRESS, address);

    struct rtnl_addr *request;
    struct nl_addr *local;
    int ret = build_address(netlink, address, &local, &request);

    if (!ret) {
        ret = rtnl_addr_delete(netlink->sock, request, 0);
        if (ret == -NLE_NOADDR || (ret == -NLE_PERM && !has_address(netlink, local)))
            ret = 0;
        rtnl_addr_put(request);
        nl_addr_put(local);
    }
    return ret ? refuse_address(netlink, address, ret) : 0;
}
