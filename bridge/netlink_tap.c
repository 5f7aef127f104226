/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_tap.c - is there a TAP of this name, and can it be opened as it is wanted?
 *
 * Room: bridge. libnl 3.7 knows nothing of IFLA_TUN_*, which is read here by hand.
 */
#include "netlink_private.h"

#include "log.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <netlink/msg.h>
#include <string.h>

/* What RTM_GETLINK says about an interface of the wanted name. */
struct probe {
    bool is_tun;
    bool is_tap;
    bool is_multi_queue;
    unsigned open_queues; /* of one that is_multi_queue: of another program, in use or not */
    bool has_pi;          /* the kernel's own header before each frame; a descriptor always says that there is none */
    bool was_seen;
};

static void read_tun(struct nlattr *data, struct probe *probe)
{
    struct nlattr *table[IFLA_TUN_MAX + 1];

    if (!data || nla_parse_nested(table, IFLA_TUN_MAX, data, NULL) < 0)
        return;
    probe->is_tap = table[IFLA_TUN_TYPE] && nla_get_u8(table[IFLA_TUN_TYPE]) == IFF_TAP;
    probe->is_multi_queue = table[IFLA_TUN_MULTI_QUEUE] && nla_get_u8(table[IFLA_TUN_MULTI_QUEUE]);
    probe->has_pi = table[IFLA_TUN_PI] && nla_get_u8(table[IFLA_TUN_PI]);
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
        log_error("--tap %s: there is an interface of this name and it is not a TAP; choose another name", name);
        return -EINVAL;
    }
    if (!probe.is_tap) {
        log_error("--tap %s: it is a TUN, without Ethernet; repair: ip tuntap del dev %s mode tun && "
                  "ip tuntap add dev %s mode tap vnet_hdr",
                  name, name, name);
        return -EINVAL;
    }
    if (!probe.is_multi_queue && *queues > 1 && must_have_queues) {
        log_error("--tap %s: it was made for one queue and --queues says %u; repair: ip tuntap del dev %s mode tap && "
                  "ip tuntap add dev %s mode tap vnet_hdr multi_queue",
                  name, *queues, name, name);
        return -EINVAL;
    }
    /* The kernel would let both have queues of it, and each would get a part of the frames. */
    if (probe.open_queues > 0) {
        log_error("TAP %s: another program holds it open; end that one or choose another name", name);
        return -EBUSY;
    }
    if (!probe.is_multi_queue)
        *queues = 1;
    *ret_is_multi_queue = probe.is_multi_queue;
    return 0;
}

int netlink_tap_check_adopted(struct netlink *netlink, const char *name, unsigned queues)
{
    struct probe probe = {.was_seen = false};

    if (run_probe(netlink, name, &probe) < 0 || !probe.was_seen || !probe.is_tun) {
        log_error("TAP %s: it is not in this network namespace; name its own with --netns", name);
        return -ENODEV;
    }
    if (probe.has_pi) {
        log_error("TAP %s: it has a protocol header before each frame; whoever opens it has to do so with IFF_NO_PI",
                  name);
        return -EINVAL;
    }
    if (probe.open_queues > queues) {
        log_error(
            "TAP %s: another program has %u more queues of it, and would get a part of the frames; end that one or "
            "pass all of them on",
            name, probe.open_queues - queues);
        return -EBUSY;
    }
    return 0;
}
