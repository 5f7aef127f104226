/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netlink.h - sets and reads what an interface has by its name, through libnl.
 *
 * Room: bridge. A call that fails has logged the reason.
 */
#ifndef VOP_BRIDGE_NETLINK_H
#define VOP_BRIDGE_NETLINK_H

#include "options.h"

#include <stdint.h>

struct netlink;

/** What the peer is told about the interface. */
struct netlink_interface {
    uint32_t mtu;
    uint8_t mac[6];
};

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
 * Gives the TAP the properties that the options ask for, and brings it up. What is already as it should be is not
 * touched, and so needs no privilege.
 *
 * ret_interface   what the interface has afterwards
 */
int netlink_configure(struct netlink *netlink, const struct options *options, struct netlink_interface *ret_interface);

/** The index of the interface, once it is configured. */
int netlink_index(const struct netlink *netlink);

/** Is the interface up (as `ip link set up` makes it), and what is its MTU? A negative errno: it does not tell. */
int netlink_get_state(struct netlink *netlink, bool *ret_is_up, uint32_t *ret_mtu);

/** Gives the interface another MTU. A failure was logged. */
int netlink_set_mtu(struct netlink *netlink, uint32_t mtu);

/** Gives the interface another Ethernet address. A failure was logged. */
int netlink_set_mac(struct netlink *netlink, const uint8_t mac[6]);

/**
 * After the carrier was switched on: waits until the kernel has noticed. Until then it throws away what it should send,
 * and if the first answer to ARP is lost, that costs a second. It usually takes much less than a millisecond; after 50
 * this call gives up.
 */
void netlink_wait_running(struct netlink *netlink);

/** Before the carrier is switched on: notes which neighbours have not answered, as nobody could hear the question. */
void netlink_neighbours_note(struct netlink *netlink);

/**
 * After netlink_wait_running(): forgets those of them that still have not. The kernel would ask again only after a
 * second; now it asks with the next packet. What waits for their answer is lost with them, so those of whom it has
 * begun to ask meanwhile are left alone.
 */
void netlink_neighbours_retry(struct netlink *netlink);

#endif
