/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console_driver.c - a driver of consoles (virtio 1.2, 5.3).
 *
 * Room: standard. Each queue has some buffers of its own, in memory that the device reaches; bytes are copied.
 */
#include "core/error.h"
#include "standard/console.h"

#include <stdlib.h>
#include <string.h>

#define BUFFERS 4u
#define BUFFER_SIZE 1024u

/** One queue and its buffers. */
struct stream {
    struct vop_console *console;
    unsigned port;
    vop_virtqueue *vq; /* NULL: there is none */
    uint8_t *memory;   /* BUFFERS of BUFFER_SIZE */
    bool is_busy[BUFFERS];
    uint8_t *reading; /* the buffer that is being read, or NULL */
    uint32_t length, taken;
};

struct port {
    struct vop_console_port public;
    bool owes_ready, owes_open; /* to be told as soon as there is room */
    bool is_open;               /* here */
    struct stream rx, tx;
};

struct vop_console {
    vop_bus_device *device;
    const struct vop_console_events *events;
    bool has_control;
    unsigned ports;
    struct stream control_rx, control_tx;
    struct port port[VOP_CONSOLE_PORTS_MAX];
};

/* ---- Buffers ---- */

static int lend(struct stream *s, unsigned i, uint32_t size, bool is_room)
{
    const struct iovec iov = {.iov_base = s->memory + i * (size_t)BUFFER_SIZE, .iov_len = size};
    int ret = vop_virtqueue_add_buf(s->vq, &iov, !is_room, is_room, iov.iov_base);

    s->is_busy[i] = ret == 0;
    return ret;
}

static unsigned buffer_index(const struct stream *s, const void *buffer)
{
    return (unsigned)((const uint8_t *)buffer - s->memory) / BUFFER_SIZE;
}

static void lend_all(struct stream *s)
{
    for (unsigned i = 0; s->vq && i < BUFFERS; i++)
        (void)lend(s, i, BUFFER_SIZE, true);
    if (s->vq)
        (void)vop_virtqueue_kick(s->vq);
}

/* A buffer to write into: its number, or -errno. */
static int find_free(struct stream *s)
{
    void *used;
    int ret;

    while ((ret = vop_virtqueue_get_buf(s->vq, &used, NULL)) == 1)
        s->is_busy[buffer_index(s, used)] = false;
    for (unsigned i = 0; ret == 0 && i < BUFFERS; i++) {
        if (!s->is_busy[i])
            return (int)i;
    }
    if (ret == 0 && vop_virtqueue_restart(s->vq) == 0)
        return find_free(s); /* one was used just now */
    return ret < 0 ? ret : vop__error_static(EAGAIN, "the device has not used what it was given");
}

static int send(struct stream *s, const void *bytes, size_t size)
{
    size_t part = size < BUFFER_SIZE ? size : BUFFER_SIZE;
    int i = s->vq ? find_free(s) : vop__error_static(EINVAL, "there is no such queue"), ret;

    if (i < 0 || part == 0)
        return i < 0 ? i : 0;
    memcpy(s->memory + (size_t)i * BUFFER_SIZE, bytes, part);
    ret = lend(s, (unsigned)i, (uint32_t)part, false);
    if (ret == 0)
        ret = vop_virtqueue_kick(s->vq);
    return ret < 0 ? ret : (int)part;
}

/* ---- Control ---- */

static int tell(struct vop_console *c, unsigned port, enum vop__console_event event, uint16_t value)
{
    const struct vop__console_control control = {.port = port, .event = (uint16_t)event, .value = value};
    uint8_t bytes[VOP__CONSOLE_CONTROL_SIZE];

    vop__console_put(bytes, &control, vop_bus_is_big_endian(c->device));
    return send(&c->control_tx, bytes, sizeof(bytes));
}

