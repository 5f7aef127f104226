/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_device.c - a console as a device (virtio 1.2, 5.3).
 *
 * Room: standard.
 */
#include "standard/console_device.h"
#include "core/error.h"
#include "core/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Data from the driver ---- */

/* What is held: true if all of it was taken. */
static bool hand_over(struct vop__console_device *c, unsigned port)
{
    struct vop__console_end *p = &c->port[port];
    struct iovec rest[VOP__CONSOLE_SEGMENTS];
    unsigned count = vop__pieces_cut(p->held, p->buf.readable, p->taken, p->buf.readable_bytes - p->taken, rest);

    for (unsigned i = 0; c->events->received && i < count; i++) {
        size_t done = c->events->received(c->context, port, rest[i].iov_base, rest[i].iov_len);

        if (!p->is_held) /* the device was reset meanwhile */
            return false;
        p->taken += done < rest[i].iov_len ? done : rest[i].iov_len;
        if (done < rest[i].iov_len)
            return false;
    }
    (void)vop_virtqueue_complete(p->tx, p->buf.handle, 0);
    p->is_held = false;
    return true;
}

static void receive(struct vop__console_device *c, unsigned port)
{
    struct vop__console_end *p = &c->port[port];
    int ret = 0;

    while (p->tx && ret == 0) {
        while (p->is_held || (ret = vop_virtqueue_take(p->tx, p->held, VOP__CONSOLE_SEGMENTS, &p->buf)) == 1) {
            if (!p->is_held)
                p->taken = 0;
            p->is_held = true;
            if (!hand_over(c, port)) {
                if (p->tx)
                    (void)vop_virtqueue_call(p->tx);
                return;
            }
        }
        if (ret == -ENOBUFS)
            vop_virtqueue_fail(p->tx, "output in too many segments");
        ret = ret < 0 ? ret : vop_virtqueue_restart(p->tx);
    }
}

/* ---- For the model ---- */

static vop_virtqueue **find_queue(struct vop__console_device *c, unsigned index)
{
    struct vop__console_end *p = &c->port[vop__console_port(index)];

    if (index == VOP__CONSOLE_CONTROL_RX)
        return &c->control_rx;
    if (index == VOP__CONSOLE_CONTROL_TX)
        return &c->control_tx;
    return index & 1 ? &p->tx : &p->rx;
}

static bool is_control(unsigned index)
{
    return index == VOP__CONSOLE_CONTROL_RX || index == VOP__CONSOLE_CONTROL_TX;
}

static void start(void *context, unsigned index, vop_virtqueue *vq)
{
    struct vop__console_device *c = context;

    *find_queue(c, index) = vq;
    if (!(index & 1))
        vop_virtqueue_disable(vq); /* until there is something to write, and no room */
    if (!c->has_control && c->port[0].rx && c->port[0].tx)
        vop__console_set_opened(c, 0, true);
}

/* What nobody has read any of is there still when the queue goes on. */
static void let_go(struct vop__console_end *p, vop_virtqueue *vq)
{
    if (p->is_held && p->taken == 0)
        (void)vop_virtqueue_untake(vq, p->buf.handle);
    else if (p->is_held)
        (void)vop_virtqueue_complete(vq, p->buf.handle, 0);
    p->is_held = false;
}

static void stop(void *context, unsigned index, vop_virtqueue *vq)
{
    struct vop__console_device *c = context;

    *find_queue(c, index) = NULL;
    if (is_control(index))
        return;
    if (index & 1)
        let_go(&c->port[vop__console_port(index)], vq);
    if (!c->has_control)
        vop__console_set_opened(c, 0, false);
}

static void notified(void *context, unsigned index)
{
    struct vop__console_device *c = context;

    if (index == VOP__CONSOLE_CONTROL_TX)
        vop__console_hear(c);
    else if (index == VOP__CONSOLE_CONTROL_RX)
        vop__console_tell(c);
    else if (index & 1)
        receive(c, vop__console_port(index));
    else if (c->events->writable)
        c->events->writable(c->context, vop__console_port(index));
}

