/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink.h - what is set and learned about an interface by its name, through libnl.
 *
 * Room: bridge. Each call says what is wrong.
 */
#ifndef VOP_BRIDGE_NETLINK_H
#define VOP_BRIDGE_NETLINK_H

#include "options.h"

#include <stdint.h>

struct netlink;

/** What is announced to the peer about the interface. */
struct netlink_interface {
    uint32_t mtu;
    uint8_t mac[6];
};

/** Opens a socket in the namespace `netns_fd`, or in the present one if that is negative. */
int netlink_open(int netns_fd, struct netlink **ret_netlink);

/** NULL is allowed. */
void netlink_close(struct netlink *netlink);

/**
 * Before the TAP is opened: looks whether there is an interface of this name that cannot be opened as a TAP with one
 * queue, for which the kernel would say no more than EINVAL.
 *
 * -EINVAL   there is one; the line names the flag and the repair
 */
int netlink_tap_check(struct netlink *netlink, const char *name);

/**
 * Gives the TAP what the options ask for, and sets it up. What is already as it should be is not touched, and so needs
 * no privilege.
 *
 * ret_interface   how it is afterwards
 */
int netlink_configure(struct netlink *netlink, const struct options *options, struct netlink_interface *ret_interface);

/**
 * After the carrier has come on: waits until the kernel has noticed, for that long it throws away what it should send,
 * and the loss of the first answer to ARP costs a second. Usually much less than a millisecond, and never more than 50.
 */
void netlink_wait_running(struct netlink *netlink);

/**
 * After that: forgets the neighbours that were asked for in vain while the carrier was off. The kernel would ask again
 * only after a second; now it does with the next packet.
 */
void netlink_neighbours_retry(struct netlink *netlink);

#endif
