/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * header.c - decides whether the header before a frame is legal, and what its receiver must be able to do.
 *
 * Room: net. Every `hdr` here is a private copy; the peer cannot change it between the check and the use.
 */
#include <vopipc/le.h>

#include <vopipc/net.h>

#include <errno.h>

#define CSUM VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM)
#define TSO4 VOP_NET_FEATURE(VOP_NET_F_GUEST_TSO4)
#define TSO6 VOP_NET_FEATURE(VOP_NET_F_GUEST_TSO6)
#define ECN VOP_NET_FEATURE(VOP_NET_F_GUEST_ECN)
#define UFO VOP_NET_FEATURE(VOP_NET_F_GUEST_UFO)
#define USO (VOP_NET_FEATURE(VOP_NET_F_GUEST_USO4) | VOP_NET_FEATURE(VOP_NET_F_GUEST_USO6))
#define TUNNEL VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO)
#define TUNNEL_CSUM VOP_NET_FEATURE(VOP_NET_F_GUEST_UDP_TUNNEL_GSO_CSUM)

#define GSO_TUNNEL (VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 | VOP_NET_HDR_GSO_UDP_TUNNEL_IPV6)

#define TUNNEL_WORD 2 /* the feature bits 65 and 66 are there, and in a set from 46 on */
#define TUNNEL_WORD_SHIFT 1

#define IPV4_MIN 20 /* bytes of the shortest IP header: nothing that has a checksum begins before its end */
#define IPV6_MIN 40
#define UDP_HEADER 8

/* What a checksum and its headers look like for one gso_type, in bytes. */
struct gso_rule {
    uint64_t features;   /* all of them are needed; 0 for an unknown type */
    uint16_t ip_len;     /* least length of the IP header before csum_start */
    uint16_t l4_len;     /* least length of the TCP or UDP header from csum_start on */
    uint16_t csum_field; /* the only legal csum_offset */
};

static struct gso_rule gso_rule(unsigned gso_type)
{
    switch (gso_type) {
    case VOP_NET_HDR_GSO_TCPV4:
        return (struct gso_rule){CSUM | TSO4, IPV4_MIN, 20, 16};
    case VOP_NET_HDR_GSO_TCPV4 | VOP_NET_HDR_GSO_ECN:
        return (struct gso_rule){CSUM | TSO4 | ECN, IPV4_MIN, 20, 16};
    case VOP_NET_HDR_GSO_TCPV6:
        return (struct gso_rule){CSUM | TSO6, IPV6_MIN, 20, 16};
    case VOP_NET_HDR_GSO_TCPV6 | VOP_NET_HDR_GSO_ECN:
        return (struct gso_rule){CSUM | TSO6 | ECN, IPV6_MIN, 20, 16};
    case VOP_NET_HDR_GSO_UDP_L4:
        return (struct gso_rule){CSUM | USO, IPV4_MIN, 8, 6};
    case VOP_NET_HDR_GSO_UDP:
        return (struct gso_rule){CSUM | UFO, IPV4_MIN, 8, 6};
    default: /* also ECN without TSO */
        return (struct gso_rule){0, 0, 0, 0};
    }
}

uint64_t vop_net_features_normalize(uint64_t features)
{
    features &= ~UFO; /* we could not segment it for a receiver without it, and Linux has stopped sending it */
    if ((features & USO) != USO)
        features &= ~USO;
    if (!(features & CSUM))
        features &= ~(TSO4 | TSO6 | USO);
    if (!(features & (TSO4 | TSO6)))
        features &= ~ECN;
    if (~features & (TSO4 | TSO6 | USO))
        features &= ~TUNNEL;
    if (!(features & TUNNEL))
        features &= ~TUNNEL_CSUM;
    return features;
}

uint64_t vop_net_features_from_words(const uint32_t words[4])
{
    uint64_t tunnel = (uint64_t)words[TUNNEL_WORD] >> TUNNEL_WORD_SHIFT << VOP_NET_F_GUEST_UDP_TUNNEL_GSO;

    return (((uint64_t)words[1] << 32 | words[0]) & ~VOP_NET_TUNNEL_OFFLOADS) | (tunnel & VOP_NET_TUNNEL_OFFLOADS);
}

void vop_net_features_to_words(uint64_t features, uint32_t ret_words[4])
{
    uint64_t tunnel = features & VOP_NET_TUNNEL_OFFLOADS;

    features &= ~VOP_NET_TUNNEL_OFFLOADS;
    ret_words[0] = (uint32_t)features;
    ret_words[1] = (uint32_t)(features >> 32);
    ret_words[TUNNEL_WORD] = (uint32_t)(tunnel >> VOP_NET_F_GUEST_UDP_TUNNEL_GSO << TUNNEL_WORD_SHIFT);
    ret_words[3] = 0;
}

uint64_t vop_net_hdr_features(const struct vop_net_hdr *hdr)
{
    uint64_t features = hdr->flags & VOP_NET_HDR_F_NEEDS_CSUM ? CSUM : 0;

    if (hdr->gso_type != VOP_NET_HDR_GSO_NONE) {
        uint64_t needed = gso_rule(hdr->gso_type & ~GSO_TUNNEL).features;

        features |= needed ? needed : UINT64_MAX;
    }
    if (hdr->gso_type & GSO_TUNNEL)
        features |= hdr->flags & VOP_NET_HDR_F_UDP_TUNNEL_CSUM ? TUNNEL | TUNNEL_CSUM : TUNNEL;
    return features;
}

