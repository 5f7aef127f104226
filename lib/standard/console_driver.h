/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_driver.h - a driver of consoles, as its files share it.
 *
 * Room: standard. console_driver.c has its life, console_driver_stream.c its queues and their buffers, and
 * console_driver_control.c what is said on the control queues.
 */
#ifndef VOP_STANDARD_CONSOLE_DRIVER_H
#define VOP_STANDARD_CONSOLE_DRIVER_H

#include "standard/console.h"

#define VOP__CONSOLE_BUFFERS 4u /* of each queue */
#define VOP__CONSOLE_BUFFER_SIZE 1024u

/** One queue and its buffers. */
struct vop__console_stream {
    struct vop_console *console;
    unsigned port;
    vop_virtqueue *vq; /* NULL: there is none */
    uint8_t *memory;   /* VOP__CONSOLE_BUFFERS of VOP__CONSOLE_BUFFER_SIZE */
    bool is_busy[VOP__CONSOLE_BUFFERS];
    uint8_t *reading; /* the buffer that is being read, or NULL */
    uint32_t length, taken;
};

struct vop__console_side {
    struct vop_console_port public;
    bool owes_ready, owes_open; /* to be told as soon as there is room */
    bool is_open;               /* here */
    struct vop__console_stream rx, tx;
};

struct vop_console {
    vop_bus_device *device;
    const struct vop_console_events *events;
    bool has_control;
    unsigned ports;
    struct vop__console_stream control_rx, control_tx;
    struct vop__console_side port[VOP_CONSOLE_PORTS_MAX];
};

/** Opens a queue of the console, with its buffers; what it has opened vop__console_close() closes. */
int vop__console_open(struct vop_console *c, struct vop__console_stream *s, unsigned port, unsigned queue,
                      const struct vop_bus_queue_events *events);
void vop__console_close(const struct vop_console *c, const struct vop__console_stream *s);

/** Gives the device all buffers of a queue to write into. */
void vop__console_lend_all(struct vop__console_stream *s);

/** Gives it one of them back, with a number of vop__console_index(), and does not notify: 0 or -errno. */
int vop__console_lend(struct vop__console_stream *s, unsigned i);
unsigned vop__console_index(const struct vop__console_stream *s, const void *buffer);

/** As vop_console_write(). */
int vop__console_send(struct vop__console_stream *s, const void *bytes, size_t size);

/** As vop_console_read(), but for 0: there is nothing. */
int vop__console_receive(struct vop__console_stream *s, void *ret_bytes, size_t size);

/** Opens the control queues. */
int vop__console_open_control(struct vop_console *c);

/** Tells the device that the driver is ready. */
void vop__console_begin_control(struct vop_console *c);

/** Tells what is owed, as far as there is room. */
void vop__console_tell_owed(struct vop_console *c);

#endif
