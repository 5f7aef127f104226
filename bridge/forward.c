/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward.c - what a session between a TAP and a channel can do, decided once when it begins.
 *
 * Room: bridge.
 */
#include "forward.h"

#include "log.h"
#include "offload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/le.h>

#define HEADER_SIZE sizeof(struct vop_net_hdr)

static uint64_t features_of_peer(const struct vop_channel_info *info)
{
    uint64_t features = (uint64_t)info->peer_features[1] << 32 | info->peer_features[0];

    return vop_net_features_normalize(features);
}

/* Two bridges with different MTUs work, until a frame is too long for the other's network. */
static void mtu_compare(const struct vop_channel_info *info, uint32_t mtu)
{
    struct vop_net_config config;
    uint32_t peer_mtu;

    if (!(info->peer_features[0] & UINT32_C(1) << VOP_NET_F_MTU) || info->peer_config_size < sizeof(config))
        return;
    memcpy(&config, info->peer_config, sizeof(config));
    peer_mtu = vop_from_le16(config.mtu);
    if (peer_mtu != mtu)
        log_line("the MTU is %u here and %u at the peer: long frames will be lost; give both the same --mtu", mtu,
                 peer_mtu);
}

/* The private buffer is needed if the TAP can give us a frame that cannot go to the peer as it is. */
static bool direct_is_possible(const struct forward *forward, const struct vop_channel_info *info)
{
    uint64_t emitted = offload_to_features(forward->tap->offload);

    if (!info->direct_io_remote || (emitted & ~forward->peer))
        return false;
    return !(forward->tap->offload & OFFLOAD_SEGMENTS) || forward->longest >= VOP_NET_MESSAGE_MAX;
}

/* Where nothing is longer than the MTU, a small ring must not be emptied for each frame. A later, larger MTU may fit.
 */
static size_t reserve_choose(const struct forward *forward, size_t message_max, uint32_t mtu)
{
    size_t enough = HEADER_SIZE + 14 + 2 * 4 + mtu + 1;

    if (forward->tap->offload & OFFLOAD_SEGMENTS)
        return forward->longest;
    if (enough < message_max / 4)
        enough = message_max / 4;
    return enough < forward->longest ? enough : forward->longest;
}

int forward_open(struct forward *forward, const struct forward_setup *setup, vop_channel *channel)
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    size_t message_max = vop_channel_message_max(channel);
    size_t needed = HEADER_SIZE + 14 + 4 + setup->mtu;
    int error = vop_channel_get_info(channel, &info);

    if (error)
        return error;
    if (message_max < needed) {
        log_line("%u slots of %u bytes cannot carry a frame of MTU %u; raise --slots or --slot-size on both sides",
                 info.queue_size, info.slot_size, setup->mtu);
        return -EMSGSIZE;
    }
    memset(forward, 0, sizeof(*forward));
    forward->tap = setup->tap;
    forward->counters = setup->counters;
    forward->offered = setup->offered;
    forward->channel = channel;
    forward->peer = features_of_peer(&info);
    forward->longest = message_max < FORWARD_MESSAGE_MAX ? message_max : FORWARD_MESSAGE_MAX;
    forward->reserve = reserve_choose(forward, message_max, setup->mtu);
    /* Waiting for a quarter of the ring makes one wake-up serve many frames. */
    forward->resume = message_max / 4 > forward->reserve ? message_max / 4 : forward->reserve;
    forward->is_direct = direct_is_possible(forward, &info);
    if (!forward->is_direct) {
        forward->bounce = malloc(FORWARD_FRAME_MAX + 1);
        if (!forward->bounce)
            return -ENOMEM;
    }
    mtu_compare(&info, setup->mtu);
    log_verbose("frames go to the peer %s", forward->is_direct ? "directly" : "through a private buffer");
    return 0;
}

void forward_close(struct forward *forward)
{
    free(forward->bounce);
    forward->bounce = NULL;
    forward->channel = NULL;
}
