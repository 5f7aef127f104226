/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - facts and figures of a channel.
 *
 * Room: channel.
 */
#include "channel/channel.h"
#include "channel/fate.h"
#include "core/error.h"

#include <string.h>

size_t vop_channel_message_max(const vop_channel *c)
{
    return c->tx.message_max;
}

uint64_t vop_channel_in_doubt(const vop_channel *c)
{
    return vop__fate_is_here(c->link) ? vop__slot_device_in_doubt(&c->tx.queue) : 0;
}

/* Copies as much of a versioned struct as the caller's struct can hold. */
static int give_struct(void *to, const void *from, size_t to_size, size_t first_size, size_t from_size)
{
    if (to_size < first_size)
        return vop__error(EINVAL, "struct_size %zu: set it to the size of the struct before the call", to_size);
    if (to_size > from_size)
        memset((uint8_t *)to + from_size, 0, to_size - from_size);
    memcpy(to, from, to_size < from_size ? to_size : from_size);
    memcpy(to, &to_size, sizeof(to_size)); /* struct_size is the first member */
    return 0;
}

int vop_channel_get_info(const vop_channel *c, struct vop_channel_info *ret_info)
{
    const struct vop__session *s = &c->link->session;
    const struct vop__wire *wire = c->wire;
    struct vop_channel_info info = {
        .side = wire->side,
        .queue_size = s->geometry.receive.queue_size,
        .slot_size = s->geometry.receive.slot_size,
        .send_queue_size = s->geometry.send.queue_size,
        .send_slot_size = s->geometry.send.slot_size,
        .peer_config_size = s->peer.config_size,
        .peer_pid = wire->peer_pid,
        .peer_uid = wire->peer_uid,
        .peer_gid = wire->peer_gid,
        .contiguous = c->tx.place.mirrored && c->rx.place.mirrored,
        .direct_io_local = wire->local.flags & VOP__WINDOW_DIRECT_IO,
        .direct_io_remote = wire->remote.flags & VOP__WINDOW_DIRECT_IO,
        .queue_pairs = s->geometry.queue_pairs,
        .queue_pair = c->rx.index,
    };

    if (!vop__fate_is_here(c->link))
        return vop__fate(c->link);
    memcpy(info.peer_features, s->peer.features, sizeof(info.peer_features));
    memcpy(info.peer_config, s->peer.config, sizeof(info.peer_config));
    return give_struct(ret_info, &info, ret_info->struct_size, offsetof(struct vop_channel_info, send_queue_size),
                       sizeof(info));
}

int vop_channel_get_stats(const vop_channel *c, struct vop_channel_stats *ret_stats)
{
    bool is_here = vop__fate_is_here(c->link); /* a child of fork() has no wire */
    struct vop_channel_stats stats = {
        .tx_messages = vop__counted(&c->tx.messages),
        .tx_bytes = vop__counted(&c->tx.bytes),
        .tx_publishes = vop__counted(&c->tx.publishes),
        .tx_kicks = vop__counted(&c->tx.kicks),
        .tx_full = vop__counted(&c->tx.full),
        .rx_messages = vop__counted(&c->rx.messages),
        .rx_bytes = vop__counted(&c->rx.bytes),
        .rx_publishes = vop__counted(&c->rx.publishes),
        .rx_kicks = vop__counted(&c->rx.kicks),
        .sleeps = vop__counted(&c->tx.sleeps) + vop__counted(&c->rx.sleeps),
        .spins_hit = vop__counted(&c->tx.spins_hit) + vop__counted(&c->rx.spins_hit),
        .rescues = vop__counted(&c->tx.rescues) + vop__counted(&c->rx.rescues),
        .storms = is_here ? __atomic_load_n(&c->link->wire->storms, __ATOMIC_RELAXED) : 0,
    };

    return give_struct(ret_stats, &stats, ret_stats->struct_size, offsetof(struct vop_channel_stats, rescues),
                       sizeof(stats));
}