/* What the device has no room for now is told when it has used what it has. */
static void tell_owed(struct vop_console *c)
{
    for (unsigned i = 0; i < c->ports; i++) {
        struct port *p = &c->port[i];

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
    tell_owed(((struct stream *)context)->console);
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
        tell_owed(c);
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
    struct stream *s = context;
    uint8_t copy[VOP__CONSOLE_CONTROL_MAX];
    uint32_t length;
    void *used;

    while (vop_virtqueue_get_buf(vq, &used, &length) == 1) {
        length = length < sizeof(copy) ? length : (uint32_t)sizeof(copy);
        memcpy(copy, used, length);
        (void)lend(s, buffer_index(s, used), BUFFER_SIZE, true);
        obey(s->console, copy, length);
    }
    (void)vop_virtqueue_kick(vq);
    return true;
}

/* ---- Data ---- */

static bool on_readable(void *context, vop_virtqueue *vq)
{
    const struct stream *s = context;
    const struct vop_console_events *e = s->console->events;

    (void)vq;
    if (e->readable)
        e->readable(e->context, s->console, s->port);
    return false; /* vop_console_read() asks for the next */
}

static bool on_writable(void *context, vop_virtqueue *vq)
{
    const struct stream *s = context;
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

    return ret < 0 ? ret : send(&c->port[port].tx, bytes, size);
}

/* The next buffer with something in it: 1, 0, -errno. */
static int begin_reading(struct stream *s)
{
    void *used;
    int ret;

    do {
        ret = vop_virtqueue_get_buf(s->vq, &used, &s->length);
        if (ret == 1) {
            s->reading = used;
            s->taken = 0;
            if (s->length > BUFFER_SIZE)
                s->length = BUFFER_SIZE;
        }
    } while (ret == 0 && vop_virtqueue_restart(s->vq) == 0);
    return ret;
}

static void end_reading(struct stream *s)
{
    unsigned i = buffer_index(s, s->reading);

    s->reading = NULL;
    if (lend(s, i, BUFFER_SIZE, true) == 0)
        (void)vop_virtqueue_kick(s->vq);
}

int vop_console_read(vop_console *c, unsigned port, void *ret_bytes, size_t size)
{
    struct stream *s;
    size_t done = 0;
    int ret = check_port(c, port);

    if (ret < 0)
        return ret;
    s = &c->port[port].rx;
    while (done < size && (s->reading || (ret = begin_reading(s)) == 1)) {
        size_t part = s->length - s->taken < size - done ? s->length - s->taken : size - done;

        memcpy((uint8_t *)ret_bytes + done, s->reading + s->taken, part);
        s->taken += (uint32_t)part;
        done += part;
        if (s->taken == s->length)
            end_reading(s);
    }
    if (done > 0)
        return (int)done;
    return ret < 0 ? ret : vop__error_static(EAGAIN, "the device has written nothing");
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
    tell_owed(c);
    return 0;
}

int vop_console_emergency(vop_console *c, uint8_t byte)
{
    if (!vop_bus_offers(c->device, VOP_CONSOLE_F_EMERG_WRITE))
        return vop__error_static(EOPNOTSUPP, "the device takes no emergency writes");
    return vop_bus_write_field(c->device, vop_console_field(VOP_CONSOLE_EMERG_WR), byte);
}

/* ---- Life ---- */

static int open_stream(struct vop_console *c, struct stream *s, unsigned port, unsigned queue,
                       const struct vop_bus_queue_events *events)
{
    void *memory = NULL;
    int ret = vop_bus_alloc(c->device, (size_t)BUFFERS * BUFFER_SIZE, &memory);

    *s = (struct stream){.console = c, .port = port, .memory = memory};
    if (ret == 0)
        ret = vop_bus_add_queue(c->device, queue, events, s, &s->vq);
    return ret;
}

static int open_port(struct vop_console *c, unsigned port)
{
    static const struct vop_bus_queue_events readable = {.callback = on_readable}, writable = {.callback = on_writable};
    int ret = open_stream(c, &c->port[port].rx, port, vop__console_rx(port), &readable);

    if (ret == 0)
        ret = open_stream(c, &c->port[port].tx, port, vop__console_tx(port), &writable);
    return ret;
}

static int open_all(struct vop_console *c)
{
    static const struct vop_bus_queue_events control = {.callback = on_control}, told = {.callback = on_told};
    uint64_t ports = 1;
    int ret = 0;

    c->has_control = vop_bus_has(c->device, VOP_CONSOLE_F_MULTIPORT);
    if (c->has_control) {
        ret = vop_bus_read_field(c->device, vop_console_field(VOP_CONSOLE_MAX_PORTS), &ports);
        if (ret == 0)
            ret = open_stream(c, &c->control_rx, 0, VOP__CONSOLE_CONTROL_RX, &control);
        if (ret == 0)
            ret = open_stream(c, &c->control_tx, 0, VOP__CONSOLE_CONTROL_TX, &told);
    }
    c->ports = ports < VOP_CONSOLE_PORTS_MAX ? (unsigned)ports : VOP_CONSOLE_PORTS_MAX;
    for (unsigned i = 0; ret == 0 && i < c->ports; i++) {
        c->port[i].is_open = true;
        ret = open_port(c, i);
    }
    return ret;
}

static void close_stream(const struct vop_console *c, const struct stream *s)
{
    void *token;

    while (s->vq && vop_virtqueue_detach_buf(s->vq, &token) == 1)
        continue;
    vop_bus_dealloc(c->device, s->memory);
}

static void console_remove(vop_bus_device *d, void *instance)
{
    struct vop_console *c = instance;

    (void)d;
    close_stream(c, &c->control_rx);
    close_stream(c, &c->control_tx);
    for (unsigned i = 0; i < VOP_CONSOLE_PORTS_MAX; i++) {
        close_stream(c, &c->port[i].rx);
        close_stream(c, &c->port[i].tx);
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
    lend_all(&c->control_rx);
    for (unsigned i = 0; i < c->ports; i++)
        lend_all(&c->port[i].rx);
    if (c->has_control)
        (void)tell(c, 0, VOP__CONSOLE_DEVICE_READY, 1);
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
