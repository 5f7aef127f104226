/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * offload.c - the offloads of a bridge, and what the user, the TAP and the peer call them.
 *
 * Room: bridge.
 */
#include "offload.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <vopipc/net.h>

/* Linux 6.2; not in the headers of Debian 12. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* Linux 6.17. */
#ifndef TUN_F_UDP_TUNNEL_GSO
#define TUN_F_UDP_TUNNEL_GSO 0x80
#define TUN_F_UDP_TUNNEL_GSO_CSUM 0x100
#endif

#define TUNNEL_NEEDS (OFFLOAD_TSO4 | OFFLOAD_TSO6 | OFFLOAD_USO4)

static const struct {
    const char *name;
    unsigned tun;
    uint64_t feature;
} table[] = {
    /* In the order of the bits of enum offload. */
    {"csum", TUN_F_CSUM, VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM)},
    {"tso4", TUN_F_TSO4, VOP_NET_FEATURE(VOP_NET_F_GUEST_TSO4)},
    {"tso6", TUN_F_TSO6, VOP_NET_FEATURE(VOP_NET_F_GUEST_TSO6)},
    {"ecn", TUN_F_TSO_ECN, VOP_NET_FEATURE(VOP_NET_F_GUEST_ECN)},
    {"uso4", TUN_F_USO4, VOP_NET_FEATURE(VOP_NET_F_GUEST_USO4)},
    {"uso6", TUN_F_USO6, VOP_NET_FEATURE(VOP_NET_F_GUEST_USO6)},
    {"tunnel", TUN_F_UDP_TUNNEL_GSO, VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO)},
    {"tunnel-csum", TUN_F_UDP_TUNNEL_GSO_CSUM, VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO_CSUM)},
};

#define TABLE_SIZE (sizeof(table) / sizeof(table[0]))

unsigned offload_closure(unsigned set)
{
    if (!(set & OFFLOAD_CSUM))
        return 0;
    if (!(set & (OFFLOAD_TSO4 | OFFLOAD_TSO6)))
        set &= ~(unsigned)OFFLOAD_ECN;
    if (!(set & OFFLOAD_USO4) || !(set & OFFLOAD_USO6))
        set &= ~(unsigned)(OFFLOAD_USO4 | OFFLOAD_USO6);
    if ((set & TUNNEL_NEEDS) != TUNNEL_NEEDS)
        set &= ~(unsigned)OFFLOAD_TUNNEL;
    if (!(set & OFFLOAD_TUNNEL))
        set &= ~(unsigned)OFFLOAD_TUNNEL_CSUM;
    return set;
}

static int find_name(const char *name, size_t length, unsigned *ret_bit)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0) {
            *ret_bit = 1u << i;
            return 0;
        }
    }
    return -EINVAL;
}

int offload_parse(const char *text, unsigned *ret_set, const char **ret_why)
{
    unsigned set = 0;

    if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) {
        *ret_set = text[0] == 'a' ? (unsigned)OFFLOAD_ALL : 0;
        return 0;
    }
    for (const char *name = text;;) {
        size_t length = strcspn(name, ",");
        unsigned bit;

        if (find_name(name, length, &bit) < 0) {
            *ret_why = "unknown offload; write all, none, or some of csum,tso4,tso6,ecn,uso4,uso6,tunnel,"
                       "tunnel-csum";
            return -EINVAL;
        }
        set |= bit;
        if (name[length] == '\0')
            break;
        name += length + 1;
    }
    if (!(set & OFFLOAD_CSUM))
        *ret_why = "segmentation needs checksums; add csum";
    else if ((set & OFFLOAD_ECN) && !(set & (OFFLOAD_TSO4 | OFFLOAD_TSO6)))
        *ret_why = "ecn is about TCP segmentation; add tso4 or tso6";
    else if ((set & OFFLOAD_TUNNEL_CSUM) && !(set & OFFLOAD_TUNNEL))
        *ret_why = "tunnel-csum is about tunnels; add tunnel";
    else if ((set & OFFLOAD_TUNNEL) && (set & TUNNEL_NEEDS) != TUNNEL_NEEDS)
        *ret_why = "tunnels have the other offloads inside; add tso4,tso6,uso4,uso6";
    else if (set != offload_closure(set))
        *ret_why = "the kernel takes uso4 and uso6 together; name both";
    else {
        *ret_set = set;
        return 0;
    }
    return -EINVAL;
}

const char *offload_format(unsigned set, char *buffer, size_t size)
{
    size_t used = 0;

    snprintf(buffer, size, "none");
    for (size_t i = 0; i < TABLE_SIZE && used < size; i++) {
        if (set & (1u << i))
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? "," : "", table[i].name);
    }
    return buffer;
}

size_t offload_header_size(unsigned set)
{
    return set & OFFLOAD_TUNNEL ? sizeof(struct vop_net_tunnel_hdr) : sizeof(struct vop_net_hdr);
}

unsigned offload_to_tun(unsigned set)
{
    unsigned tun = 0;

    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (set & (1u << i))
            tun |= table[i].tun;
    }
    return tun;
}

uint64_t offload_to_features(unsigned set)
{
    uint64_t features = 0;

    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (set & (1u << i))
            features |= table[i].feature;
    }
    return features;
}
