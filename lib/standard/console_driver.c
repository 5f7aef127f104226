/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_driver.c - a driver of consoles (virtio 1.2, 5.3).
 *
 * Room: standard. Each queue has some buffers of its own, in memory that the device reaches; bytes are copied
 * (console_driver_stream.c).
 */
#include "standard/console_driver.h"

#include "core/error.h"

#include <stdlib.h>

/* ---- Data ---- */

static bool on_readable(void *context, vop_virtqueue *vq)
{
    const struct vop__console_stream *s = context;
    const struct vop_console_events *e = s->console->events;

    (void)vq;
    if (e->readable)
        e->readable(e->context, s->console, s->port);
    return false; /* vop_console_read() asks for the next */
}

static bool on_writable(void *context, vop_virtqueue *vq)
{
    const struct vop__console_stream *s = context;
    const struct vop_console_events *e = s->console->events;

    (void)vq;
    if (e->writable)
        e->writable(e->context, s->console, s->port);
    return false;
}

static int check_port(const vop_console *c, unsigned port)
{
    return port < c->ports && c->port[port].tx.vq ? 0 : vop__error(EINVAL, "the console has no port %u", port);
}

int vop_console_write(vop_console *c, unsigned port, const void *bytes, size_t size)
{
    int ret = check_port(c, port);

    return ret < 0 ? ret : vop__console_send(&c->port[port].tx, bytes, size);
}

int vop_console_read(vop_console *c, unsigned port, void *ret_bytes, size_t size)
{
    int ret = check_port(c, port);

    if (ret == 0)
        ret = vop__console_receive(&c->port[port].rx, ret_bytes, size);
    return ret != 0 ? ret : vop__error_static(EAGAIN, "the device has written nothing");
}

/* ---- What is known ---- */

unsigned vop_console_ports(const vop_console *c)
{
    return c->ports;
}

int vop_console_get_port(const vop_console *c, unsigned port, struct vop_console_port *ret_port)
{
    if (port >= c->ports)
        return vop__error(EINVAL, "the console has no port %u", port);
    *ret_port = c->port[port].public;
    return 0;
}

int vop_console_set_open(vop_console *c, unsigned port, bool is_open)
{
    int ret = check_port(c, port);

    if (ret < 0)
        return ret;
    c->port[port].is_open = is_open;
    c->port[port].owes_open = c->has_control && c->port[port].public.is_there;
    vop__console_tell_owed(c);
    return 0;
}

int vop_console_emergency(vop_console *c, uint8_t byte)
{
    if (!vop_bus_offers(c->device, VOP_CONSOLE_F_EMERG_WRITE))
        return vop__error_static(EOPNOTSUPP, "the device takes no emergency writes");
    return vop_bus_write_field(c->device, vop_console_field(VOP_CONSOLE_EMERG_WR), byte);
}

/* ---- Life ---- */

static int open_port(struct vop_console *c, unsigned port)
{
    static const struct vop_bus_queue_events readable = {.callback = on_readable}, writable = {.callback = on_writable};
    int ret = vop__console_open(c, &c->port[port].rx, port, vop__console_rx(port), &readable);

    if (ret == 0)
        ret = vop__console_open(c, &c->port[port].tx, port, vop__console_tx(port), &writable);
    return ret;
}

static int open_all(struct vop_console *c)
{
    uint64_t ports = 1;
    int ret = 0;

    c->has_control = vop_bus_has(c->device, VOP_CONSOLE_F_MULTIPORT);
    if (c->has_control) {
        ret = vop_bus_read_field(c->device, vop_console_field(VOP_CONSOLE_MAX_PORTS), &ports);
        if (ret == 0)
            ret = vop__console_open_control(c);
    }
    c->ports = ports < VOP_CONSOLE_PORTS_MAX ? (unsigned)ports : VOP_CONSOLE_PORTS_MAX;
    for (unsigned i = 0; ret == 0 && i < c->ports; i++) {
        c->port[i].is_open = true;
        ret = open_port(c, i);
    }
    return ret;
}

static void console_remove(vop_bus_device *d, void *instance)
{
    struct vop_console *c = instance;

    (void)d;
    vop__console_close(c, &c->control_rx);
    vop__console_close(c, &c->control_tx);
    for (unsigned i = 0; i < VOP_CONSOLE_PORTS_MAX; i++) {
        vop__console_close(c, &c->port[i].rx);
        vop__console_close(c, &c->port[i].tx);
    }
    free(c);
}

static int probe(vop_bus_device *d, void *context, void **ret_instance)
{
    static const struct vop_console_events none = {.context = NULL};
    struct vop_console *c = calloc(1, sizeof(*c));
    int ret;

    if (!c)
        return vop__error_static(ENOMEM, "no memory for a driver");
    c->device = d;
    c->events = context ? context : &none;
    ret = open_all(c);
    if (ret < 0)
        console_remove(d, c);
    else
        *ret_instance = c;
    return ret;
}

static void read_size(struct vop_console *c)
{
    uint64_t size[2];

    if (!vop_bus_has(c->device, VOP_CONSOLE_F_SIZE) ||
        vop_bus_read_fields(c->device, vop_console_field(VOP_CONSOLE_COLS), 2, size) < 0)
        return;
    c->port[0].public.cols = (uint16_t)size[0];
    c->port[0].public.rows = (uint16_t)size[1];
}

static void ready(vop_bus_device *d, void *instance)
{
    struct vop_console *c = instance;

    (void)d;
    read_size(c);
    for (unsigned i = 0; i < c->ports; i++)
        vop__console_lend_all(&c->port[i].rx);
    if (c->has_control)
        vop__console_begin_control(c);
    else
        c->port[0].public.is_there = c->port[0].public.is_console = c->port[0].public.is_open = true;
}

static void config_changed(vop_bus_device *d, void *instance)
{
    struct vop_console *c = instance;

    (void)d;
    read_size(c);
    if (c->events->changed)
        c->events->changed(c->events->context, c, 0);
}

const struct vop_driver *vop_console_driver(void)
{
    static const uint32_t ids[] = {VOP_ID_CONSOLE, 0};
    static const struct vop_driver driver = {
        .name = "console",
        .ids = ids,
        .features = {1u << VOP_CONSOLE_F_SIZE | 1u << VOP_CONSOLE_F_MULTIPORT | 1u << VOP_CONSOLE_F_EMERG_WRITE},
        .probe = probe,
        .ready = ready,
        .remove = console_remove,
        .config_changed = config_changed,
    };

    return &driver;
}

const struct vop_config_field *vop_console_field(enum vop_console_field which)
{
    static const struct vop_config_field fields[] = {
        [VOP_CONSOLE_COLS] = {"cols", 0, 2, VOP_CONSOLE_F_SIZE, 0, UINT16_MAX},
        [VOP_CONSOLE_ROWS] = {"rows", 2, 2, VOP_CONSOLE_F_SIZE, 0, UINT16_MAX},
        [VOP_CONSOLE_MAX_PORTS] = {"max_nr_ports", 4, 4, VOP_CONSOLE_F_MULTIPORT, 1, UINT32_MAX},
        [VOP_CONSOLE_EMERG_WR] = {"emerg_wr", 8, 4, VOP_CONSOLE_F_EMERG_WRITE, 0, UINT32_MAX},
    };

    return &fields[which];
}
