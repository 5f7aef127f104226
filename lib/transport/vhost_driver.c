/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost_driver.c - a device that a vhost-user back end is, on a bus of this program.
 *
 * Room: transport. What other transports have registers for is said by requests, which are waited for; the status,
 * which vhost-user only knows as features that are final and queues that run, is kept here.
 */
#include "core/error.h"
#include "core/options.h"
#include "sys/closer.h"
#include "sys/opener.h"
#include "transport/shown.h"
#include "vhost/front_talk.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/netdev.h>
#include <vopipc/vhost_bus.h>

#define EVENTS_MAX 16
#define BIT(bit) (UINT64_C(1) << (bit))

/* What the descriptors that are watched stand for, beside the numbers of queues. */
enum {
    SOCKET = VOP_DEVICE_QUEUES_MAX,
    REQUESTS
};

struct queue {
    int kick, call; /* eventfd(2); -1: it does not run */
};

struct vhost {
    struct vop__vhost_talk talk;
    struct vop_vhost_bus_options options;
    unsigned queue_count; /* that the device can have */
    int epoll;            /* of the socket, the back end's requests, and `call` of the queues */
    struct vop_bus_memory memory;
    uint32_t accepted[2];
    uint32_t status;
    uint32_t generation; /* of the configuration */
    bool is_over;        /* the back end has gone */
    struct queue queue[VOP_DEVICE_QUEUES_MAX];
};

/* A request that failed leaves a back end of which nothing is known. The descriptor that the program polls tells it. */
static int note(struct vhost *v, int ret)
{
    if (ret < 0 && ret != -EOPNOTSUPP) {
        v->is_over = true;
        shutdown(v->talk.ask.fd, SHUT_RDWR);
    }
    return ret;
}

/* ---- What is watched ---- */

static int watch(const struct vhost *v, int fd, uint32_t what)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = what};

    return epoll_ctl(v->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Before it is closed: that may take a while, and what the other side has a descriptor of would be watched for ever. */
static void unwatch(const struct vhost *v, int fd)
{
    struct epoll_event event = {.events = 0};

    (void)epoll_ctl(v->epoll, EPOLL_CTL_DEL, fd, &event);
}

/* ---- Status and features ---- */

static uint32_t get_status(void *context)
{
    return ((const struct vhost *)context)->status;
}

static void close_queue(const struct vhost *v, struct queue *q)
{
    const int fds[2] = {q->kick, q->call};

    if (q->kick >= 0) {
        unwatch(v, q->call);
        vop__closer_take(fds, 2); /* the other side may keep a close busy */
    }
    q->kick = q->call = -1;
}

static void reset(struct vhost *v)
{
    for (unsigned i = 0; i < v->queue_count; i++) {
        if (v->queue[i].kick >= 0 && !v->is_over)
            (void)note(v, vop__vhost_stop(&v->talk, i));
        close_queue(v, &v->queue[i]);
    }
    if (v->status && !v->is_over)
        (void)note(v, vop__vhost_reset_device(&v->talk));
}

static void set_status(void *context, uint32_t status)
{
    struct vhost *v = context;

    if (status == 0)
        reset(v);
    else if (status & ~v->status & VOP_STATUS_FEATURES_OK &&
             (v->is_over || note(v, vop__vhost_accept(&v->talk, v->accepted[0] | (uint64_t)v->accepted[1] << 32)) < 0))
        status &= ~VOP_STATUS_FEATURES_OK;
    v->status = status;
}

static uint32_t get_features(void *context, uint32_t word)
{
    const struct vhost *v = context;

    return word < 2 ? (uint32_t)(v->talk.offered >> 32 * word) : 0;
}

static void set_features(void *context, uint32_t word, uint32_t bits)
{
    if (word < 2)
        ((struct vhost *)context)->accepted[word] = bits;
}

/* ---- Configuration ---- */

static int read_config(void *context, uint32_t offset, void *ret_bytes, uint32_t size)
{
    struct vhost *v = context;

    if (v->is_over)
        return vop__error_static(EPIPE, "the back end has gone");
    return note(v, vop__vhost_get_config(&v->talk, offset, ret_bytes, size));
}

static int write_config(void *context, uint32_t offset, const void *bytes, uint32_t size)
{
    struct vhost *v = context;

    if (v->is_over)
        return vop__error_static(EPIPE, "the back end has gone");
    return note(v, vop__vhost_set_config(&v->talk, offset, bytes, size));
}

/* News that wait to be taken count as well: what is read before and after they came does not belong together. */
static uint32_t get_generation(void *context)
{
    const struct vhost *v = context;
    int waiting = 0;

    if (v->talk.requests.fd >= 0)
        (void)ioctl(v->talk.requests.fd, FIONREAD, &waiting);
    return v->generation + (uint32_t)waiting;
}

/* ---- Queues ---- */

static uint32_t get_queue_max(void *context, unsigned index)
{
    const struct vhost *v = context;

    return index < v->queue_count ? v->options.queue_size : 0;
}

static int open_queue(const struct vhost *v, unsigned index, struct queue *q)
{
    int ret;

    q->kick = vop__new_event();
    q->call = q->kick < 0 ? -1 : vop__new_event();
    ret = q->call < 0 ? -errno : watch(v, q->call, index);
    if (ret < 0 && q->kick >= 0)
        close(q->kick);
    if (ret < 0 && q->call >= 0)
        close(q->call);
    if (ret < 0)
        q->kick = q->call = -1;
    return ret < 0 ? vop__error(-ret, "descriptors for queue %u: %s", index, strerror(-ret)) : 0;
}

static int enable_queue(void *context, unsigned index, const struct vop_queue_place *place)
{
    struct vhost *v = context;
    const struct vop__vhost_place at = {.size = place->size,
                                        .desc = place->desc,
                                        .driver = place->driver,
                                        .device = place->device,
                                        .is_packed = v->accepted[1] >> (VOP_F_RING_PACKED - 32) & 1};
    struct queue *q = &v->queue[index];
    int ret;

    if (v->is_over)
        return vop__error_static(EPIPE, "the back end has gone");
    ret = open_queue(v, index, q);
    if (ret < 0)
        return ret;
    ret = note(v, vop__vhost_start(&v->talk, index, &at, q->kick, q->call));
    if (ret < 0)
        close_queue(v, q);
    return ret;
}

/*
 * What is full holds a notification already. The back end can have undone that a full one does not block, so this looks
 * first: only who fills it in between holds this up, until vop_vhost_bus_unblock().
 */
static int notify(void *context, unsigned index, uint32_t value)
{
    static const uint64_t one = 1;
    const struct vhost *v = context;
    struct pollfd kick = {.fd = v->queue[index].kick, .events = POLLOUT};

    (void)value;
    if (poll(&kick, 1, 0) == 1 && kick.revents & POLLOUT)
        (void)!write(kick.fd, &one, sizeof(one));
    return 0;
}

/* ---- The end ---- */

static void drop(struct vhost *v)
{
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++)
        close_queue(v, &v->queue[i]);
    vop__vhost_part(&v->talk);
    vop__shown_close(&v->memory);
    if (v->epoll >= 0)
        close(v->epoll);
    free(v);
}

