/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_vhost.h - a queue pair of a virtual machine's network card as a port: two virtqueues of a vhost-user front end.
 *
 * Room: bridge. The machine's driver has buffers for frames that it receives in the first queue of a pair, and sends by
 * the second.
 */
#ifndef VOP_BRIDGE_PORT_VHOST_H
#define VOP_BRIDGE_PORT_VHOST_H

#include "port.h"

#include <vopipc/vhost_user.h>

#define PORT_VHOST_QUEUES 2

/** A buffer of queue 0 that waits for a frame. */
struct port_vhost_buf {
    uint32_t handle;
    uint32_t length;
    unsigned segments;
};

struct port_vhost {
    struct port port; /* first: a port is turned back into this */
    vop_vhost_user *device;
    unsigned pair;
    vop_virtqueue *rx, *tx; /* as the driver sees them; NULL while they do not run */
    bool is_merging;        /* a frame may take several buffers of the driver */
    bool has_complained;    /* of a driver that is not served */

    uint64_t kicks; /* by queues that do not run any more */

    struct iovec peeked[PORT_SEGMENT_MAX];
    uint32_t peeked_handle;
    unsigned released; /* buffers completed that the driver does not know of */

    struct iovec room[PORT_SEGMENT_MAX]; /* segments of the buffers held, one after another */
    struct port_vhost_buf held[PORT_SEGMENT_MAX];
    unsigned room_count, held_count;
    size_t room_length;
    size_t wanted; /* bytes of room that were last refused; 0: none were */
};

/** Features of virtio-net to offer the driver: what the bridge receives and sends, as virtio names them for a device
 * with so many queue pairs. */
uint64_t port_vhost_offer(uint64_t features, unsigned pairs);

/** The port of a pair, without a device, and without queues. */
void port_vhost_init(struct port_vhost *port, unsigned pair);

/** Its queues run, of a further pair at least that for what the driver receives, and in a form that is served: begin a
 * session. False: not yet; if never, the reason was logged. */
bool port_vhost_is_ready(struct port_vhost *port);

/** For the events of the device: queue 0 or 1 of the pair. While they are called, no thread uses the port. */
void port_vhost_start(struct port_vhost *port, unsigned index, vop_virtqueue *vq);
void port_vhost_stop(struct port_vhost *port, unsigned index);

#endif
