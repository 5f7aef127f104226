/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_vhost.c - the network card of a virtual machine as a port: two virtqueues of a vhost-user front end.
 *
 * Room: bridge. Buffers for a frame are taken from queue 0 until there is room enough; what a frame leaves over is kept
 * for the next one, and put back when the queue stops.
 */
#include "port_vhost.h"

#include "frame.h"
#include "log.h"
#include "offload.h"

#include <errno.h>
#include <string.h>
#include <vopipc/error.h>
#include <vopipc/le.h>
#include <vopipc/netdev.h>

#define RELEASED_MAX 16 /* before the driver is told: a batch is cheap */

static struct port_vhost *get_self(struct port *port)
{
    return (struct port_vhost *)port;
}

uint64_t port_vhost_offer(uint64_t features, unsigned pairs)
{
    uint64_t offer = (features & VOP_NET_OFFLOADS) | offload_to_host(features) | VOP_NET_FEATURE(VOP_NET_F_MRG_RXBUF);

    return pairs > 1 ? offer | VOP_NET_FEATURE(VOP_NET_F_MQ) : offer;
}

/* ---- From the driver ---- */

static int peek(struct port *port, struct port_buffer *ret_buffer)
{
    struct port_vhost *self = get_self(port);
    struct vop_taken_buf buf;
    int ret;

    if (!self->tx)
        return -EAGAIN;
    ret = vop_virtqueue_take(self->tx, self->peeked, PORT_SEGMENT_MAX, &buf);
    if (ret == -ENOBUFS) {
        vop_virtqueue_fail(self->tx, "a frame in more segments than a bridge takes");
        return -EPROTO;
    }
    if (ret <= 0)
        return ret ? ret : -EAGAIN;
    self->peeked_handle = buf.handle;
    /* A frame to send is all there is. In the tables of packed rings DPDK's driver calls some segments of it writable.
     */
    *ret_buffer = (struct port_buffer){self->peeked, buf.readable + buf.writable,
                                       (size_t)buf.readable_bytes + buf.writable_bytes};
    return 1;
}

static int tell_released(struct port_vhost *self)
{
    int ret = self->released && self->tx ? vop_virtqueue_call(self->tx) : 0;

    self->released = 0;
    return ret < 0 ? ret : 0;
}

static int release(struct port *port)
{
    struct port_vhost *self = get_self(port);
    int ret = vop_virtqueue_complete(self->tx, self->peeked_handle, 0);

    if (ret)
        return ret;
    return ++self->released >= RELEASED_MAX ? tell_released(self) : 0;
}

/* ---- To the driver ---- */

static int refuse_buffer(struct port_vhost *self, const char *why)
{
    vop_virtqueue_fail(self->rx, why);
    return -EPROTO;
}

/* Takes one more buffer to fill: 1, 0: there is none, or as for reserve(). */
static int hold_one(struct port_vhost *self)
{
    struct vop_taken_buf buf;
    int ret = vop_virtqueue_take(self->rx, self->room + self->room_count, PORT_SEGMENT_MAX - self->room_count, &buf);

    if (ret == -ENOBUFS)
        return self->held_count ? -EMSGSIZE : refuse_buffer(self, "a buffer in more segments than a bridge takes");
    if (ret <= 0)
        return ret;
    if (buf.readable || buf.writable_bytes < FRAME_HEADER_SIZE)
        return refuse_buffer(self, "a buffer for frames that holds no header, or is not to be written");
    self->held[self->held_count++] = (struct port_vhost_buf){buf.handle, buf.writable_bytes, buf.writable};
    self->room_count += buf.writable;
    self->room_length += buf.writable_bytes;
    return 1;
}

/* Is every buffer that the driver can have offered here? Then there will never be more room. */
static bool has_all(const struct port_vhost *self)
{
    struct vop_virtqueue_info info;

    vop_virtqueue_get_info(self->rx, &info, sizeof(info));
    return info.in_flight == info.size;
}

