/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remote_driver.c - a device in another program, on a bus of this one: its registers are reached by messages.
 *
 * Room: transport. An interrupt that comes while an answer is awaited is remembered by an eventfd, so that the
 * descriptor which the program polls still tells of it.
 */
#include "core/clock.h"
#include "core/error.h"
#include "core/options.h"
#include "sys/closer.h"
#include "sys/opener.h"
#include "transport/mmio.h"
#include "transport/remote.h"
#include "transport/shown.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/le.h>

#define DIAL_PAUSE_MS 10

struct remote {
    int socket;
    int event; /* eventfd(2): an interrupt was seen while something else was awaited */
    int epoll; /* of both */
    struct vop_bus_memory memory;
    bool is_over; /* the device has gone */
};

/* ---- Messages ---- */

static void remember(const struct remote *r)
{
    static const uint64_t one = 1;

    (void)!write(r->event, &one, sizeof(one));
}

static int give_up(struct remote *r, int err, const char *text)
{
    r->is_over = true;
    remember(r);
    return vop__error_static(err, text);
}

/* The next message is there, or something is wrong: 0, -ETIMEDOUT. */
static int wait_readable(struct remote *r, int64_t deadline)
{
    struct pollfd p = {.fd = r->socket, .events = POLLIN};
    int64_t now = vop__clock_ns();

    if (now < deadline && poll(&p, 1, vop__poll_ms(deadline - now)) > 0)
        return 0;
    return vop__clock_ns() < deadline ? 0 : give_up(r, ETIMEDOUT, "the device does not answer");
}

/* An answer: 0, or -errno after which the device is gone. */
static int await_value(struct remote *r, uint64_t *ret_value)
{
    int64_t deadline = vop__clock_ns() + VOP_REMOTE_PATIENCE_MS * VOP__NS_PER_MS;
    struct vop__remote_message m;
    int ret = 0, fd;

    while (ret == 0) {
        ret = vop__remote_receive(r->socket, &m, &fd);
        if (fd >= 0)
            vop__closer_take(&fd, 1);
        if (ret == 1 && m.op == VOP__REMOTE_VALUE) {
            *ret_value = vop_from_le64(m.value);
            return 0;
        }
        if (ret == 1) {
            remember(r);
            ret = 0;
        } else if (ret == 0) {
            ret = wait_readable(r, deadline);
        }
    }
    return give_up(r, -ret, "the device has gone while an answer was awaited");
}

/* What a full socket holds up is sent when there is room. */
static int send_all(struct remote *r, enum vop__remote_op op, unsigned size, uint64_t offset, uint64_t value, int fd)
{
    int64_t deadline = vop__clock_ns() + VOP_REMOTE_PATIENCE_MS * VOP__NS_PER_MS;
    int ret;

    while ((ret = vop__remote_send(r->socket, op, size, offset, value, fd)) == -EAGAIN) {
        struct pollfd p = {.fd = r->socket, .events = POLLOUT};

        (void)poll(&p, 1, 100);
        if (vop__clock_ns() > deadline)
            return give_up(r, ETIMEDOUT, "the device takes no messages");
    }
    return ret < 0 ? give_up(r, EPIPE, "the device has gone") : 0;
}

/* ---- Registers ---- */

static uint64_t read_register(void *context, uint64_t offset, unsigned size)
{
    struct remote *r = context;
    uint64_t value = UINT64_MAX; /* as a bus without a device answers */

    if (!r->is_over && send_all(r, VOP__REMOTE_READ, size, offset, 0, -1) == 0)
        (void)await_value(r, &value);
    return value;
}

static void write_register(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    struct remote *r = context;

    if (!r->is_over)
        (void)send_all(r, VOP__REMOTE_WRITE, size, offset, value, -1);
}

static void drop(struct remote *r)
{
    vop__shown_close(&r->memory);
    if (r->epoll >= 0)
        close(r->epoll);
    if (r->event >= 0)
        close(r->event);
    if (r->socket >= 0)
        vop__closer_take_socket(r->socket);
    free(r);
}

static void gone(void *context)
{
    drop(context);
}

static const struct vop_mmio_access access_by_messages = {.read = read_register, .write = write_register, .gone = gone};

/* ---- Interrupts ---- */

int vop_remote_bus_fd(const vop_bus_device *d)
{
    const struct remote *r = vop__mmio_context(d, &access_by_messages);

    return r ? r->epoll : -1;
}

