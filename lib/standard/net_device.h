/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_device.h - a network card as a device, as its files share it.
 *
 * Room: standard. net_device.c has its life, net_device_frames.c its frames, net_device_control.c its control queue.
 */
#ifndef VOP_STANDARD_NET_DEVICE_H
#define VOP_STANDARD_NET_DEVICE_H

#include "standard/net.h"

struct vop__net_device {
    vop_device *device;
    struct vop_net_control control; /* which has the program's events, and how many pairs there are and are used */
    bool is_merging;
    size_t header_size;
    vop_virtqueue *vq[VOP_DEVICE_QUEUES_MAX]; /* NULL: it does not run */
};

/** As vop_net_device_write(), to a queue that runs. */
int vop__net_write(const struct vop__net_device *n, vop_virtqueue *vq, const struct vop_net_hdr *header,
                   const struct iovec *pieces, unsigned count);

/** Shows the program what the driver has sent on a pair. */
void vop__net_receive(const struct vop__net_device *n, unsigned pair);

#endif
