/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_setup.h - what a link is told when it is opened, and whom it tells of a peer.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_LINK_SETUP_H
#define VOP_BRIDGE_LINK_SETUP_H

#include "port.h"

#include <stdbool.h>
#include <stdint.h>
#include <vopipc/channel.h>

/** The most ports of a link: one for each queue pair. */
#define LINK_PORTS_MAX 16

/** What the peer says of its interface. */
struct link_peer {
    bool is_up;   /* it is up there, or the peer does not say */
    uint32_t mtu; /* 0: it does not say */
};

/** What a link tells of its peer, on the control loop. */
struct link_events {
    /**
     * A peer is there. The `count` ports, 1 to LINK_PORTS_MAX, are used until link_drop() or link_close(), each by one
     * thread; whoever uses them watches their descriptors. Where there are ports already, the same peer has more or
     * fewer now, and these take their place. Returns 0, or a negative errno to refuse the peer; then the reason was
     * logged.
     */
    int (*up)(void *context, struct port *const *ports, unsigned count, const struct link_peer *peer);
    /** Keeps all threads from the ports, which may change meanwhile, or lets them go on. */
    void (*pause)(void *context, bool is_paused);
    /** The peer, of this Ethernet address, has moved here from another host. */
    void (*moved)(void *context, const uint8_t address[6]);
    /** The link itself has found that the session is over. link_drop() is called from in it. */
    void (*lost)(void *context, int why, const char *text);
};

/** What is fixed for the life of a link. */
struct link_setup {
    const char *uri;
    bool is_listening;
    uint32_t mtu; /* of the interface. A channel that cannot carry it is refused */
    struct vop_options options;
};

#endif
