/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink.c - sets and reads what an interface has by its name, through libnl.
 *
 * Room: bridge. libnl includes <linux/if.h>, beside which <net/if.h> does not compile: so it is not used here.
 *
 * Each property is a request of its own, so that a refusal can be reported with the option's name. libnl 3.7 knows
 * nothing of IFLA_TUN_*, which is read here by hand. It also drops the kernel's extended error texts.
 */
#include "netlink.h"

#include "log.h"
#include "netns.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct netlink {
    struct nl_sock *sock;
    int index;                /* of the TAP, once it is configured */
    struct nl_cache *in_vain; /* neighbours that had not answered when they were noted; NULL: there are none */
};

int netlink_open(int netns_fd, struct netlink **ret_netlink)
{
    struct netlink *netlink = calloc(1, sizeof(*netlink));
    int previous;
    int ret = -ENOMEM;

    if (!netlink)
        goto err_alloc;
    netlink->sock = nl_socket_alloc();
    if (!netlink->sock)
        goto err_sock;
    ret = netns_enter(netns_fd, &previous);
    if (ret)
        goto err_enter;
    ret = nl_connect(netlink->sock, NETLINK_ROUTE);
    netns_leave(previous);
    if (ret) {
        log_line("netlink: %s", nl_geterror(ret));
        ret = -EIO;
        goto err_enter;
    }
    *ret_netlink = netlink;
    return 0;

err_enter:
    nl_socket_free(netlink->sock);
err_sock:
    free(netlink);
err_alloc:
    if (ret == -ENOMEM)
        log_line("netlink: %s", strerror(ENOMEM));
    return ret;
}

void netlink_close(struct netlink *netlink)
{
    if (!netlink)
        return;
    nl_cache_free(netlink->in_vain);
    nl_socket_free(netlink->sock);
    free(netlink);
}

/* ---- Before the TAP is opened ---- */

/* What RTM_GETLINK says about an interface of the wanted name. */
struct probe {
    bool is_tun;
    bool is_tap;
    bool is_multi_queue;
    unsigned open_queues; /* of one that is_multi_queue: of another program, in use or not */
    bool was_seen;
};

static void read_tun(struct nlattr *data, struct probe *probe)
{
    struct nlattr *table[IFLA_TUN_MAX + 1];

    if (!data || nla_parse_nested(table, IFLA_TUN_MAX, data, NULL) < 0)
        return;
    probe->is_tap = table[IFLA_TUN_TYPE] && nla_get_u8(table[IFLA_TUN_TYPE]) == IFF_TAP;
    probe->is_multi_queue = table[IFLA_TUN_MULTI_QUEUE] && nla_get_u8(table[IFLA_TUN_MULTI_QUEUE]);
    if (table[IFLA_TUN_NUM_QUEUES])
        probe->open_queues += nla_get_u32(table[IFLA_TUN_NUM_QUEUES]);
    if (table[IFLA_TUN_NUM_DISABLED_QUEUES])
        probe->open_queues += nla_get_u32(table[IFLA_TUN_NUM_DISABLED_QUEUES]);
}

static int read_probe(struct nl_msg *message, void *argument)
{
    struct nlattr *table[IFLA_MAX + 1];
    struct nlattr *info[IFLA_INFO_MAX + 1];
    struct probe *probe = argument;

    probe->was_seen = true;
    if (nlmsg_parse(nlmsg_hdr(message), sizeof(struct ifinfomsg), table, IFLA_MAX, NULL) < 0 || !table[IFLA_LINKINFO] ||
        nla_parse_nested(info, IFLA_INFO_MAX, table[IFLA_LINKINFO], NULL) < 0 || !info[IFLA_INFO_KIND])
        return NL_OK;
    probe->is_tun = strcmp(nla_get_string(info[IFLA_INFO_KIND]), "tun") == 0;
    if (probe->is_tun)
        read_tun(info[IFLA_INFO_DATA], probe);
    return NL_OK;
}

