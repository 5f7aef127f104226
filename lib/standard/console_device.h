/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_device.h - the device of a console, as its data (console_device.c) and its control (console_control.c) share
 * it.
 *
 * Room: standard. What is to be told of a port is a set of bits, which become control messages as the driver has room
 * for them: a driver that takes none costs no memory.
 */
#ifndef VOP_STANDARD_CONSOLE_DEVICE_H
#define VOP_STANDARD_CONSOLE_DEVICE_H

#include "standard/console.h"

#define VOP__CONSOLE_SEGMENTS 64u

/* What a driver has to be told of a port, in this order. */
enum vop__console_news {
    VOP__CONSOLE_NEWS_ADD = 1u << VOP__CONSOLE_PORT_ADD,
    VOP__CONSOLE_NEWS_CONSOLE = 1u << VOP__CONSOLE_IS_CONSOLE,
    VOP__CONSOLE_NEWS_NAME = 1u << VOP__CONSOLE_NAME,
    VOP__CONSOLE_NEWS_OPEN = 1u << VOP__CONSOLE_OPEN,
    VOP__CONSOLE_NEWS_SIZE = 1u << VOP__CONSOLE_RESIZE,
};

struct vop__console_end {
    char name[VOP_CONSOLE_NAME_MAX + 1];
    uint16_t cols, rows;
    bool is_open;   /* here */
    bool is_opened; /* by the driver */
    unsigned news;
    vop_virtqueue *rx, *tx; /* as the driver sees them; NULL: they do not run */

    struct iovec held[VOP__CONSOLE_SEGMENTS]; /* what the driver has written and was not taken yet */
    struct vop_taken_buf buf;                 /* ... */
    bool is_held;
    size_t taken; /* bytes of it */
};

struct vop__console_device {
    vop_device *device;
    const struct vop_console_device_events *events;
    void *context;
    unsigned ports;
    bool has_control; /* MULTIPORT was accepted */
    bool is_ready;    /* the driver has said so */
    vop_virtqueue *control_rx, *control_tx;
    struct vop__console_end port[VOP_CONSOLE_PORTS_MAX];
};

/** Tells the driver what there is to tell, as far as it has room. */
void vop__console_tell(struct vop__console_device *c);

/** Takes what the driver says. */
void vop__console_hear(struct vop__console_device *c);

/** The driver's end of a port is open, or not. */
void vop__console_set_opened(struct vop__console_device *c, unsigned port, bool is_open);

#endif