static void gone(void *context)
{
    struct vhost *v = context;

    vop__closer_take_socket(v->talk.ask.fd);
    drop(v);
}

static const struct vop_bus_transport transport = {
    .get_status = get_status,
    .set_status = set_status,
    .get_features = get_features,
    .set_features = set_features,
    .read_config = read_config,
    .write_config = write_config,
    .get_generation = get_generation,
    .get_queue_max = get_queue_max,
    .enable_queue = enable_queue,
    .notify = notify,
    .gone = gone,
};

/* ---- Events ---- */

int vop_vhost_bus_fd(const vop_bus_device *d)
{
    const struct vhost *v = vop_bus_context(d, &transport);

    return v ? v->epoll : -1;
}

void vop_vhost_bus_unblock(vop_bus_device *d)
{
    const struct vhost *v = vop_bus_context(d, &transport);

    for (unsigned i = 0; v && i < VOP_DEVICE_QUEUES_MAX; i++) {
        if (v->queue[i].kick >= 0)
            vop__vhost_take_eventfd(v->queue[i].kick);
    }
}

/* A channel that ends, or says what makes no sense, is not listened to any more. */
static void hear(vop_bus_device *d, struct vhost *v)
{
    int ret = vop__vhost_hear(&v->talk);

    if (ret < 0) {
        unwatch(v, v->talk.requests.fd);
        vop__vhost_part(&v->talk);
    }
    if (ret != 1)
        return;
    v->generation++;
    vop_bus_config_interrupt(d);
}

int vop_vhost_bus_process(vop_bus_device *d)
{
    struct vhost *v = vop_bus_context(d, &transport);
    struct epoll_event event[EVENTS_MAX];
    int count;

    if (!v)
        return vop__error_static(EINVAL, "no device of a vhost-user back end");
    count = epoll_wait(v->epoll, event, EVENTS_MAX, 0);
    for (int i = 0; i < count && !v->is_over; i++) {
        uint32_t what = event[i].data.u32;

        if (what == SOCKET) { /* it says nothing but answers, which were taken */
            v->is_over = true;
        } else if (what == REQUESTS) {
            hear(d, v);
        } else {
            vop__vhost_take_eventfd(v->queue[what].call);
            vop_bus_interrupt(d, what);
        }
    }
    return v->is_over ? vop__error_static(EPIPE, "the back end has ended, or does not answer") : 0;
}

/* ---- Adding ---- */