/* virtio 1.2, 5.1.6.2: what the driver must set beside a gso_type. The checksum range was checked before. */
static bool gso_legal(const struct vop_net_hdr *hdr, size_t frame_len)
{
    struct gso_rule rule = gso_rule(hdr->gso_type);
    size_t start = vop_from_le16(hdr->csum_start);
    size_t size = vop_from_le16(hdr->gso_size);

    if (!rule.features || !(hdr->flags & VOP_NET_HDR_F_NEEDS_CSUM))
        return false;
    if (size == 0 || size == 0xffff) /* 0xffff is GSO_BY_FRAGS inside Linux: TAP refuses it */
        return false;
    if (vop_from_le16(hdr->csum_offset) != rule.csum_field)
        return false;
    if (start < VOP_NET_FRAME_MIN + rule.ip_len || start + rule.l4_len > frame_len)
        return false;
    if (hdr->gso_type == VOP_NET_HDR_GSO_UDP_L4 && frame_len - start - rule.l4_len > size * VOP_NET_USO_SEGMENTS_MAX)
        return false;
    return true;
}

int vop_net_hdr_check(const struct vop_net_hdr *hdr, size_t frame_len, uint64_t features)
{
    if (frame_len < VOP_NET_FRAME_MIN)
        return -EBADMSG;
    if (hdr->flags & VOP_NET_HDR_F_NEEDS_CSUM) {
        size_t start = vop_from_le16(hdr->csum_start);
        size_t offset = vop_from_le16(hdr->csum_offset);

        if (start + offset + 2 > frame_len) /* CVE-2024-11614 checked one byte too few */
            return -EBADMSG;
        if (start < VOP_NET_FRAME_MIN + IPV4_MIN) /* TAP refuses less than 20, and sums from inside IP above that */
            return -EBADMSG;
    }
    if (hdr->gso_type != VOP_NET_HDR_GSO_NONE && !gso_legal(hdr, frame_len))
        return -EBADMSG;
    if (vop_net_hdr_features(hdr) & ~features)
        return -EOPNOTSUPP;
    return 0;
}

void vop_net_hdr_clean(struct vop_net_hdr *hdr, size_t frame_len, uint64_t features)
{
    hdr->flags &= VOP_NET_HDR_F_NEEDS_CSUM | VOP_NET_HDR_F_DATA_VALID;
    if (!(features & CSUM)) /* virtio 1.2, 5.1.6.4.1 */
        hdr->flags &= VOP_NET_HDR_F_NEEDS_CSUM;
    if (!(hdr->flags & VOP_NET_HDR_F_NEEDS_CSUM)) {
        hdr->csum_start = vop_to_le16(0);
        hdr->csum_offset = vop_to_le16(0);
    }
    if (hdr->gso_type == VOP_NET_HDR_GSO_NONE) {
        hdr->hdr_len = vop_to_le16(0);
        hdr->gso_size = vop_to_le16(0);
    }
    if (vop_from_le16(hdr->hdr_len) > frame_len)
        hdr->hdr_len = vop_to_le16((uint16_t)frame_len);
    hdr->num_buffers = vop_to_le16(1); /* virtio 1.2, 5.1.6.4.1: without MRG_RXBUF always 1 */
}

/* virtio 1.4, 5.1.6.2: the offsets of a GSO frame in a tunnel, whose other fields are those of its inner packet. */
static bool tunnel_legal(const struct vop_net_tunnel_hdr *hdr)
{
    unsigned tunnel = hdr->hdr.gso_type & GSO_TUNNEL;
    size_t outer_th = vop_from_le16(hdr->outer_th_offset);
    size_t inner_nh = vop_from_le16(hdr->inner_nh_offset);
    struct gso_rule inner = gso_rule(hdr->hdr.gso_type & ~GSO_TUNNEL);

    return tunnel != GSO_TUNNEL &&
           outer_th >= VOP_NET_FRAME_MIN + (size_t)(tunnel == VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 ? IPV4_MIN : IPV6_MIN) &&
           inner_nh >= outer_th + UDP_HEADER && vop_from_le16(hdr->hdr.csum_start) >= inner_nh + inner.ip_len;
}

int vop_net_tunnel_hdr_check(const struct vop_net_tunnel_hdr *hdr, size_t frame_len, uint64_t features)
{
    struct vop_net_hdr inner = hdr->hdr;
    int ret;

    if (!(inner.gso_type & GSO_TUNNEL))
        return vop_net_hdr_check(&inner, frame_len, features);
    inner.gso_type &= (uint8_t)~GSO_TUNNEL;
    if (inner.gso_type == VOP_NET_HDR_GSO_NONE)
        return -EBADMSG;
    ret = vop_net_hdr_check(&inner, frame_len, VOP_NET_OFFLOADS);
    if (ret || !tunnel_legal(hdr))
        return -EBADMSG;
    return vop_net_hdr_features(&hdr->hdr) & ~features ? -EOPNOTSUPP : 0;
}

void vop_net_tunnel_hdr_clean(struct vop_net_tunnel_hdr *hdr, size_t frame_len, uint64_t features)
{
    uint8_t tunnel_csum = hdr->hdr.flags & VOP_NET_HDR_F_UDP_TUNNEL_CSUM;

    vop_net_hdr_clean(&hdr->hdr, frame_len, features);
    hdr->hash_value = vop_to_le32(0);
    hdr->hash_report = hdr->padding = vop_to_le16(0);
    if (hdr->hdr.gso_type & GSO_TUNNEL)
        hdr->hdr.flags |= tunnel_csum;
    else
        hdr->outer_th_offset = hdr->inner_nh_offset = vop_to_le16(0);
}
