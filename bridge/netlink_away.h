/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink_away.h - what netlink.h does, done by the broker: both ends of it.
 *
 * Room: bridge. Each call of netlink.h that a running bridge makes looks first whether there is a broker, so its
 * callers do not notice. Of addresses, routes, names and masters the broker uses its own copies, from the
 * options that it has read itself: a worker can only choose among them.
 */
#ifndef VOP_BRIDGE_NETLINK_AWAY_H
#define VOP_BRIDGE_NETLINK_AWAY_H

#include "broker.h"
#include "netlink.h"

enum netlink_op {
    NETLINK_LOOK,
    NETLINK_SET_MTU,
    NETLINK_SET_MAC,
    NETLINK_SET_TXQUEUELEN,
    NETLINK_SET_MASTER,
    NETLINK_BRING_UP,
    NETLINK_ADD_ADDRESS,
    NETLINK_DELETE_ADDRESS,
    NETLINK_ADD_ROUTE,
    NETLINK_DELETE_ROUTE,
    NETLINK_ADD_ALTNAME,
    NETLINK_DELETE_ALTNAME,
    NETLINK_WAIT_RUNNING,
    NETLINK_NEIGHBOURS_NOTE,
    NETLINK_NEIGHBOURS_RETRY,
    NETLINK_OPS
};

/** What is asked: the operation, and what it needs of the rest, which is zero otherwise. */
struct netlink_question {
    uint32_t op; /* enum netlink_op */
    uint32_t number;
    uint8_t mac[6];
    char what[32];  /* as a line about a failure calls it */
    char name[128]; /* of a master, or one more name */
    struct address address;
    struct route route;
};

/* The worker's side: each returns what the call of netlink.h returns. */
int netlink_away_look(struct netlink_interface *ret_interface);
int netlink_away_number(enum netlink_op op, const char *what, uint32_t number);
int netlink_away_mac(const char *what, const uint8_t mac[6]);
int netlink_away_name(enum netlink_op op, const char *name);
int netlink_away_address(enum netlink_op op, const struct address *address);
int netlink_away_route(enum netlink_op op, const struct route *route);
int netlink_away_plain(enum netlink_op op);

struct broker_place;
struct broker_call;

/** Serves a BROKER_NETLINK. */
int netlink_away_serve(struct broker_place *place, struct broker_call *call);

#endif
