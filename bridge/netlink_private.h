/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_private.h - what the netlink files have in common: the socket, and how a refusal is worded.
 *
 * Room: bridge. Only the files netlink*.c include it.
 */
#ifndef VOP_BRIDGE_NETLINK_PRIVATE_H
#define VOP_BRIDGE_NETLINK_PRIVATE_H

#include "netlink.h"

#include <netlink/netlink.h>
#include <netlink/route/link.h>

struct netlink {
    struct nl_sock *sock;
    int index;                /* of the TAP, once it is selected */
    struct nl_cache *in_vain; /* neighbours that had not answered when they were noted; NULL: there are none */
    int error;                /* the kernel's last refusal, as a positive errno, */
    char text[128];           /* and what it said of it, or "" */
};

/**
 * Logs "OPTION VALUE: why; remedy" for a request that has failed.
 *
 * error     of libnl, negative. What the kernel said is used if that is the reason
 * Returns   -EPERM, or -EINVAL for everything else
 */
int netlink_refuse(const struct netlink *netlink, const char *option, const char *value, int error);

/** The interface that is selected. A libnl error, or 0; then it must be put. */
int netlink_get(struct netlink *netlink, struct rtnl_link **ret_interface);

#endif
