/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console.h - a console with any number of ports (virtio 1.2, 5.3): device and driver.
 *
 * Room: the public headers. It needs driver.h.
 *
 * Port 0 is a terminal with a size; others are streams of bytes, open or not at either end, and may have names. A
 * driver without MULTIPORT has port 0 alone. Both sides keep bytes back that the other has no room for: a write takes
 * what fits, and received() may leave some.
 */
#ifndef VOPIPC_CONSOLE_H
#define VOPIPC_CONSOLE_H

#include <vopipc/driver.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VOP_CONSOLE_PORTS_MAX 31u /* a queue more than two for each is for control */
#define VOP_CONSOLE_NAME_MAX 63u  /* bytes of a port's name */

/* Features (5.3.3). */
#define VOP_CONSOLE_F_SIZE 0u
#define VOP_CONSOLE_F_MULTIPORT 1u
#define VOP_CONSOLE_F_EMERG_WRITE 2u

/** Configuration (5.3.4), in the order of enum vop_console_field. */
enum vop_console_field {
    VOP_CONSOLE_COLS,
    VOP_CONSOLE_ROWS,
    VOP_CONSOLE_MAX_PORTS,
    VOP_CONSOLE_EMERG_WR
};
const struct vop_config_field *vop_console_field(enum vop_console_field which);

/* ---- Device ---- */

/** What a device tells. Entries may be NULL. They may call the device's vop_console_device_ functions. */
struct vop_console_device_events {
    /** The driver has written: returns how many bytes were taken. Those that are left come again, first, after
     * vop_console_device_resume(). */
    size_t (*received)(void *context, unsigned port, const void *bytes, size_t size);
    /** There may be room again for what vop_console_device_write() did not take. */
    void (*writable)(void *context, unsigned port);
    /** The driver has opened or closed its end. Without MULTIPORT port 0 opens when its queues run. */
    void (*opened)(void *context, unsigned port, bool is_open);
    /** One byte of an emergency write, which needs no queue. */
    void (*emergency)(void *context, uint8_t byte);
};

/** Fill it with vop_console_device_options_init() first. */
struct vop_console_device_options {
    size_t struct_size;                       /* set by vop_console_device_options_init() */
    uint32_t ports;                           /* 1 to VOP_CONSOLE_PORTS_MAX. Default 1 */
    const char *names[VOP_CONSOLE_PORTS_MAX]; /* copied; NULL: it has none. Names need MULTIPORT */
    bool is_plain;                            /* do not offer MULTIPORT; then there is one port */
    uint16_t cols, rows;                      /* of port 0. Default 80, 25 */
    const struct vop_console_device_events *events;
    void *context; /* given to `events` */
};

void vop_console_device_options_init(struct vop_console_device_options *options, size_t struct_size);

/** -EINVAL: an option makes no sense. -ENOMEM. */
int vop_console_device_new(const struct vop_console_device_options *options, vop_device **ret_device);

/* The following take a device made by that; -EINVAL for any other, and for a port that it has not. */

/** Writes to the driver: how many bytes it had room for, 0 if none, or if its end is closed. */
int vop_console_device_write(vop_device *device, unsigned port, const void *bytes, size_t size);

/** received() can take bytes again. */
int vop_console_device_resume(vop_device *device, unsigned port);

/** The terminal has another size now. */
int vop_console_device_resize(vop_device *device, unsigned port, uint16_t cols, uint16_t rows);

/** Opens or closes this end; at first it is open. */
int vop_console_device_set_open(vop_device *device, unsigned port, bool is_open);

/* ---- Driver ---- */

typedef struct vop_console vop_console;

/** The driver. Its context is a const struct vop_console_events, or NULL. */
const struct vop_driver *vop_console_driver(void);

/** What the driver tells. Entries may be NULL. They may call the functions below. */
struct vop_console_events {
    void *context;
    /** The device has written: vop_console_read() has it. */
    void (*readable)(void *context, vop_console *console, unsigned port);
    /** There is room for what vop_console_write() did not take. */
    void (*writable)(void *context, vop_console *console, unsigned port);
    /** The device has opened or closed its end, or the size of a terminal is another. */
    void (*changed)(void *context, vop_console *console, unsigned port);
};

/** What is known of a port. */
struct vop_console_port {
    bool is_there;   /* the device has added it */
    bool is_console; /* a terminal */
    bool is_open;    /* the device's end */
    uint16_t cols, rows;
    char name[VOP_CONSOLE_NAME_MAX + 1];
};

/** Ports that the device may have; those that are not there are left out by nobody but the reader. */
unsigned vop_console_ports(const vop_console *console);

/** -EINVAL: `port` is not below vop_console_ports(). */
int vop_console_get_port(const vop_console *console, unsigned port, struct vop_console_port *ret_port);

/**
 * Writes to the device; returns how many bytes were taken, at least 1.
 *
 * -EAGAIN  there is no room until the device has used what it has
 * -EINVAL  there is no such port
 */
int vop_console_write(vop_console *console, unsigned port, const void *bytes, size_t size);

/** Reads what the device wrote: how many bytes, at least 1. -EAGAIN: there is nothing. -EINVAL as above. */
int vop_console_read(vop_console *console, unsigned port, void *ret_bytes, size_t size);

/** Tells the device that the port is open or closed here. It is open at first. -EINVAL as above. Without MULTIPORT
 * there is nothing to tell. */
int vop_console_set_open(vop_console *console, unsigned port, bool is_open);

/** Writes a byte without a queue, as a program that is about to end does. -EOPNOTSUPP: the device has not got that. */
int vop_console_emergency(vop_console *console, uint8_t byte);

#ifdef __cplusplus
}
#endif
#endif
