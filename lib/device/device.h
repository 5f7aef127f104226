/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.h - a device as the files of this room share it.
 *
 * Room: device. Theory of operation
 *
 *   device.c   the device and its configuration      status.c   its life cycle: features, status, reset
 *   queue.c    its queues                               agree.c    what was agreed on, which all of them ask
 *
 * A queue goes through these states, and each step is taken in one place:
 *
 *   absent     -> enabled    vop_device_enable_queue(): there is a virtqueue, and nobody looks at it
 *   enabled    -> running    DRIVER_OK (legacy: also a notification): the type has it
 *   running    -> absent     disabled, or the device is reset: the type lets go, the virtqueue is freed
 *   absent    <-> running    adopted: the virtqueue is the transport's
 */
#ifndef VOP_DEVICE_DEVICE_H
#define VOP_DEVICE_DEVICE_H

#include <vopipc/device.h>

/** One queue. */
struct vop__device_queue {
    struct vop_device *device;
    unsigned index;
    vop_virtqueue *vq; /* NULL: absent */
    bool is_adopted;   /* it is the transport's */
    bool is_running;   /* the type has it */
};

struct vop_device {
    struct vop_device_options options; /* its config is the next */
    uint8_t config[VOP_CONFIG_SPACE_MAX];
    uint32_t generation;
    uint32_t accepted[VOP_FEATURE_WORDS];
    uint32_t status;
    bool is_accepted; /* ops->accept() has agreed */
    struct vop__device_queue queue[VOP_DEVICE_QUEUES_MAX];
    struct vop_region *regions; /* of the driver's memory */
    size_t region_count;
    const struct vop_device_transport *transport; /* NULL: nobody can reach it */
    void *transport_context;
    uint32_t flags; /* VOP_DEVICE_ bits */
};

/** Has the type agree to what the driver accepted, once: 0, or -EINVAL. */
int vop__device_agree(struct vop_device *d);

/** Gives a queue to its type, if it is enabled and not running. */
void vop__device_run_queue(struct vop__device_queue *q);

/** From any state to absent. */
void vop__device_drop_queue(struct vop__device_queue *q);

/** Tells the driver, if it is listening, that the configuration or the status has changed. */
void vop__device_tell(struct vop_device *d);

static inline bool vop__device_is_legacy(const struct vop_device *d)
{
    return d->flags & VOP_DEVICE_LEGACY;
}

#endif
