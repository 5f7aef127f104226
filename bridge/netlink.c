/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink.c - a socket to ask the kernel about one interface, and what is asked while the bridge runs.
 *
 * Room: bridge. libnl includes <linux/if.h>, beside which <net/if.h> does not compile: so it is not used here.
 * libnl 3.7 makes one error of many, and drops the kernel's own text; both are kept here, for the line that tells of a
 * refusal.
 */
#include "netlink_private.h"

#include "log.h"
#include "netlink_away.h"
#include "netns.h"

#include <errno.h>
#include <linux/if.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* ---- The socket ---- */

/* What follows the request that was refused, if the kernel has something to say. */
static void keep_text(struct netlink *netlink, struct nlmsgerr *refusal)
{
    struct nlmsghdr *header = (struct nlmsghdr *)(void *)((char *)refusal - NLMSG_HDRLEN);
    size_t behind = NLMSG_HDRLEN + sizeof(refusal->error) +
                    ((header->nlmsg_flags & NLM_F_CAPPED) ? NLMSG_HDRLEN : NLMSG_ALIGN(refusal->msg.nlmsg_len));
    struct nlattr *text;

    netlink->text[0] = '\0';
    if (!(header->nlmsg_flags & NLM_F_ACK_TLVS) || header->nlmsg_len <= behind)
        return;
    text = nla_find((struct nlattr *)(void *)((char *)header + behind), (int)(header->nlmsg_len - behind),
                    NLMSGERR_ATTR_MSG);
    if (text)
        (void)nla_strlcpy(netlink->text, text, sizeof(netlink->text));
}

static int note_refusal(struct sockaddr_nl *from, struct nlmsgerr *refusal, void *argument)
{
    struct netlink *netlink = argument;

    (void)from;
    netlink->error = -refusal->error;
    keep_text(netlink, refusal);
    return -nl_syserr2nlerr(netlink->error);
}

static void keep_refusals(struct netlink *netlink)
{
    struct nl_cb *callbacks = nl_socket_get_cb(netlink->sock);
    int one = 1;

    nl_cb_err(callbacks, NL_CB_CUSTOM, note_refusal, netlink);
    nl_cb_put(callbacks);
    /* Kernels before 4.12 say nothing more. */
    (void)setsockopt(nl_socket_get_fd(netlink->sock), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
}

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
        log_error("netlink: %s", nl_geterror(ret));
        ret = -EIO;
        goto err_enter;
    }
    keep_refusals(netlink);
    *ret_netlink = netlink;
    return 0;

err_enter:
    nl_socket_free(netlink->sock);
err_sock:
    free(netlink);
err_alloc:
    if (ret == -ENOMEM)
        log_error("netlink: %s", strerror(ENOMEM));
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

int netlink_refuse(const struct netlink *netlink, const char *option, const char *value, int error)
{
    bool is_kernels = netlink->error && nl_syserr2nlerr(netlink->error) == -error;
    const char *remedy = "";

    if (error == -NLE_PERM)
        remedy = "; run with CAP_NET_ADMIN";
    else if (error == -NLE_RANGE || error == -NLE_INVAL)
        remedy = "; the interface cannot have this value";
    log_error("%s %s: %s%s%s%s%s", option, value, is_kernels ? strerror(netlink->error) : nl_geterror(error),
              is_kernels && netlink->text[0] ? " (" : "", is_kernels ? netlink->text : "",
              is_kernels && netlink->text[0] ? ")" : "", remedy);
    return error == -NLE_PERM ? -EPERM : -EINVAL;
}

/* ---- The interface ---- */

int netlink_get(struct netlink *netlink, struct rtnl_link **ret_interface)
{
    int ret = rtnl_link_get_kernel(netlink->sock, netlink->index, NULL, ret_interface);

    return ret < 0 ? ret : 0;
}

int netlink_select(struct netlink *netlink, const char *name)
{
    struct rtnl_link *interface;
    int ret = rtnl_link_get_kernel(netlink->sock, 0, name, &interface);

    if (ret < 0)
        return netlink_refuse(netlink, "--tap", name, ret);
    netlink->index = rtnl_link_get_ifindex(interface);
    rtnl_link_put(interface);
    return 0;
}

int netlink_index(const struct netlink *netlink)
{
    return netlink->index;
}

void netlink_set_index(struct netlink *netlink, int index)
{
    netlink->index = index;
}

int netlink_fd(const struct netlink *netlink)
{
    return netlink->sock ? nl_socket_get_fd(netlink->sock) : -1;
}

void netlink_hand_over(struct netlink *netlink)
{
    nl_socket_free(netlink->sock);
    netlink->sock = NULL;
}

int netlink_look(struct netlink *netlink, struct netlink_interface *ret_interface)
{
    struct rtnl_link *interface;
    struct nl_addr *address;
    int ret;

    if (broker_is_there())
        return netlink_away_look(ret_interface);
    ret = netlink_get(netlink, &interface);
    if (ret)
        return ret == -NLE_OBJ_NOTFOUND || ret == -NLE_NODEV || netlink->error == ENODEV ? -ENODEV : -EIO;
    *ret_interface = (struct netlink_interface){
        .is_up = rtnl_link_get_flags(interface) & IFF_UP,
        .mtu = rtnl_link_get_mtu(interface),
        .txqueuelen = rtnl_link_get_txqlen(interface),
    };
    snprintf(ret_interface->name, sizeof(ret_interface->name), "%s", rtnl_link_get_name(interface));
    address = rtnl_link_get_addr(interface);
    if (address && nl_addr_get_len(address) == sizeof(ret_interface->mac))
        memcpy(ret_interface->mac, nl_addr_get_binary_addr(address), sizeof(ret_interface->mac));
    rtnl_link_put(interface);
    return 0;
}

void netlink_wait_running(struct netlink *netlink)
{
    const struct timespec pause = {.tv_nsec = 250000};

    if (broker_is_there()) {
        (void)netlink_away_plain(NETLINK_WAIT_RUNNING);
        return;
    }
    for (int i = 0; i < 200; i++) {
        struct rtnl_link *interface;
        unsigned flags;

        if (netlink_get(netlink, &interface))
            return;
        flags = rtnl_link_get_flags(interface);
        rtnl_link_put(interface);
        if (!(flags & IFF_UP) || (flags & IFF_RUNNING))
            return;
        nanosleep(&pause, NULL);
    }
}