void vop_vhost_bus_options_init(struct vop_vhost_bus_options *options, size_t struct_size)
{
    const struct vop_vhost_bus_options known = {
        .struct_size = struct_size, .socket = -1, .memory_size = 4u << 20, .queue_size = 256, .timeout_ms = 5000};

    memset(options, 0, struct_size);
    memcpy(options, &known, struct_size < sizeof(known) ? struct_size : sizeof(known));
}

/* Queue pairs of a network card, queues of any other; what does not say has what its type has at least. */
static unsigned count_queues(const struct vhost *v)
{
    uint64_t number = v->talk.queue_num ? v->talk.queue_num : v->options.id == VOP_ID_CONSOLE ? 2 : 1;

    if (v->options.id == VOP_ID_NET)
        number = 2 * number + (v->options.has_control ? 1 : 0);
    return number < VOP_DEVICE_QUEUES_MAX ? (unsigned)number : VOP_DEVICE_QUEUES_MAX;
}

/* What is offered, but cannot be used here: a network card's control queue, which is the front end's unless the program
 * knows better; addresses that are translated; and what is told by a configuration, where there is none. */
static uint64_t useless(const struct vhost *v)
{
    uint64_t bits = BIT(VOP_F_ACCESS_PLATFORM);

    if (v->options.id != VOP_ID_NET)
        return bits;
    if (!v->options.has_control || !(v->talk.protocol & BIT(VOP__VHOST_PROTOCOL_F_CONFIG)))
        bits |= BIT(VOP_NET_F_CTRL_VQ) | BIT(VOP_NET_F_MQ) | BIT(VOP_NET_F_RSS);
    if (!(v->talk.protocol & BIT(VOP__VHOST_PROTOCOL_F_CONFIG)))
        bits |= BIT(VOP_NET_F_MTU) | BIT(VOP_NET_F_MAC) | BIT(VOP_NET_F_STATUS);
    return bits;
}

static int meet(struct vhost *v)
{
    static const uint64_t protocol = BIT(VOP__VHOST_PROTOCOL_F_MQ) | BIT(VOP__VHOST_PROTOCOL_F_REPLY_ACK) |
                                     BIT(VOP__VHOST_PROTOCOL_F_BACKEND_REQ) | BIT(VOP__VHOST_PROTOCOL_F_CONFIG) |
                                     BIT(VOP__VHOST_PROTOCOL_F_RESET_DEVICE);
    int ret = vop__vhost_meet(&v->talk, v->options.socket, v->options.timeout_ms, protocol);

    if (ret == 0)
        ret = vop__vhost_own(&v->talk);
    if (ret < 0)
        return ret;
    v->talk.offered &= ~useless(v);
    v->queue_count = count_queues(v);
    v->epoll = vop__new_epoll();
    ret = v->epoll < 0 ? -errno : watch(v, v->options.socket, SOCKET);
    if (ret == 0 && v->talk.requests.fd >= 0)
        ret = watch(v, v->talk.requests.fd, REQUESTS);
    return ret < 0 ? vop__error(-ret, "watching a back end: %s", strerror(-ret)) : 0;
}

static int show_memory(struct vhost *v)
{
    struct vop__vhost_region region = {.guest = VOP__SHOWN_ADDRESS, .user = VOP__SHOWN_ADDRESS};
    int fd, ret = vop__shown_open(v->options.memory_size, &v->memory, &fd);

    if (ret < 0)
        return ret;
    region.size = v->memory.size;
    ret = vop__vhost_show(&v->talk, &region, &fd, 1);
    close(fd);
    return ret;
}

static int add(vop_bus *bus, struct vhost *v, vop_bus_device **ret_device)
{
    struct vop_bus_options o;

    vop_bus_options_init(&o, sizeof(o));
    o.id = v->options.id;
    o.queue_size = v->options.queue_size;
    memcpy(o.without, v->options.without, sizeof(o.without));
    o.memory = &v->memory;
    o.transport = &transport;
    o.context = v;
    return vop_bus_add(bus, &o, ret_device);
}

int vop_vhost_bus_add(vop_bus *bus, const struct vop_vhost_bus_options *options, vop_bus_device **ret_device)
{
    struct vhost *v = calloc(1, sizeof(*v));
    int ret;

    if (!v)
        return vop__error_static(ENOMEM, "no memory for a device");
    v->epoll = v->talk.requests.fd = -1;
    for (unsigned i = 0; i < VOP_DEVICE_QUEUES_MAX; i++)
        v->queue[i].kick = v->queue[i].call = -1;
    vop_vhost_bus_options_init(&v->options, sizeof(v->options));
    ret = vop__options_take(options, "vop_vhost_bus_options_init", &v->options, sizeof(v->options));
    if (ret == 0 && (v->options.socket < 0 || v->options.id == 0))
        ret = vop__error_static(EINVAL, "a device of a back end needs a socket and a device ID");
    if (ret == 0)
        ret = meet(v);
    if (ret == 0)
        ret = show_memory(v);
    if (ret == 0)
        ret = add(bus, v, ret_device);
    if (ret < 0)
        drop(v);
    return ret;
}