/* Holds buffers until they have room for `length` bytes. Returns as reserve() does. */
static int hold(struct port_vhost *self, size_t length)
{
    while (self->room_length < length) {
        int ret;

        if ((self->held_count && !self->is_merging) || self->held_count == PORT_SEGMENT_MAX)
            return -EMSGSIZE;
        ret = hold_one(self);
        if (ret < 0)
            return ret;
        if (ret == 0)
            return has_all(self) ? -EMSGSIZE : -EAGAIN;
    }
    return 0;
}

/* Who was refused asks again for less, to hear whether it pays to try: it does once there is room for what was refused,
 * or can never be. */
static int reserve(struct port *port, size_t length, struct port_buffer *ret_buffer)
{
    struct port_vhost *self = get_self(port);
    size_t wanted = length > self->wanted ? length : self->wanted;
    int ret;

    if (!self->rx)
        return -EAGAIN;
    ret = hold(self, wanted);
    if (ret == -EMSGSIZE && length < wanted)
        ret = hold(self, length);
    self->wanted = ret == -EAGAIN ? wanted : 0;
    if (ret)
        return ret;
    *ret_buffer = (struct port_buffer){self->room, self->room_count, self->room_length};
    return 0;
}

/* Tells of what was written, for the log of a machine that migrates. */
static void tell_written(struct port_vhost *self, size_t length)
{
    for (unsigned i = 0; length > 0; i++) {
        size_t part = self->room[i].iov_len < length ? self->room[i].iov_len : length;

        vop_vhost_user_wrote(self->device, self->room[i].iov_base, part);
        length -= part;
    }
}

/* Forgets the first `count` buffers. */
static void drop_held(struct port_vhost *self, unsigned count)
{
    unsigned segments = 0;

    for (unsigned i = 0; i < count; i++) {
        segments += self->held[i].segments;
        self->room_length -= self->held[i].length;
    }
    self->held_count -= count;
    self->room_count -= segments;
    memmove(self->held, self->held + count, self->held_count * sizeof(self->held[0]));
    memmove(self->room, self->room + segments, self->room_count * sizeof(self->room[0]));
}

static int flush(struct port *port)
{
    struct port_vhost *self = get_self(port);
    int ret = self->rx ? vop_virtqueue_call(self->rx) : 0;

    return ret < 0 ? ret : 0;
}

/* The buffers of a frame appear to the driver at once: by one call, and before that by none. */
static int commit(struct port *port, size_t length, bool more)
{
    struct port_vhost *self = get_self(port);
    const struct port_buffer room = {self->room, self->room_count, self->room_length};
    struct vop_completed_buf done[PORT_SEGMENT_MAX];
    vop_le16 num_buffers;
    size_t left = length;
    unsigned count = 0;
    int ret;

    while (left > 0) {
        size_t part = self->held[count].length < left ? self->held[count].length : left;

        done[count] = (struct vop_completed_buf){self->held[count].handle, (uint32_t)part};
        left -= part;
        count++;
    }
    num_buffers = vop_to_le16((uint16_t)count);
    port_buffer_write(&room, offsetof(struct vop_net_hdr, num_buffers), &num_buffers, sizeof(num_buffers));
    tell_written(self, length);
    ret = vop_virtqueue_complete_bufs(self->rx, done, count);
    drop_held(self, count);
    return ret || more ? ret : flush(port);
}

static void cancel(struct port *port)
{
    (void)port; /* the buffers stay for the next frame */
}

/* ---- Waiting ---- */

static int arm(struct port *port, bool for_room)
{
    struct port_vhost *self = get_self(port);
    int ret = tell_released(self), room = 1;

    if (!ret)
        ret = flush(port);
    if (!ret)
        ret = self->tx ? vop_virtqueue_restart(self->tx) : 1;
    if (ret > 0 && self->rx) {
        if (for_room)
            room = vop_virtqueue_restart(self->rx);
        else
            vop_virtqueue_disable(self->rx);
    }
    if (ret < 0 || room < 0)
        return ret < 0 ? ret : room;
    return !(ret && room);
}