static int run_probe(struct netlink *netlink, const char *name, struct probe *probe)
{
    struct nl_msg *request;
    struct nl_cb *usual = nl_socket_get_cb(netlink->sock); /* a reference */
    struct nl_cb *callbacks = nl_cb_clone(usual);
    int ret = callbacks ? rtnl_link_build_get_request(0, name, &request) : -NLE_NOMEM;

    if (!ret) {
        nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, read_probe, probe);
        ret = nl_send_auto(netlink->sock, request);
        nlmsg_free(request);
        if (ret >= 0)
            ret = nl_recvmsgs(netlink->sock, callbacks);
        if (ret >= 0)
            ret = nl_wait_for_ack(netlink->sock);
    }
    nl_cb_put(callbacks);
    nl_cb_put(usual);
    return ret;
}

int netlink_tap_check(struct netlink *netlink, const char *name, bool must_have_queues, unsigned *queues,
                      bool *ret_is_multi_queue)
{
    struct probe probe = {.was_seen = false};
    int ret = run_probe(netlink, name, &probe);

    *ret_is_multi_queue = *queues > 1;
    if (ret < 0 || !probe.was_seen)
        return 0; /* there is none; or the kernel does not answer, and then opening the TAP will tell */
    if (!probe.is_tun) {
        log_line("--tap %s: there is an interface of this name and it is not a TAP; choose another name", name);
        return -EINVAL;
    }
    if (!probe.is_tap) {
        log_line("--tap %s: it is a TUN, without Ethernet; repair: ip tuntap del dev %s mode tun && "
                 "ip tuntap add dev %s mode tap vnet_hdr",
                 name, name, name);
        return -EINVAL;
    }
    if (!probe.is_multi_queue && *queues > 1 && must_have_queues) {
        log_line("--tap %s: it was made for one queue and --queues says %u; repair: ip tuntap del dev %s mode tap && "
                 "ip tuntap add dev %s mode tap vnet_hdr multi_queue",
                 name, *queues, name, name);
        return -EINVAL;
    }
    /* The kernel would let both have queues of it, and each would get a part of the frames. */
    if (probe.open_queues > 0) {
        log_line("TAP %s: another program holds it open; end that one or choose another name", name);
        return -EBUSY;
    }
    if (!probe.is_multi_queue)
        *queues = 1;
    *ret_is_multi_queue = probe.is_multi_queue;
    return 0;
}

/* ---- Configuration ---- */

static int refuse(const char *option, const char *value, int ret)
{
    const char *remedy = "";

    if (ret == -NLE_PERM)
        remedy = "; run with CAP_NET_ADMIN";
    else if (ret == -NLE_RANGE || ret == -NLE_INVAL)
        remedy = "; the interface cannot have this value";
    log_line("%s %s: %s%s", option, value, nl_geterror(ret), remedy);
    return ret == -NLE_PERM ? -EPERM : -EINVAL;
}

static int get_interface(struct netlink *netlink, int index, const char *name, struct rtnl_link **ret_interface)
{
    int ret = rtnl_link_get_kernel(netlink->sock, index, name, ret_interface);

    return ret < 0 ? ret : 0;
}

/* Sends `change` and frees it. */
static int send_change(struct netlink *netlink, struct rtnl_link *interface, struct rtnl_link *change)
{
    int ret = rtnl_link_change(netlink->sock, interface, change, 0);

    rtnl_link_put(change);
    return ret;
}

static int set_mac(struct netlink *netlink, struct rtnl_link *interface, const char *option, const uint8_t mac[6])
{
    struct nl_addr *present = rtnl_link_get_addr(interface);
    struct nl_addr *wanted = nl_addr_build(AF_LLC, (void *)(uintptr_t)mac, 6);
    struct rtnl_link *change = rtnl_link_alloc();
    char text[32];
    int ret = 0;

    if (!wanted || !change) {
        rtnl_link_put(change);
        ret = -NLE_NOMEM;
    } else if (present && nl_addr_get_len(present) == 6 && memcmp(nl_addr_get_binary_addr(present), mac, 6) == 0) {
        rtnl_link_put(change);
    } else {
        rtnl_link_set_addr(change, wanted);
        ret = send_change(netlink, interface, change);
    }
    if (ret)
        ret = refuse(option, wanted ? nl_addr2str(wanted, text, sizeof(text)) : "", ret);
    nl_addr_put(wanted);
    return ret;
}

