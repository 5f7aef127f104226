/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_control.c - the control queues of a console's device (virtio 1.2, 5.3.6.2).
 *
 * Room: standard.
 */
#include "standard/console_device.h"

#include <errno.h>
#include <string.h>

static size_t write_news(const struct vop__console_device *c, unsigned port, enum vop__console_event event,
                         uint8_t ret_bytes[VOP__CONSOLE_CONTROL_MAX])
{
    const struct vop__console_end *p = &c->port[port];
    bool big_endian = vop_device_is_big_endian(c->device);
    struct vop__console_control control = {.port = port, .event = (uint16_t)event, .value = 1};
    size_t extra = 0;

    if (event == VOP__CONSOLE_OPEN)
        control.value = p->is_open;
    vop__console_put(ret_bytes, &control, big_endian);
    if (event == VOP__CONSOLE_RESIZE) { /* 5.3.6.2: rows first, unlike in the configuration */
        vop__bytes_put(ret_bytes + VOP__CONSOLE_CONTROL_SIZE, 2, big_endian, p->rows);
        vop__bytes_put(ret_bytes + VOP__CONSOLE_CONTROL_SIZE + 2, 2, big_endian, p->cols);
        extra = 4;
    } else if (event == VOP__CONSOLE_NAME) {
        extra = strlen(p->name);
        memcpy(ret_bytes + VOP__CONSOLE_CONTROL_SIZE, p->name, extra);
    }
    return VOP__CONSOLE_CONTROL_SIZE + extra;
}

/* One message: 1, 0 the driver has no room, or -errno. */
static int send_one(const struct vop__console_device *c, unsigned port, enum vop__console_event event)
{
    uint8_t bytes[VOP__CONSOLE_CONTROL_MAX];
    size_t size = write_news(c, port, event, bytes);
    struct iovec iov[VOP__CONSOLE_SEGMENTS];
    struct vop_taken_buf buf;
    int ret = vop_virtqueue_take(c->control_rx, iov, VOP__CONSOLE_SEGMENTS, &buf);

    if (ret != 1)
        return ret;
    size = vop__pieces_write(iov + buf.readable, buf.writable, 0, bytes, size);
    ret = vop_device_complete(c->device, c->control_rx, buf.handle, iov + buf.readable, (uint32_t)size);
    return ret < 0 ? ret : 1;
}

/* Of one port: whether the driver has room for more. */
static bool tell_of_port(struct vop__console_device *c, unsigned port)
{
    static const enum vop__console_event order[] = {VOP__CONSOLE_PORT_ADD, VOP__CONSOLE_IS_CONSOLE, VOP__CONSOLE_NAME,
                                                    VOP__CONSOLE_OPEN, VOP__CONSOLE_RESIZE};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (!(c->port[port].news & 1u << order[i]))
            continue;
        if (send_one(c, port, order[i]) != 1)
            return false;
        c->port[port].news &= ~(1u << order[i]);
    }
    return true;
}

void vop__console_tell(struct vop__console_device *c)
{
    int ret = 0;

    while (c->control_rx && ret == 0) {
        bool has_room = true;

        for (unsigned i = 0; has_room && i < c->ports; i++)
            has_room = tell_of_port(c, i);
        ret = vop_virtqueue_call(c->control_rx);
        if (has_room) {
            vop_virtqueue_disable(c->control_rx);
            return;
        }
        ret = ret < 0 ? ret : vop_virtqueue_restart(c->control_rx);
    }
}

void vop__console_set_opened(struct vop__console_device *c, unsigned port, bool is_open)
{
    if (c->port[port].is_opened == is_open)
        return;
    c->port[port].is_opened = is_open;
    if (c->events->opened)
        c->events->opened(c->context, port, is_open);
}

static void obey(struct vop__console_device *c, const struct vop__console_control *said)
{
    if (said->event == VOP__CONSOLE_DEVICE_READY) {
        c->is_ready = said->value == 1;
        for (unsigned i = 0; c->is_ready && i < c->ports; i++)
            c->port[i].news = VOP__CONSOLE_NEWS_ADD;
        return;
    }
    if (said->port >= c->ports)
        return;
    if (said->event == VOP__CONSOLE_PORT_READY && said->value == 1) {
        struct vop__console_end *p = &c->port[said->port];

        p->news |= VOP__CONSOLE_NEWS_OPEN |
                   (said->port == 0 ? VOP__CONSOLE_NEWS_CONSOLE | VOP__CONSOLE_NEWS_SIZE : 0u) |
                   (p->name[0] ? VOP__CONSOLE_NEWS_NAME : 0u);
    } else if (said->event == VOP__CONSOLE_OPEN) {
        vop__console_set_opened(c, said->port, said->value == 1);
    }
}

void vop__console_hear(struct vop__console_device *c)
{
    uint8_t bytes[VOP__CONSOLE_CONTROL_SIZE];
    struct iovec iov[VOP__CONSOLE_SEGMENTS];
    struct vop_taken_buf buf;
    int ret;

    do {
        while ((ret = vop_virtqueue_take(c->control_tx, iov, VOP__CONSOLE_SEGMENTS, &buf)) == 1) {
            bool is_whole = vop__pieces_read(iov, buf.readable, 0, bytes, sizeof(bytes)) == sizeof(bytes);

            (void)vop_virtqueue_complete(c->control_tx, buf.handle, 0);
            if (is_whole) {
                const struct vop__console_control said = vop__console_get(bytes, vop_device_is_big_endian(c->device));

                obey(c, &said);
            }
        }
        if (ret == -ENOBUFS)
            vop_virtqueue_fail(c->control_tx, "a control message in too many segments");
    } while (ret == 0 && vop_virtqueue_restart(c->control_tx) == 0);
    vop__console_tell(c);
}
