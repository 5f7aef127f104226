/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net_field.c - the fields of a network card's configuration (virtio 1.2, 5.1.4).
 *
 * Room: standard.
 */
#include <vopipc/netdev.h>

const struct vop_config_field *vop_net_field(enum vop_net_field which)
{
    static const struct vop_config_field fields[] = {
        [VOP_NET_STATUS] = {"status", 6, 2, VOP_NET_F_STATUS, 0, UINT16_MAX},
        [VOP_NET_MAX_PAIRS] = {"max_virtqueue_pairs", 8, 2, VOP_NET_F_MQ, 1, 0x8000},
        [VOP_NET_MTU] = {"mtu", 10, 2, VOP_NET_F_MTU, 68, UINT16_MAX},
        [VOP_NET_RSS_KEY] = {"rss_max_key_size", 17, 1, VOP_NET_F_RSS, VOP_NET_RSS_KEY_MAX, UINT8_MAX},
        [VOP_NET_RSS_TABLE] = {"rss_max_indirection_table_length", 18, 2, VOP_NET_F_RSS, 1, UINT16_MAX},
        [VOP_NET_RSS_TYPES] = {"supported_hash_types", 20, 4, VOP_NET_F_RSS, 0, UINT32_MAX},
    };

    return &fields[which];
}