static int set_number(struct netlink *netlink, struct rtnl_link *interface, const char *option, uint32_t value,
                      void (*set)(struct rtnl_link *, unsigned))
{
    struct rtnl_link *change = rtnl_link_alloc();
    char text[16];
    int ret = -NLE_NOMEM;

    if (change) {
        set(change, value);
        ret = send_change(netlink, interface, change);
    }
    snprintf(text, sizeof(text), "%u", value);
    return ret ? refuse(option, text, ret) : 0;
}

static int set_master(struct netlink *netlink, struct rtnl_link *interface, const char *name)
{
    struct rtnl_link *change;
    struct rtnl_link *master;
    int index;
    int ret = get_interface(netlink, 0, name, &master);

    if (ret) {
        log_line("--master %s: %s; make it first: ip link add %s type bridge", name, nl_geterror(ret), name);
        return -ENODEV;
    }
    index = rtnl_link_get_ifindex(master);
    rtnl_link_put(master);
    if (rtnl_link_get_master(interface) == index)
        return 0;
    change = rtnl_link_alloc();
    if (!change)
        return refuse("--master", name, -NLE_NOMEM);
    rtnl_link_set_master(change, index);
    ret = send_change(netlink, interface, change);
    if (ret == -NLE_OPNOTSUPP || ret == -NLE_INVAL) {
        log_line("--master %s: it takes no members; name a bridge: ip link add br0 type bridge", name);
        return -EINVAL;
    }
    return ret ? refuse("--master", name, ret) : 0;
}

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

static int set_address(struct netlink *netlink, const struct address *address)
{
    struct nl_addr *local = nl_addr_build(address->family, address->bytes, address->family == AF_INET ? 4 : 16);
    struct rtnl_addr *request = rtnl_addr_alloc();
    int ret = -NLE_NOMEM;

    if (local && request) {
        nl_addr_set_prefixlen(local, (int)address->prefix);
        rtnl_addr_set_ifindex(request, netlink->index);
        ret = rtnl_addr_set_local(request, local);
        /* The carrier comes and goes with the peer; detecting duplicates would take a second each time, an outage. */
        if (!ret && address->family == AF_INET6)
            rtnl_addr_set_flags(request, IFA_F_NODAD);
        if (!ret)
            ret = rtnl_addr_add(netlink->sock, request, NLM_F_REPLACE);
        /* Tried first all the same, for one that is there may have no flag yet. */
        if (ret == -NLE_PERM && has_address(netlink, local))
            ret = 0;
    }
    if (request)
        rtnl_addr_put(request);
    nl_addr_put(local);
    if (ret == -NLE_NOACCESS || ret == -NLE_OPNOTSUPP || ret == -NLE_AF_NOSUPPORT) {
        log_line("--address %s: %s; is net.ipv6.conf.*.disable_ipv6 set?", address->text, nl_geterror(ret));
        return -EACCES;
    }
    return ret ? refuse("--address", address->text, ret) : 0;
}

static int bring_up(struct netlink *netlink, struct rtnl_link *interface, const char *name)
{
    struct rtnl_link *change;
    int ret = -NLE_NOMEM;

    if (rtnl_link_get_flags(interface) & IFF_UP)
        return 0;
    change = rtnl_link_alloc();
    if (change) {
        rtnl_link_set_flags(change, IFF_UP);
        ret = send_change(netlink, interface, change);
    }
    return ret ? refuse("setting up", name, ret) : 0;
}

