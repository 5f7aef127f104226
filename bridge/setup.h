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

/** What is to be as it was, of an interface that is made again. */
struct setup_again {
    unsigned queues;
    unsigned offload; /* set of enum offload */
    uint8_t mac[6];
    bool is_persistent;
};

/**
 * Opens the TAP, in its namespace, or takes over the descriptors that the options name, and configures it. A new one
 * gets an Ethernet address, made up unless the options have one: the same whenever the same side of the same link is
 * started in the same namespace, so that the neighbour tables at the peer stay right when this side is started again.
 *
 * netns_fd   its namespace, or -1 for the present one
 * again      NULL at the start; else the interface was deleted
 * netlink    a socket in the namespace of the interface, which is selected there
 *
 * On failure the caller closes the TAP all the same, which he had initialized: it may be open, or else is as it was.
 */
int setup_interface(const struct options *options, int netns_fd, const struct setup_again *again,
                    struct netlink *netlink, struct tap *ret_tap);

/** Adds the routes of the options: the kernel drops them when the interface goes down. */
int setup_routes(const struct options *options, struct netlink *netlink);

/**
 * Is this queue of the kernel clearly too short for one connection of TCP at its fastest? Returns how many frames it
 * had better have, or 0 if it will do.
 *
 * txqueuelen, mtu   of the interface: frames, bytes
 * offload           set of enum offload: with segmentation a frame is up to 64 KiB long
 */
uint32_t setup_queue_length(uint32_t txqueuelen, uint32_t mtu, unsigned offload);

/**
 * What we can receive, as virtio-net features: what the kernel takes, as far as our slots hold it.
 *
 * -EMSGSIZE   the slots hold no frame of this MTU, or none of an offload that was asked for by name
 */
int setup_offer(const struct options *options, const struct tap *tap, uint32_t mtu, uint64_t *ret_features);

/** Fills what link_open() wants to know: what the options say, and what the peer is told of the interface. */
void setup_link(const struct options *options, const struct tap *tap, const struct netlink_interface *interface,
                uint64_t features, struct link_setup *ret_setup);

#endif
