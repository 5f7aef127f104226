/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console.h - what device and driver of a console have in common (virtio 1.2, 5.3).
 *
 * Room: standard.
 */
#ifndef VOP_STANDARD_CONSOLE_H
#define VOP_STANDARD_CONSOLE_H

#include "core/bytes.h"

#include <vopipc/console.h>

/* Queues: receive and transmit, as the driver sees it, of port 0, then of control, then of the other ports (5.3.2). */
#define VOP__CONSOLE_CONTROL_RX 2u
#define VOP__CONSOLE_CONTROL_TX 3u

static inline unsigned vop__console_rx(unsigned port)
{
    return port ? 2 * port + 2 : 0;
}

static inline unsigned vop__console_tx(unsigned port)
{
    return vop__console_rx(port) + 1;
}

/** The port of a queue that is not one of control. */
static inline unsigned vop__console_port(unsigned queue)
{
    return queue < 2 ? 0 : queue / 2 - 1;
}

/** Control messages (5.3.6.2). */
enum vop__console_event {
    VOP__CONSOLE_DEVICE_READY = 0,
    VOP__CONSOLE_PORT_ADD = 1,
    VOP__CONSOLE_PORT_REMOVE = 2,
    VOP__CONSOLE_PORT_READY = 3,
    VOP__CONSOLE_IS_CONSOLE = 4,
    VOP__CONSOLE_RESIZE = 5,
    VOP__CONSOLE_OPEN = 6,
    VOP__CONSOLE_NAME = 7,
};

#define VOP__CONSOLE_CONTROL_SIZE 8u /* id 32, event 16, value 16 */
#define VOP__CONSOLE_CONTROL_MAX (VOP__CONSOLE_CONTROL_SIZE + VOP_CONSOLE_NAME_MAX)

struct vop__console_control {
    uint32_t port;
    uint16_t event;
    uint16_t value;
};

static inline void vop__console_put(uint8_t ret_bytes[VOP__CONSOLE_CONTROL_SIZE], const struct vop__console_control *c,
                                    bool big_endian)
{
    vop__bytes_put(ret_bytes, 4, big_endian, c->port);
    vop__bytes_put(ret_bytes + 4, 2, big_endian, c->event);
    vop__bytes_put(ret_bytes + 6, 2, big_endian, c->value);
}

static inline struct vop__console_control vop__console_get(const uint8_t bytes[VOP__CONSOLE_CONTROL_SIZE],
                                                           bool big_endian)
{
    return (struct vop__console_control){.port = (uint32_t)vop__bytes_get(bytes, 4, big_endian),
                                         .event = (uint16_t)vop__bytes_get(bytes + 4, 2, big_endian),
                                         .value = (uint16_t)vop__bytes_get(bytes + 6, 2, big_endian)};
}

#endif
