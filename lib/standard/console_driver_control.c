/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_driver_control.c - the control queues of a driver of consoles (virtio 1.2, 5.3.6.2).
 *
 * Room: standard.
 */
#include "standard/console_driver.h"

#include <string.h>

static int tell(struct vop_console *c, unsigned port, enum vop__console_event event, uint16_t value)
{
    const struct vop__console_control control = {.port = port, .event = (uint16_t)event, .value = value};
    uint8_t bytes[VOP__CONSOLE_CONTROL_SIZE];

    vop__console_put(bytes, &control, vop_bus_is_big_endian(c->device));
    return vop__console_send(&c->control_tx, bytes, sizeof(bytes));
}

/* What the device has no room for now is told when it has used what it has. */
void vop__console_tell_owed(struct vop_console *c)
{
    for (unsigned i = 0; i < c->ports; i++) {
        struct vop__console_side *p = &c->port[i];

        if (p->owes_ready && tell(c, i, VOP__CONSOLE_PORT_READY, 1) < 0)
            return;
        p->owes_ready = false;
        if (p->owes_open && tell(c, i, VOP__CONSOLE_OPEN, p->is_open) < 0)
            return;
        p->owes_open = false;
    }
}

static bool on_told(void *context, vop_virtqueue *vq)
{
    (void)vq;
    vop__console_tell_owed(((struct vop__console_stream *)context)->console);
    return false;
}

static void set_name(struct vop_console_port *p, const uint8_t *bytes, size_t size)
{
    size_t length = size < VOP_CONSOLE_NAME_MAX ? size : VOP_CONSOLE_NAME_MAX;

    memset(p->name, 0, sizeof(p->name));
    for (size_t i = 0; i < length && bytes[i]; i++)
        p->name[i] = (char)(bytes[i] >= ' ' && bytes[i] < 127 ? bytes[i] : '?');
}

static void obey(struct vop_console *c, const uint8_t *bytes, size_t size)
{
    bool big_endian = vop_bus_is_big_endian(c->device);
    struct vop__console_control said;
    struct vop_console_port *p;

    if (size < VOP__CONSOLE_CONTROL_SIZE)
        return;
    said = vop__console_get(bytes, big_endian);
    if (said.port >= c->ports || !c->port[said.port].rx.vq)
        return;
    p = &c->port[said.port].public;
    bytes += VOP__CONSOLE_CONTROL_SIZE;
    size -= VOP__CONSOLE_CONTROL_SIZE;
    if (said.event == VOP__CONSOLE_PORT_ADD) {
        p->is_there = true;
        c->port[said.port].owes_ready = c->port[said.port].owes_open = true;
        vop__console_tell_owed(c);
    } else if (said.event == VOP__CONSOLE_PORT_REMOVE) {
        p->is_there = p->is_open = false;
    } else if (said.event == VOP__CONSOLE_IS_CONSOLE) {
        p->is_console = true;
    } else if (said.event == VOP__CONSOLE_OPEN) {
        p->is_open = said.value;
    } else if (said.event == VOP__CONSOLE_NAME) {
        set_name(p, bytes, size);
    } else if (said.event == VOP__CONSOLE_RESIZE && size >= 4) {
        p->rows = (uint16_t)vop__bytes_get(bytes, 2, big_endian);
        p->cols = (uint16_t)vop__bytes_get(bytes + 2, 2, big_endian);
    }
    if (c->events->changed)
        c->events->changed(c->events->context, c, said.port);
}

static bool on_control(void *context, vop_virtqueue *vq)
{
    struct vop__console_stream *s = context;
    uint8_t copy[VOP__CONSOLE_CONTROL_MAX];
    uint32_t length;
    void *used;

    while (vop_virtqueue_get_buf(vq, &used, &length) == 1) {
        length = length < sizeof(copy) ? length : (uint32_t)sizeof(copy);
        memcpy(copy, used, length);
        (void)vop__console_lend(s, vop__console_index(s, used));
        obey(s->console, copy, length);
    }
    (void)vop_virtqueue_kick(vq);
    return true;
}

/* ---- Life ---- */

int vop__console_open_control(struct vop_console *c)
{
    static const struct vop_bus_queue_events control = {.callback = on_control}, told = {.callback = on_told};
    int ret = vop__console_open(c, &c->control_rx, 0, VOP__CONSOLE_CONTROL_RX, &control);

    return ret < 0 ? ret : vop__console_open(c, &c->control_tx, 0, VOP__CONSOLE_CONTROL_TX, &told);
}

void vop__console_begin_control(struct vop_console *c)
{
    vop__console_lend_all(&c->control_rx);
    (void)tell(c, 0, VOP__CONSOLE_DEVICE_READY, 1);
}
