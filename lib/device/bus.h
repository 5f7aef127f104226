/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus.h - a bus, its drivers and its devices, as the files of this room share them.
 *
 * Room: device. Theory of operation
 *
 *   bus.c          the bus: who is offered what         bus_device.c   one device: its life from offer to removal
 *   bus_config.c   its configuration, by field          bus_queue.c    its queues
 *   bus_memory.c   memory that it reaches               join.c         a device of this process as its transport
 *   bus_facts.c    what all of them ask
 *
 * A device is bound while a driver has it. Notifications of joined devices are bits, which vop_bus_process() turns into
 * calls: a device that called its driver from inside of its driver's kick would come back to a queue that is in use.
 */
#ifndef VOP_DEVICE_BUS_H
#define VOP_DEVICE_BUS_H

#include "device/bus_memory.h"

#include <vopipc/driver.h>

struct vop__bus_driver {
    struct vop__bus_driver *next;
    const struct vop_driver *driver;
    void *context;
};

/** One queue of a device, in driver role. */
struct vop__bus_queue {
    vop_bus_device *device;
    unsigned index;
    vop_virtqueue *vq; /* NULL: it was not set up */
    struct vop_virtqueue_place place;
    struct vop_queue_place address;
    void *memory; /* of its areas and tables */
    size_t memory_size;
    const struct vop_bus_queue_events *events; /* NULL: the driver looks by itself */
    void *context;
};

struct vop_bus_device {
    vop_bus_device *next;
    vop_bus *bus;
    struct vop_bus_options options; /* its memory is the next */
    struct vop__bus_memory memory;
    uint32_t offered[VOP_FEATURE_WORDS];
    uint32_t accepted[VOP_FEATURE_WORDS];
    const struct vop__bus_driver *bound; /* NULL: no driver has it */
    void *instance;
    char complaint[256];
    struct vop__bus_queue queue[VOP_DEVICE_QUEUES_MAX];

    vop_device *joined;  /* NULL: it is reached otherwise */
    uint64_t to_device;  /* notifications on their way, a bit for each queue */
    uint64_t to_driver;  /* ... */
    bool config_changed; /* likewise */
};

struct vop_bus {
    int event; /* eventfd(2) */
    bool is_pending;
    struct vop__bus_driver *drivers; /* in the order they were added */
    vop_bus_device *devices;
};

/** There is something for vop_bus_process() to do. Never blocks. */
void vop__bus_wake(vop_bus *bus);

/** Puts a device on the bus, and offers it to nobody yet. As vop_bus_add(). */
int vop__bus_insert(vop_bus *bus, const struct vop_bus_options *options, vop_bus_device **ret_device);

/** Offers it to all drivers, until one takes it. */
void vop__bus_offer_to_all(vop_bus_device *d);

/** Offers a device that has no driver to one. True: it took it. */
bool vop__bus_offer(vop_bus_device *d, const struct vop__bus_driver *driver);

/** Takes it from its driver, if it has one, and resets it. */
void vop__bus_unbind(vop_bus_device *d);

/** Frees all queues. The device is reset. */
void vop__bus_drop_queues(vop_bus_device *d);

static inline const struct vop_bus_transport *vop__bus_ops(const vop_bus_device *d)
{
    return d->options.transport;
}

#endif
