/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * port_channel.c - a channel of the library as a port.
 *
 * Room: bridge.
 */
#include "port_channel.h"

#include "frame.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <vopipc/net.h>

static struct port_channel *get_self(struct port *port)
{
    return (struct port_channel *)port;
}

static void show_buffer(const struct vop_buffer *buffer, struct port_buffer *ret_buffer)
{
    ret_buffer->segment = buffer->segment;
    ret_buffer->count = buffer->segment[1].iov_len ? 2 : 1;
    ret_buffer->length = buffer->length;
}

static int peek(struct port *port, struct port_buffer *ret_buffer)
{
    struct port_channel *self = get_self(port);
    int ret = vop_channel_peek(self->channel, 0, &self->peeked);

    if (ret > 0)
        show_buffer(&self->peeked, ret_buffer);
    return ret;
}

static int release(struct port *port)
{
    struct port_channel *self = get_self(port);

    return vop_channel_release(self->channel, &self->peeked);
}

static int reserve(struct port *port, size_t length, struct port_buffer *ret_buffer)
{
    struct port_channel *self = get_self(port);
    int ret = vop_channel_reserve(self->channel, length, 0, &self->reserved);

    if (!ret)
        show_buffer(&self->reserved, ret_buffer);
    return ret;
}

static int commit(struct port *port, size_t length, bool more)
{
    return vop_channel_commit(get_self(port)->channel, length, more ? VOP_COMMIT_MORE : 0);
}

static void cancel(struct port *port)
{
    vop_channel_cancel(get_self(port)->channel);
}

static int flush(struct port *port)
{
    return vop_channel_flush(get_self(port)->channel);
}

static int arm(struct port *port, bool for_room)
{
    return vop_channel_arm(get_self(port)->channel, for_room ? VOP_ARM_RECV | VOP_ARM_SEND : VOP_ARM_RECV);
}

static int process(struct port *port)
{
    struct port_channel *self = get_self(port);
    uint8_t config[VOP_DEVICE_CONFIG_MAX];
    int ret = vop_channel_process(self->channel);

    if (ret < 0)
        return ret;
    return vop_channel_peer_config(self->channel, &self->generation, config) > 0;
}

static void look(struct port *port, struct port_facts *ret_facts)
{
    const vop_channel *channel = get_self(port)->channel;
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};

    (void)vop_channel_get_stats(channel, &stats);
    *ret_facts =
        (struct port_facts){.kicks = stats.tx_kicks + stats.rx_kicks, .depth = (int64_t)vop_channel_in_doubt(channel)};
}

int port_channel_open(struct port_channel *port, vop_channel *channel, uint64_t offer, uint32_t mtu)
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
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    size_t message_max = vop_channel_message_max(channel);
    int ret = vop_channel_get_info(channel, &info), fd = vop_channel_fd(channel);

    if (ret || fd < 0)
        return ret ? ret : fd;
    if (message_max < frame_message_least(mtu)) {
        log_error("%u slots of %u bytes cannot carry a frame of MTU %u; raise --slots or --slot-size on both sides",
                  info.queue_size, info.slot_size, mtu);
        return -EMSGSIZE;
    }
    memset(port, 0, sizeof(*port));
    port->channel = channel;
    port->port.ops = &ops;
    port->port.fd = fd;
    port->port.features = vop_net_features_normalize(vop_net_features_from_words(info.peer_features));
    if (!(offer & VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO))) /* so headers are short, and say nothing of them */
        port->port.features &= ~VOP_NET_TUNNEL_OFFLOADS;
    port->port.header_size = port->port.features & VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO)
                                 ? sizeof(struct vop_net_tunnel_hdr)
                                 : sizeof(struct vop_net_hdr);
    port->port.message_max = message_max;
    port->port.is_direct = info.direct_io_remote;
    return 0;
}