/* A driver can receive on a further pair long before it has anything to send there, and user-mode-linux starts a queue
 * only then. */
static bool has_queues(const struct port_vhost *self)
{
    return self->rx && (self->tx || self->pair > 0);
}

/* Messages of the front end are not for this thread. What it has stopped nobody will start again in this session. */
static int process(struct port *port)
{
    struct port_vhost *self = get_self(port);

    vop_vhost_user_take(self->device, PORT_VHOST_QUEUES * self->pair);
    if (!has_queues(self))
        return -EPIPE;
    if (self->tx)
        vop_virtqueue_disable(self->tx);
    return 0;
}

static uint64_t count_notified(const vop_virtqueue *vq)
{
    struct vop_virtqueue_info info = {.notified = 0};

    if (vq)
        vop_virtqueue_get_info(vq, &info, sizeof(info));
    return info.notified;
}

/* A driver does not say how many of the frames it got it has looked at. */
static void look(struct port *port, struct port_facts *ret_facts)
{
    struct port_vhost *self = get_self(port);

    *ret_facts = (struct port_facts){
        .kicks = self->kicks + count_notified(self->rx) + count_notified(self->tx),
        .depth = -1,
    };
}

/* ---- States ---- */

void port_vhost_init(struct port_vhost *port, unsigned pair)
{
    static const struct port_ops ops = {
        .peek = peek,
        .release = release,
        .reserve = reserve,
        .commit = commit,
        .cancel = cancel,
        .flush = flush,
        .arm = arm,
        .process = process,
        .look = look,
    };

    memset(port, 0, sizeof(*port));
    port->pair = pair;
    port->port.ops = &ops;
    port->port.header_size = sizeof(struct vop_net_hdr);
    port->port.message_max = FRAME_MESSAGE_MAX;
    port->port.wait_max = 1;          /* what was refused is remembered here */
    port->port.has_dear_kicks = true; /* an interrupt may first wake the machine's monitor, for each frame sent, too */
}

void port_vhost_start(struct port_vhost *port, unsigned index, vop_virtqueue *vq)
{
    *(index ? &port->tx : &port->rx) = vq;
    vop_virtqueue_disable(vq); /* until it is armed */
}

/* The last one taken is the first to be put back. */
void port_vhost_stop(struct port_vhost *port, unsigned index)
{
    port->kicks += count_notified(index ? port->tx : port->rx);
    if (index) {
        port->tx = NULL;
        port->released = 0;
        return;
    }
    while (port->held_count > 0 && vop_virtqueue_untake(port->rx, port->held[port->held_count - 1].handle) == 0)
        port->held_count--;
    port->held_count = port->room_count = 0;
    port->room_length = port->wanted = 0;
    port->rx = NULL;
}

bool port_vhost_is_ready(struct port_vhost *port)
{
    uint64_t features;

    if (!has_queues(port))
        return false;
    features = vop_vhost_user_features(port->device);
    port->is_merging = features & VOP_NET_FEATURE(VOP_NET_F_MRG_RXBUF);
    if (!port->is_merging && !(features & VOP_NET_FEATURE(VOP_F_VERSION_1))) {
        if (!port->has_complained && port->pair == 0)
            log_warning(
                "the machine has a driver of before virtio 1.0 that does not merge buffers (MRG_RXBUF): not served; "
                "give it a newer one, or a modern device (QEMU: disable-legacy=on)");
        port->has_complained = true;
        return false;
    }
    port->port.features = vop_net_features_normalize(features & VOP_NET_OFFLOADS);
    port->port.fd = vop_vhost_user_queue_fd(port->device, PORT_VHOST_QUEUES * port->pair);
    return true;
}
