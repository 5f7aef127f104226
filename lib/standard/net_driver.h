/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_driver.h - a driver of network cards, as its files share it.
 *
 * Room: standard. net_driver.c has its life, net_driver_frames.c its frames, net_driver_control.c its control queue.
 */
#ifndef VOP_STANDARD_NET_DRIVER_H
#define VOP_STANDARD_NET_DRIVER_H

#include "standard/net.h"

#define VOP__NET_BUFFERS 64u /* of each queue */

/** One queue and its buffers. */
struct vop__net_stream {
    struct vop_net *net;
    unsigned pair;
    vop_virtqueue *vq; /* NULL: there is none */
    uint8_t *memory;
    size_t size; /* of a buffer */
    unsigned count;
    unsigned free_count;
    uint16_t free[VOP__NET_BUFFERS]; /* tx: buffers that nobody has */
};

struct vop_net {
    vop_bus_device *device;
    const struct vop_net_events *events;
    struct vop_net_info info;
    bool is_merging;
    size_t header_size;
    unsigned rss_key_max; /* bytes */
    unsigned asked;       /* pairs; 0: no question is under way */
    uint8_t *control_memory;
    vop_virtqueue *control;
    struct vop__net_stream rx[VOP_NET_PAIRS_MAX], tx[VOP_NET_PAIRS_MAX];
};

/** Lends a buffer of a stream of rx to the device: as vop_virtqueue_add_buf(). */
int vop__net_lend(struct vop__net_stream *s, void *buffer);

/** Callbacks of the queues; the context is the stream. */
bool vop__net_received(void *context, vop_virtqueue *vq);
bool vop__net_sent(void *context, vop_virtqueue *vq);

/** Opens the control queue, if there is one, and reads what it is for. */
int vop__net_open_control(struct vop_net *n);

void vop__net_close_control(const struct vop_net *n);

/** Tells the program that something has changed. */
void vop__net_changed(struct vop_net *n);

#endif