static int accept_features(void *context, const uint32_t features[VOP_FEATURE_WORDS])
{
    struct vop__console_device *c = context;

    c->has_control = vop_features_has(features, VOP_CONSOLE_F_MULTIPORT);
    return 0;
}

static void config_written(void *context, uint32_t offset, uint32_t size)
{
    const struct vop__console_device *c = context;
    const struct vop_config_field *f = vop_console_field(VOP_CONSOLE_EMERG_WR);
    uint32_t at = f->offset + (vop_device_is_big_endian(c->device) ? f->size - 1u : 0); /* of the byte that counts */
    uint8_t byte[4];

    if (at < offset || at >= offset + size || !c->events->emergency) /* legacy drivers write byte by byte */
        return;
    vop_device_get_config(c->device, f->offset, byte, sizeof(byte));
    c->events->emergency(c->context, byte[0]);
}

static void reset(void *context)
{
    struct vop__console_device *c = context;

    c->has_control = c->is_ready = false;
    for (unsigned i = 0; i < c->ports; i++) {
        c->port[i].news = 0;
        vop__console_set_opened(c, i, false);
    }
}

static void console_free(void *context)
{
    free(context);
}

static const struct vop_device_ops ops = {
    .accept = accept_features,
    .start = start,
    .stop = stop,
    .notified = notified,
    .config_written = config_written,
    .reset = reset,
    .free = console_free,
};

/* ---- The program's calls ---- */

static struct vop__console_device *find_port(vop_device *device, unsigned port, int *ret_error)
{
    struct vop__console_device *c = vop_device_context(device, &ops);

    *ret_error = 0;
    if (!c || port >= c->ports) {
        *ret_error = vop__error(EINVAL, "no console, or one without port %u", port);
        return NULL;
    }
    return c;
}

int vop_console_device_write(vop_device *device, unsigned port, const void *bytes, size_t size)
{
    int ret;
    struct vop__console_device *c = find_port(device, port, &ret);
    vop_virtqueue *vq = c ? c->port[port].rx : NULL;
    size_t done = 0, limit = size < INT32_MAX ? size : INT32_MAX;
    struct iovec iov[VOP__CONSOLE_SEGMENTS];
    struct vop_taken_buf buf;

    if (!vq || !c->port[port].is_opened)
        return ret;
    do {
        while (done < limit && (ret = vop_virtqueue_take(vq, iov, VOP__CONSOLE_SEGMENTS, &buf)) == 1) {
            size_t part =
                vop__pieces_write(iov + buf.readable, buf.writable, 0, (const uint8_t *)bytes + done, limit - done);

            (void)vop_device_complete(device, vq, buf.handle, iov + buf.readable, (uint32_t)part);
            done += part;
        }
        if (ret == -ENOBUFS)
            vop_virtqueue_fail(vq, "room for input in too many segments");
        (void)vop_virtqueue_call(vq);
    } while (done < limit && ret == 0 && vop_virtqueue_restart(vq) == 0);
    return (int)done;
}

int vop_console_device_resume(vop_device *device, unsigned port)
{
    int ret;
    struct vop__console_device *c = find_port(device, port, &ret);

    if (c)
        receive(c, port);
    return ret;
}

static void add_news(struct vop__console_device *c, unsigned port, unsigned news)
{
    if (!c->is_ready)
        return;
    c->port[port].news |= news;
    vop__console_tell(c);
}

int vop_console_device_resize(vop_device *device, unsigned port, uint16_t cols, uint16_t rows)
{
    int ret;
    struct vop__console_device *c = find_port(device, port, &ret);
    uint8_t size[4];

    if (!c)
        return ret;
    c->port[port].cols = cols;
    c->port[port].rows = rows;
    if (c->has_control) {
        add_news(c, port, VOP__CONSOLE_NEWS_SIZE);
        return 0;
    }
    vop__bytes_put(size, 2, false, cols);
    vop__bytes_put(size + 2, 2, false, rows);
    return vop_device_set_config(device, 0, size, sizeof(size));
}

