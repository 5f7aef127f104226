/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_channel.h - a channel of the library as a port.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_PORT_CHANNEL_H
#define VOP_BRIDGE_PORT_CHANNEL_H

#include "port.h"

#include <vopipc/channel.h>

struct port_channel {
    struct port port; /* first: a port is turned back into this */
    vop_channel *channel;
    struct vop_buffer peeked;
    struct vop_buffer reserved;
    uint32_t generation; /* of the peer's configuration, as told */
};

/**
 * Makes a port of a channel, which must outlive it, for an interface of this MTU. There is nothing to close.
 *
 * offer       virtio-net features that this side has offered
 *
 * -EMSGSIZE   the channel cannot carry a frame of this MTU; the reason was logged
 * other       as for vop_channel_get_info()
 */
int port_channel_open(struct port_channel *port, vop_channel *channel, uint64_t offer, uint32_t mtu);

#endif
