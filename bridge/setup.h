/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup.h - makes the interface that the options ask for, and what the peer is told of it.
 *
 * Room: bridge. A call that fails has logged the reason.
 */
#ifndef VOP_BRIDGE_SETUP_H
#define VOP_BRIDGE_SETUP_H

#include "link.h"
#include "netlink.h"
#include "options.h"
#include "tap.h"

#include <stdint.h>

/**
 * Opens the TAP, in its namespace, and configures it. A new one gets an Ethernet address, made up unless the options
 * have one: the same whenever the same side of the same link is started in the same namespace, so that the neighbour
 * tables at the peer stay right when this side is started again.
 *
 * netns_fd      its namespace, or -1 for the present one
 * ret_netlink   a socket in the namespace of the interface
 *
 * On failure the caller closes both of them all the same: each may be open, or else is as it was.
 */
int setup_interface(const struct options *options, int netns_fd, struct tap *ret_tap, struct netlink **ret_netlink,
                    struct netlink_interface *ret_interface);

/**
 * What we can receive, as virtio-net features: what the kernel takes, as far as our slots hold it.
 *
 * -EMSGSIZE   the slots hold no frame of this MTU, or none of an offload that was asked for by name
 */
int setup_offer(const struct options *options, const struct tap *tap, uint32_t mtu, uint64_t *ret_features);

/** Fills what link_open() wants to know: what the options say, and what the peer is told of the interface. */
void setup_link(const struct options *options, const struct netlink_interface *interface, uint64_t features,
                unsigned queues, struct link_setup *ret_setup);

#endif
