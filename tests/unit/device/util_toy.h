/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_toy.h - a type of device and a driver that do nothing but write down what happens to them.
 *
 * Room: tests. The device gives each buffer back, with the bytes that it read written behind them.
 */
#ifndef TESTS_UNIT_DEVICE_UTIL_TOY_H
#define TESTS_UNIT_DEVICE_UTIL_TOY_H

#include <vopipc/driver.h>

#define TOY_ID 42u
#define TOY_QUEUES 3u
#define TOY_FEATURE 5u   /* offered, and known to the driver */
#define TOY_UNKNOWN 100u /* offered, and not known to it */
#define TOY_REFUSED 6u   /* offered; the device does not work with it */

/** A device. */
struct toy {
    vop_device *device;
    vop_virtqueue *vq[TOY_QUEUES];
    unsigned starts, stops, notified, written, resets, frees, accepts;
    unsigned calls, changes; /* of its transport, when a test plays that */
};

/** Fills in options of a toy that can still be changed. */
void toy_options(struct vop_device_options *ret_options, struct toy *toy);

/** Makes one. The struct lives longer. */
void toy_open(struct toy *toy);

/** A transport that counts. Its context is the toy. */
extern const struct vop_device_transport toy_transport;

/** What its driver made of a device. */
struct toy_instance {
    vop_bus_device *d;
    vop_virtqueue *vq[TOY_QUEUES];
    unsigned used, changed, broken;
};

/** What a driver did, over all of its devices. */
struct toy_driver {
    unsigned probes, readies, removes;
    int answer; /* of probe() */
};

extern const struct vop_driver toy_driver;   /* its context is a struct toy_driver */
extern const struct vop_driver other_driver; /* another one for the same devices */
extern const struct vop_config_field toy_fields[3];

#endif
