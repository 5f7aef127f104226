/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frame.h - how much room a frame needs, computed in one place.
 *
 * Room: bridge. A message is a virtio header and, behind it, one Ethernet frame without FCS. The header has 12 bytes,
 * or 24 where tunnels are offloaded: before frames of the TAP if that does it (offload_header_size()), on a link if
 * both sides do (port.h). The MTU counts the bytes behind the Ethernet header and its VLAN tags.
 */
#ifndef VOP_BRIDGE_FRAME_H
#define VOP_BRIDGE_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <vopipc/net.h>

#define FRAME_ETHERNET_SIZE 14
#define FRAME_VLAN_SIZE 4
#define FRAME_HEADER_SIZE sizeof(struct vop_net_hdr)
#define FRAME_HEADER_MAX sizeof(struct vop_net_tunnel_hdr)

/** The longest frame: one TCP or UDP packet of 64 KiB with an Ethernet header and two VLAN tags. */
#define FRAME_MAX (FRAME_ETHERNET_SIZE + 2 * FRAME_VLAN_SIZE + 65535)
#define FRAME_MESSAGE_MAX (FRAME_HEADER_MAX + FRAME_MAX)

/**
 * Bytes of message that a link must carry to be of use for this MTU: one VLAN tag is not too much to ask for. Where
 * headers are longer there is room for far longer frames.
 */
static inline size_t frame_message_least(uint32_t mtu)
{
    return FRAME_HEADER_SIZE + FRAME_ETHERNET_SIZE + FRAME_VLAN_SIZE + mtu;
}

/**
 * Bytes of message to make room for before a frame of this MTU is read, with two VLAN tags. One byte is never filled: a
 * TAP cuts what does not fit without a word, so a read that fills the room tells of a frame that was too long.
 */
static inline size_t frame_message_room(uint32_t mtu)
{
    return FRAME_HEADER_SIZE + FRAME_ETHERNET_SIZE + 2 * FRAME_VLAN_SIZE + mtu + 1;
}

#endif
