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

/** A header as it is on the wire of a legacy machine of the other byte order, and back. */
static inline void vop__net_swap(struct vop_net_hdr *h, bool big_endian)
{
    uint8_t *bytes = (uint8_t *)h;

    for (size_t at = 2; big_endian && at < sizeof(*h); at += 2)
        vop__bytes_put(bytes + at, 2, true, vop__bytes_get(bytes + at, 2, false));
}

#endif