int vop_console_device_set_open(vop_device *device, unsigned port, bool is_open)
{
    int ret;
    struct vop__console_device *c = find_port(device, port, &ret);

    if (!c || c->port[port].is_open == is_open)
        return ret;
    c->port[port].is_open = is_open;
    add_news(c, port, VOP__CONSOLE_NEWS_OPEN);
    return 0;
}

/* ---- Making one ---- */

void vop_console_device_options_init(struct vop_console_device_options *options, size_t struct_size)
{
    const struct vop_console_device_options known = {.struct_size = struct_size, .ports = 1, .cols = 80, .rows = 25};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

static int check_options(const struct vop_console_device_options *o)
{
    if (o->ports < 1 || o->ports > (o->is_plain ? 1 : VOP_CONSOLE_PORTS_MAX))
        return vop__error(EINVAL, "a console of %u ports: it has 1 to %u, and one without MULTIPORT", o->ports,
                          VOP_CONSOLE_PORTS_MAX);
    for (unsigned i = 0; i < o->ports; i++) {
        if (o->names[i] && strlen(o->names[i]) > VOP_CONSOLE_NAME_MAX)
            return vop__error(EINVAL, "the name of port %u is too long: %u bytes at most", i, VOP_CONSOLE_NAME_MAX);
    }
    return 0;
}

static void fill(struct vop__console_device *c, const struct vop_console_device_options *o)
{
    static const struct vop_console_device_events none = {.received = NULL};

    c->events = o->events ? o->events : &none;
    c->context = o->context;
    c->ports = o->ports;
    for (unsigned i = 0; i < o->ports; i++) {
        if (o->names[i])
            (void)snprintf(c->port[i].name, sizeof(c->port[i].name), "%s", o->names[i]);
        c->port[i].is_open = true;
    }
    c->port[0].cols = o->cols;
    c->port[0].rows = o->rows;
}

static int make(struct vop__console_device *c, const struct vop_console_device_options *o)
{
    struct vop_device_options d;
    uint8_t config[12] = {0};

    vop__bytes_put(config, 2, false, o->cols);
    vop__bytes_put(config + 2, 2, false, o->rows);
    vop__bytes_put(config + 4, 4, false, o->ports);
    vop_device_options_init(&d, sizeof(d));
    d.id = VOP_ID_CONSOLE;
    vop_features_set(d.features, VOP_CONSOLE_F_SIZE);
    vop_features_set(d.features, VOP_CONSOLE_F_EMERG_WRITE);
    if (!o->is_plain)
        vop_features_set(d.features, VOP_CONSOLE_F_MULTIPORT);
    d.queues = o->is_plain ? 2 : 2 * o->ports + 2;
    d.config = config;
    d.config_size = sizeof(config);
    d.writable_offset = vop_console_field(VOP_CONSOLE_EMERG_WR)->offset;
    d.writable_size = vop_console_field(VOP_CONSOLE_EMERG_WR)->size;
    d.fields = vop_console_field(VOP_CONSOLE_COLS);
    d.field_count = VOP_CONSOLE_EMERG_WR + 1;
    d.segments_max = VOP__CONSOLE_SEGMENTS;
    d.ops = &ops;
    d.context = c;
    return vop_device_new(&d, &c->device);
}

int vop_console_device_new(const struct vop_console_device_options *options, vop_device **ret_device)
{
    struct vop_console_device_options o;
    struct vop__console_device *c;
    int ret;

    vop_console_device_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_console_device_options_init", &o, sizeof(o));
    if (ret == 0)
        ret = check_options(&o);
    if (ret < 0)
        return ret;
    c = calloc(1, sizeof(*c));
    if (!c)
        return vop__error_static(ENOMEM, "no memory for a device");
    fill(c, &o);
    ret = make(c, &o);
    if (ret < 0)
        free(c);
    else
        *ret_device = c->device;
    return ret;
}
