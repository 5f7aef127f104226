/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink.h - sets and reads what an interface has in the kernel, through libnl.
 *
 * Room: bridge. A call that fails has logged the reason, unless it says otherwise.
 *
 * Each change is a call of its own which takes plain values, so that another process can make it: one that has a
 * `struct netlink` in the same network namespace, with the interface selected. The files: netlink.c the socket and what
 * is read, netlink_tap.c what there is before the TAP is opened, netlink_change.c, netlink_route.c and
 * netlink_altname.c the changes, netlink_neighbours.c the neighbours. Used by one thread.
 */
#ifndef VOP_BRIDGE_NETLINK_H
#define VOP_BRIDGE_NETLINK_H

#include "parse.h"

#include <stdbool.h>
#include <stdint.h>

#define NETLINK_NAME_SIZE 16 /* IFNAMSIZ. Its header, <net/if.h>, does not compile beside <linux/if.h> */

struct netlink;

/** How the interface is now. */
struct netlink_interface {
    char name[NETLINK_NAME_SIZE];
    bool is_up; /* as `ip link set up` makes it */
    uint32_t mtu;
    uint32_t txqueuelen; /* packets */
    uint8_t mac[6];      /* 0 if it has none of this length */
};

/* ---- The socket ---- */

/** Opens a socket in the namespace `netns_fd`, or in the present one if that is negative. */
int netlink_open(int netns_fd, struct netlink **ret_netlink);

/** NULL is allowed. */
void netlink_close(struct netlink *netlink);

/**
 * Before the TAP is opened: checks that no interface of this name is in the way, one that cannot be opened as a TAP
 * with so many queues. The kernel would only say EINVAL.
 *
 * queues               in: wanted. Out: 1, if it was made for one queue
 * must_have_queues     fail then
 * ret_is_multi_queue   was it made for several queues, or, if there is none, is it to be?
 *
 * -EINVAL   one is in the way; the line that was logged says how it was made and how to repair that
 * -EBUSY    another program has it open; that was logged
 */
int netlink_tap_check(struct netlink *netlink, const char *name, bool must_have_queues, unsigned *queues,
                      bool *ret_is_multi_queue);

/**
 * After queues of a TAP were taken over: checks that it is in this namespace, that its frames are as they should be,
 * and that nobody has others of its queues.
 *
 * -ENODEV, -EINVAL, -EBUSY   that was logged
 */
int netlink_tap_check_adopted(struct netlink *netlink, const char *name, unsigned queues);

/** Selects the interface that all other calls are about. It stays that one, whatever it is called later. */
int netlink_select(struct netlink *netlink, const char *name);

/** The index of the interface that is selected. */
int netlink_index(const struct netlink *netlink);

/** Another process has selected the interface, and the calls below are done by that. */
void netlink_set_index(struct netlink *netlink, int index);

/** The descriptor of the socket. */
int netlink_fd(const struct netlink *netlink);

/** The broker has the socket now: closes it here. */
void netlink_hand_over(struct netlink *netlink);

/**
 * How is the interface now?
 *
 * -ENODEV   it is not in this namespace any more. Nothing is logged
 * -EIO      the kernel does not tell. Nothing is logged
 */
int netlink_look(struct netlink *netlink, struct netlink_interface *ret_interface);

/* ---- Changes. What is already as it should be is not touched, and so needs no privilege ---- */

/** what   the option, or whatever else the value comes from, as it is to be called in a line about a failure */
int netlink_set_mtu(struct netlink *netlink, const char *what, uint32_t mtu);

/** Likewise the Ethernet address. */
int netlink_set_mac(struct netlink *netlink, const char *what, const uint8_t mac[6]);

int netlink_set_txqueuelen(struct netlink *netlink, uint32_t packets);

/** Makes it a port of this bridge or bond; NULL: of none. */
int netlink_set_master(struct netlink *netlink, const char *name);

/** Brings it up. `name` is for a line about a failure. */
int netlink_bring_up(struct netlink *netlink, const char *name);

/** Without duplicate address detection. */
int netlink_add_address(struct netlink *netlink, const struct address *address);
int netlink_delete_address(struct netlink *netlink, const struct address *address);

/**
 * Adds a route through the interface, which must be up, to the main table. One that is there, with this very gateway,
 * is no failure.
 *
 * -EEXIST        there is a route to this destination by another way
 * -ENETUNREACH   no address of the interface reaches the gateway
 */
int netlink_add_route(struct netlink *netlink, const struct route *route);
int netlink_delete_route(struct netlink *netlink, const struct route *route);

/**
 * Gives it one more name, of up to 127 bytes.
 *
 * -EEXIST       another interface has that name
 * -EOPNOTSUPP   the kernel knows no such names
 */
int netlink_add_altname(struct netlink *netlink, const char *name);
int netlink_delete_altname(struct netlink *netlink, const char *name);

/* ---- When the carrier comes on ---- */

/**
 * After the carrier was switched on: waits until the kernel has noticed. Until then it throws away what it should send,
 * and if the first answer to ARP is lost, that costs a second. It usually takes much less than a millisecond; after 50
 * this call gives up.
 */
void netlink_wait_running(struct netlink *netlink);

/** Before the carrier is switched on: notes which neighbours have not answered, as nobody could hear the question. */
void netlink_neighbours_note(struct netlink *netlink);

/**
 * After netlink_wait_running(): has the kernel ask once more for those of them that still have not. By itself it would
 * only after a second. What waits for their answer is sent then.
 */
void netlink_neighbours_retry(struct netlink *netlink);

#endif
