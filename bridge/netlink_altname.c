/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_altname.c - further names of the interface.
 *
 * Room: bridge. libnl 3.7 does not know them, so the messages are made here by hand. Linux 5.5 is the first kernel that
 * does.
 */
#include "netlink_private.h"

#include "log.h"
#include "netlink_away.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <sys/socket.h>

/* A message about one name: among the properties of the interface, or alone as what is looked for. */
static struct nl_msg *build_message(int type, int index, const char *name)
{
    struct ifinfomsg header = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    struct nl_msg *message = nlmsg_alloc_simple(type, type == RTM_NEWLINKPROP ? NLM_F_CREATE | NLM_F_EXCL : 0);
    struct nlattr *list = NULL;

    if (!message)
        return NULL;
    if (nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO) < 0)
        goto err_message;
    if (type != RTM_GETLINK) {
        list = nla_nest_start(message, IFLA_PROP_LIST | NLA_F_NESTED);
        if (!list)
            goto err_message;
    }
    if (nla_put_string(message, IFLA_ALT_IFNAME, name) < 0)
        goto err_message;
    if (list)
        nla_nest_end(message, list);
    return message;

err_message:
    nlmsg_free(message);
    return NULL;
}

static int send_property(struct netlink *netlink, int type, const char *name)
{
    struct nl_msg *message = build_message(type, netlink->index, name);

    return message ? nl_send_sync(netlink->sock, message) : -NLE_NOMEM; /* and frees it */
}

/* ---- Whose name is it? ---- */

static int read_index(struct nl_msg *message, void *argument)
{
    const struct ifinfomsg *header = nlmsg_data(nlmsg_hdr(message));

    *(int *)argument = header->ifi_index;
    return NL_OK;
}

/* The index of the interface that has this name, as its first one or another; 0: none. */
static int find_owner(struct netlink *netlink, const char *name)
{
    struct nl_cb *usual = nl_socket_get_cb(netlink->sock); /* a reference */
    struct nl_cb *callbacks = nl_cb_clone(usual);
    struct nl_msg *message = build_message(RTM_GETLINK, 0, name);
    int index = 0;

    if (callbacks && message) {
        nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, read_index, &index);
        if (nl_send_auto(netlink->sock, message) >= 0 && nl_recvmsgs(netlink->sock, callbacks) >= 0)
            (void)nl_wait_for_ack(netlink->sock);
    }
    nlmsg_free(message);
    nl_cb_put(callbacks);
    nl_cb_put(usual);
    return index;
}

/* ---- Changes ---- */

static int refuse_altname(const struct netlink *netlink, const char *name, int ret)
{
    if (ret == -NLE_EXIST) {
        log_error("--altname %s: another interface has this name; choose another one", name);
        return -EEXIST;
    }
    if (ret == -NLE_OPNOTSUPP) {
        log_error("--altname %s: this kernel's interfaces have one name each; Linux 5.5 can, or leave it out", name);
        return -EOPNOTSUPP;
    }
    return netlink_refuse(netlink, "--altname", name, ret);
}

int netlink_add_altname(struct netlink *netlink, const char *name)
{
    if (broker_is_there())
        return netlink_away_name(NETLINK_ADD_ALTNAME, name);

    int ret = send_property(netlink, RTM_NEWLINKPROP, name);

    if ((ret == -NLE_EXIST || ret == -NLE_PERM) && find_owner(netlink, name) == netlink->index)
        return 0;
    return ret ? refuse_altname(netlink, name, ret) : 0;
}

int netlink_delete_altname(struct netlink *netlink, const char *name)
{
    if (broker_is_there())
        return netlink_away_name(NETLINK_DELETE_ALTNAME, name);

    int ret = send_property(netlink, RTM_DELLINKPROP, name);

    if (ret && find_owner(netlink, name) != netlink->index)
        return 0;
    return ret ? refuse_altname(netlink, name, ret) : 0;
}
