/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload.h - the offloads of a bridge, and what the user, the TAP and the peer call them.
 *
 * Room: bridge. Pure functions.
 *
 *   here          --offload   TUNSETOFFLOAD   virtio-net feature (what a side can receive)
 *   OFFLOAD_CSUM  csum        TUN_F_CSUM      GUEST_CSUM (1)
 *   OFFLOAD_TSO4  tso4        TUN_F_TSO4      GUEST_TSO4 (7)      needs csum
 *   OFFLOAD_TSO6  tso6        TUN_F_TSO6      GUEST_TSO6 (8)      needs csum
 *   OFFLOAD_ECN   ecn         TUN_F_TSO_ECN   GUEST_ECN (9)       needs tso4 or tso6
 *   OFFLOAD_USO4  uso4        TUN_F_USO4      GUEST_USO4 (54)     needs csum and uso6: the kernel takes both or none
 *   OFFLOAD_USO6  uso6        TUN_F_USO6      GUEST_USO6 (55)     needs csum and uso4
 *
 * and of packets inside UDP, as VXLAN and Geneve have them; the bits are 65 and 66, see <vopipc/net.h>:
 *
 *   OFFLOAD_TUNNEL       tunnel       TUN_F_UDP_TUNNEL_GSO       GUEST_UDP_TUNNEL_GSO (46)       needs tso4, tso6, uso4
 *   OFFLOAD_TUNNEL_CSUM  tunnel-csum  TUN_F_UDP_TUNNEL_GSO_CSUM  GUEST_UDP_TUNNEL_GSO_CSUM (47)  needs tunnel
 */
#ifndef VOP_BRIDGE_OFFLOAD_H
#define VOP_BRIDGE_OFFLOAD_H

#include <stddef.h>
#include <stdint.h>

enum offload {
    OFFLOAD_CSUM = 1u << 0,
    OFFLOAD_TSO4 = 1u << 1,
    OFFLOAD_TSO6 = 1u << 2,
    OFFLOAD_ECN = 1u << 3,
    OFFLOAD_USO4 = 1u << 4,
    OFFLOAD_USO6 = 1u << 5,
    OFFLOAD_SEGMENTS = OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_USO4 | OFFLOAD_USO6, /* frames longer than the MTU */
    OFFLOAD_TUNNEL = 1u << 6,
    OFFLOAD_TUNNEL_CSUM = 1u << 7,
    OFFLOAD_ALL = 0xff,
};

#define OFFLOAD_TEXT_SIZE 64 /* of offload_format() with all of them */

/** Bytes of the virtio header before each frame of a TAP that has this set. */
size_t offload_header_size(unsigned set);

/**
 * Reads a list as --offload has it: "all", "none", or names with commas between them.
 *
 * ret_why   on failure: what is wrong and what would be right
 *
 * -EINVAL   no such list, or a name without another that it needs
 */
int offload_parse(const char *text, unsigned *ret_set, const char **ret_why);

/** Writes the set as a list that offload_parse() can read. Returns `buffer`. */
const char *offload_format(unsigned set, char *buffer, size_t size);

/** The set as the argument of TUNSETOFFLOAD. */
unsigned offload_to_tun(unsigned set);

/** The set as virtio-net features, which say that a side can receive it. */
uint64_t offload_to_features(unsigned set);

/** The set without those offloads that need another which is not in it. */
unsigned offload_closure(unsigned set);

#endif
