/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * setup.h - from the options to an interface, and to what is announced about it.
 *
 * Room: bridge. Each call says what is wrong.
 */
#ifndef VOP_BRIDGE_SETUP_H
#define VOP_BRIDGE_SETUP_H

#include "link.h"
#include "netlink.h"
#include "options.h"
#include "tap.h"

#include <stdint.h>

/**
 * Opens the TAP, in its namespace, and configures it. A new one gets a made-up Ethernet address, unless the options
 * have one: the same whenever the same side of the same link is started in the same namespace, so that the neighbour
 * tables over there stay right when this side is started again.
 *
 * ret_netlink   a socket in the namespace of the interface
 *
 * On failure both may be open, or else are as they were.
 */
int setup_interface(const struct options *options, struct tap *ret_tap, struct netlink **ret_netlink,
                    struct netlink_interface *ret_interface);

/** Says what we can receive, as virtio-net features: what the kernel takes, as far as our slots hold it. */
int setup_offer(const struct options *options, const struct tap *tap, uint32_t mtu, uint64_t *ret_features);

/** Says what the link is to be, and what is announced there: geometry, features and device configuration. */
void setup_link(const struct options *options, const struct netlink_interface *interface, uint64_t features,
                struct link_setup *ret_setup);

#endif