int vop_remote_bus_process(vop_bus_device *d)
{
    struct remote *r = vop__mmio_context(d, &access_by_messages);
    struct vop__remote_message m;
    uint64_t count;
    bool is_interrupt;
    int ret, fd;

    if (!r)
        return vop__error_static(EINVAL, "no device in another program");
    is_interrupt = read(r->event, &count, sizeof(count)) == (ssize_t)sizeof(count);
    while (!r->is_over && (ret = vop__remote_receive(r->socket, &m, &fd)) != 0) {
        if (ret < 0)
            (void)give_up(r, EPIPE, "the device has gone");
        if (fd >= 0)
            vop__closer_take(&fd, 1);
        is_interrupt = true;
    }
    if (is_interrupt && !r->is_over)
        (void)vop_mmio_interrupt(d);
    return r->is_over ? vop__error_static(EPIPE, "the device's program has ended, or does not answer") : 0;
}

/* ---- Connecting ---- */

static int watch(const struct remote *r, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_descriptors(struct remote *r)
{
    int ret = 0;

    r->event = vop__new_event();
    r->epoll = vop__new_epoll();
    if (r->event < 0 || r->epoll < 0)
        ret = -errno;
    if (ret == 0)
        ret = watch(r, r->socket);
    if (ret == 0)
        ret = watch(r, r->event);
    return ret < 0 ? vop__error(-ret, "descriptors for a device: %s", strerror(-ret)) : 0;
}

/* Where so many wait that there is no place, it is tried again. */
static int dial(struct remote *r, const char *path)
{
    int64_t deadline = vop__clock_ns() + VOP_REMOTE_PATIENCE_MS * VOP__NS_PER_MS;

    if (!path || !path[0])
        return vop__error_static(EINVAL, "the socket of the device has no name");
    while ((r->socket = vop__open_connected(path, SOCK_SEQPACKET)) == -EAGAIN) {
        if (vop__clock_ns() > deadline)
            return vop__error(ETIMEDOUT, "%s: the device takes no connections: others wait there, too", path);
        (void)poll(NULL, 0, DIAL_PAUSE_MS);
    }
    return r->socket < 0 ? r->socket : 0;
}

/* Makes memory, shows it to the device, and hears how many bytes of registers there are. */
static int bring_memory(struct remote *r, const struct vop_remote_options *o, uint64_t *ret_registers)
{
    unsigned driver = !o->is_legacy                            ? VOP__REMOTE_MODERN
                      : __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? VOP__REMOTE_LEGACY_BIG
                                                               : VOP__REMOTE_LEGACY_LITTLE;
    int fd, ret = vop__shown_open(o->memory_size, &r->memory, &fd);

    if (ret < 0)
        return ret;
    ret = send_all(r, VOP__REMOTE_MEMORY, driver, r->memory.address, r->memory.size, fd);
    if (ret == 0)
        ret = await_value(r, ret_registers);
    close(fd);
    if (ret == 0 && (*ret_registers < VOP_MMIO_CONFIG || *ret_registers > VOP_MMIO_SIZE))
        return vop__error_static(EPROTO, "the device says that it has no registers, or too many");
    return ret;
}

void vop_remote_options_init(struct vop_remote_options *options, size_t struct_size)
{
    const struct vop_remote_options known = {.struct_size = struct_size, .memory_size = 4u << 20, .queue_size = 256};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

static int add(vop_bus *bus, struct remote *r, const struct vop_remote_options *options, uint64_t registers,
               vop_bus_device **ret_device)
{
    struct vop_mmio_bus_options o;

    vop_mmio_bus_options_init(&o, sizeof(o));
    o.map = options->is_legacy ? VOP_MMIO_1 : VOP_MMIO_2;
    o.size = (uint32_t)registers;
    o.access = &access_by_messages;
    o.context = r;
    o.memory = &r->memory;
    o.queue_size = options->queue_size;
    memcpy(o.without, options->without, sizeof(o.without));
    return vop_mmio_add(bus, &o, ret_device);
}

int vop_remote_connect(vop_bus *bus, const struct vop_remote_options *options, vop_bus_device **ret_device)
{
    struct vop_remote_options o;
    struct remote *r;
    uint64_t registers = 0;
    int ret;

    vop_remote_options_init(&o, sizeof(o));
    ret = vop__options_take(options, "vop_remote_options_init", &o, sizeof(o));
    if (ret < 0)
        return ret;
    r = calloc(1, sizeof(*r));
    if (!r)
        return vop__error_static(ENOMEM, "no memory for a connection");
    r->socket = r->event = r->epoll = -1;
    ret = dial(r, o.path);
    if (ret == 0)
        ret = open_descriptors(r);
    if (ret == 0)
        ret = bring_memory(r, &o, &registers);
    if (ret == 0)
        ret = add(bus, r, &o, registers, ret_device);
    if (ret != 0)
        drop(r);
    return ret;
}