static int configure_interface(struct netlink *netlink, struct rtnl_link *interface, const struct options *options)
{
    int ret = 0;

    if (options->has_mac)
        ret = set_mac(netlink, interface, "--mac", options->mac);
    if (!ret && options->mtu && options->mtu != rtnl_link_get_mtu(interface))
        ret = set_number(netlink, interface, "--mtu", options->mtu, rtnl_link_set_mtu);
    if (!ret && options->txqueuelen && options->txqueuelen != rtnl_link_get_txqlen(interface))
        ret = set_number(netlink, interface, "--txqueuelen", options->txqueuelen, rtnl_link_set_txqlen);
    if (!ret && options->master[0])
        ret = set_master(netlink, interface, options->master);
    for (size_t i = 0; !ret && i < options->address_count; i++)
        ret = set_address(netlink, &options->addresses[i]);
    return ret ? ret : bring_up(netlink, interface, options->tap);
}

int netlink_configure(struct netlink *netlink, const struct options *options, struct netlink_interface *ret_interface)
{
    struct rtnl_link *interface;
    struct nl_addr *address;
    int ret = get_interface(netlink, 0, options->tap, &interface);

    if (ret)
        return refuse("--tap", options->tap, ret);
    netlink->index = rtnl_link_get_ifindex(interface);
    ret = configure_interface(netlink, interface, options);
    rtnl_link_put(interface);
    if (ret)
        return ret;

    ret = get_interface(netlink, netlink->index, NULL, &interface);
    if (ret)
        return refuse("--tap", options->tap, ret);
    ret_interface->mtu = rtnl_link_get_mtu(interface);
    address = rtnl_link_get_addr(interface);
    if (address && nl_addr_get_len(address) == sizeof(ret_interface->mac))
        memcpy(ret_interface->mac, nl_addr_get_binary_addr(address), sizeof(ret_interface->mac));
    else
        memset(ret_interface->mac, 0, sizeof(ret_interface->mac));
    rtnl_link_put(interface);
    return 0;
}

int netlink_index(const struct netlink *netlink)
{
    return netlink->index;
}

int netlink_get_state(struct netlink *netlink, bool *ret_is_up, uint32_t *ret_mtu)
{
    struct rtnl_link *interface;

    if (get_interface(netlink, netlink->index, NULL, &interface))
        return -EIO;
    *ret_is_up = rtnl_link_get_flags(interface) & IFF_UP;
    *ret_mtu = rtnl_link_get_mtu(interface);
    rtnl_link_put(interface);
    return 0;
}

int netlink_set_mtu(struct netlink *netlink, uint32_t mtu)
{
    struct rtnl_link *interface;
    int ret = get_interface(netlink, netlink->index, NULL, &interface);

    if (ret)
        return refuse("the MTU", "of the peer", ret);
    ret = set_number(netlink, interface, "the peer's MTU", mtu, rtnl_link_set_mtu);
    rtnl_link_put(interface);
    return ret;
}

int netlink_set_mac(struct netlink *netlink, const uint8_t mac[6])
{
    struct rtnl_link *interface;
    int ret = get_interface(netlink, netlink->index, NULL, &interface);

    if (ret)
        return refuse("the address", "of the card", ret);
    ret = set_mac(netlink, interface, "the card's address", mac);
    rtnl_link_put(interface);
    return ret;
}

void netlink_wait_running(struct netlink *netlink)
{
    const struct timespec pause = {.tv_nsec = 250000};

    for (int i = 0; i < 200; i++) {
        struct rtnl_link *interface;
        unsigned flags;

        if (get_interface(netlink, netlink->index, NULL, &interface))
            return;
        flags = rtnl_link_get_flags(interface);
        rtnl_link_put(interface);
        if (!(flags & IFF_UP) || (flags & IFF_RUNNING))
            return;
        nanosleep(&pause, NULL);
    }
}

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
    nl_cache_free(netlink->in_vain);
    netlink->in_vain = find_unanswered(netlink);
}

void netlink_neighbours_retry(struct netlink *netlink)
{
    struct nl_cache *now = netlink->in_vain ? find_unanswered(netlink) : NULL;

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
