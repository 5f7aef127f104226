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

/** Ports of a link: one for each queue pair. */
#define LINK_PORTS 1

/**
 * A peer is there. The LINK_PORTS ports are used until link_drop() or link_close(), and whoever uses them watches their
 * descriptors. Returns 0, or a negative errno to refuse the peer; then the reason was logged.
 */
typedef int link_up(void *context, struct port *const *ports);

/** What is fixed for the life of a link. */
struct link_setup {
    const char *uri;
    bool is_listening;
    uint32_t mtu; /* of the interface. A channel that cannot carry it is refused */
    struct vop_options options;
};

#endif
