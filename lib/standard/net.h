/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * net.h - what device and driver of a network card have in common (virtio 1.2, 5.1).
 *
 * Room: standard.
 */
#ifndef VOP_STANDARD_NET_H
#define VOP_STANDARD_NET_H

#include "core/bytes.h"

#include <vopipc/netdev.h>

#define VOP__NET_LEGACY_HEADER 10u /* without num_buffers, where neither VERSION_1 nor MRG_RXBUF was accepted */
#define VOP__NET_NUM_BUFFERS 10u   /* its offset */

/** Control (5.1.6.5): class, command, data; and the device's answer. */
#define VOP__NET_CLASS_MQ 4u
#define VOP__NET_MQ_SET 0u
#define VOP__NET_MQ_RSS 1u
#define VOP__NET_OK 0u
#define VOP__NET_ERR 1u

static inline unsigned vop__net_rx(unsigned pair)
{
    return 2 * pair;
}

static inline unsigned vop__net_tx(unsigned pair)
{
    return 2 * pair + 1;
}

/** The data of a command for RSS: types 32, mask of the table 16, unclassified 16, table, pairs 16, size of the key 8,
 * key. */
#define VOP__NET_RSS_SIZE_MAX (8u + 2u * VOP_NET_RSS_TABLE_MAX + 3u + VOP_NET_RSS_KEY_MAX)

/** What a device can do of RSS. */
struct vop__net_rss_limits {
    uint32_t types;
    unsigned table, key; /* entries and bytes */
    unsigned pairs;
};

/** What is wrong with it for such a device; NULL: nothing. */
const char *vop__net_rss_fault(const struct vop_net_rss *rss, const struct vop__net_rss_limits *limits);

/** Writes the data of a command that has no fault: its size. */
size_t vop__net_rss_put(const struct vop_net_rss *rss, uint8_t ret_bytes[VOP__NET_RSS_SIZE_MAX]);

/** Reads it. False: it is cut off, or has more entries or bytes than there are places. */
bool vop__net_rss_get(const uint8_t *bytes, size_t size, struct vop_net_rss *ret_rss);

/** How many pairs are in use with it, from the first on. */
unsigned vop__net_rss_pairs(const struct vop_net_rss *rss);

/** A header as it is on the wire of a legacy machine of the other byte order, and back. */
static inline void vop__net_swap(struct vop_net_hdr *h, bool big_endian)
{
    uint8_t *bytes = (uint8_t *)h;

    for (size_t at = 2; big_endian && at < sizeof(*h); at += 2)
        vop__bytes_put(bytes + at, 2, true, vop__bytes_get(bytes + at, 2, false));
}

#endif
