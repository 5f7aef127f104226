/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.c - cuts one large TCP or UDP frame into frames of a size that its receiver takes.
 *
 * Room: net. Theory of operation: begin() copies the headers into the segmenter, once, and parses that copy, so that
 * whoever shares the frame's memory cannot change a length between its check and its use. next() patches the copy for
 * the segment at hand and points at the payload in place.
 *
 * Checksums. The frame carries the sum of its pseudo header in the checksum field (virtio 1.2, 5.1.6.2). begin() takes
 * the length out of it once, which leaves the sum of addresses and protocol; each segment adds its own length. So no
 * address is looked at, and a routing header, whose last hop is the address that counts, needs no code.
 *
 *   pseudo = field - length of the whole L4 packet           (one's complement)
 *   field of a segment = pseudo + its L4 length              if the receiver finishes checksums, else
 *                      = ~(that + L4 header with 0 in the field + payload)
 *
 * Tunnels. Of a GSO frame in a tunnel the inner packet is cut as any other, and the outer headers are patched behind
 * it. The outer checksum reads no payload: once the inner checksum is finished, by us or by the receiver, all from the
 * inner L4 header on adds up to the complement of the inner pseudo header.
 */
#include "net/parse.h"
#include "net/sum.h"
#include <vopipc/le.h>

#include <vopipc/net.h>

#include <errno.h>
#include <string.h>

#define IP_LEN_MAX 65535u
#define PAYLOAD_MAX 65535u

#define TCP_SEQ 4
#define TCP_FLAGS 13
#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u
#define TCP_CHECKSUM 16
#define UDP_LENGTH 4
#define UDP_CHECKSUM 6

#define GSO_TUNNEL (VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 | VOP_NET_HDR_GSO_UDP_TUNNEL_IPV6)

/* Is the frame what its header says it is? */
static bool kind_matches(const struct vop__net_frame *parsed, const struct vop_net_hdr *hdr)
{
    if (vop_from_le16(hdr->csum_start) != parsed->l4)
        return false;
    switch (hdr->gso_type & ~(VOP_NET_HDR_GSO_ECN | GSO_TUNNEL)) {
    case VOP_NET_HDR_GSO_TCPV4:
        return parsed->protocol == VOP__NET_TCP && parsed->ip_version == 4;
    case VOP_NET_HDR_GSO_TCPV6:
        return parsed->protocol == VOP__NET_TCP && parsed->ip_version == 6;
    default:
        return parsed->protocol == VOP__NET_UDP;
    }
}

/* Bytes that the length field of the IP header at `l3` counts in a segment with `payload` bytes. */
static uint32_t ip_length(const struct vop_net_segmenter *s, unsigned version, uint16_t l3, uint32_t payload)
{
    uint32_t counted_from = version == 4 ? l3 : l3 + 40u;

    return s->header_len - counted_from + payload;
}

/* Takes what changes from segment to segment out of the headers. */
static void load_headers(struct vop_net_segmenter *s, const struct vop__net_frame *parsed)
{
    const uint8_t *l4 = s->header + parsed->l4;
    uint16_t whole_len = vop__net_fold((uint32_t)(parsed->end - parsed->l4));

    s->ip_version = parsed->ip_version;
    s->protocol = parsed->protocol;
    s->l3 = parsed->l3;
    s->l4 = parsed->l4;
    s->header_len = parsed->payload;
    if (s->ip_version == 4)
        s->ip_id = vop__net_get16(s->header + s->l3 + 4);
    if (s->protocol == VOP__NET_TCP) {
        s->tcp_seq = vop__net_get32(l4 + TCP_SEQ);
        s->tcp_flags = l4[TCP_FLAGS];
        s->pseudo = vop__net_get16(l4 + TCP_CHECKSUM);
    } else {
        s->pseudo = vop__net_get16(l4 + UDP_CHECKSUM);
    }
    s->pseudo += 0xffffu - whole_len; /* RFC 1624: to subtract is to add the complement */
}

static void load_outer_headers(struct vop_net_segmenter *s, const struct vop__net_frame *outer, bool has_checksum)
{
    uint16_t whole_len = vop__net_fold((uint32_t)(outer->end - outer->l4));

    s->outer_ip_version = outer->ip_version;
    s->outer_l3 = outer->l3;
    s->outer_l4 = outer->l4;
    s->outer_checksum = has_checksum;
    if (outer->ip_version == 4)
        s->outer_ip_id = vop__net_get16(s->header + outer->l3 + 4);
    s->outer_pseudo = vop__net_get16(s->header + outer->l4 + UDP_CHECKSUM) + 0xffffu - whole_len;
}

/* Finds the packet that is to be cut, and takes note of the headers around it. */
static int parse_tunnel(struct vop_net_segmenter *s, size_t head_len, size_t len, const struct vop_net_tunnel_hdr *hdr,
                        struct vop__net_frame *ret_inner)
{
    unsigned version = hdr->hdr.gso_type & VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4 ? 4 : 6;
    struct vop__net_frame outer;
    int ret = vop__net_parse(s->header, head_len, len, &outer);

    if (ret < 0)
        return ret;
    if (outer.ip_version != version || outer.l4 != vop_from_le16(hdr->outer_th_offset))
        return -EBADMSG;
    ret = vop__net_parse_inner(s->header, head_len, &outer, vop_from_le16(hdr->inner_nh_offset), ret_inner);
    if (ret < 0)
        return ret;
    load_outer_headers(s, &outer, hdr->hdr.flags & VOP_NET_HDR_F_UDP_TUNNEL_CSUM);
    return 0;
}

/* The header was checked, and the frame parsed. */
static int begin_segments(struct vop_net_segmenter *s, const void *frame, const struct vop__net_frame *parsed,
                          const struct vop_net_hdr *hdr, uint64_t features)
{
    uint32_t first;

    if (!kind_matches(parsed, hdr) || parsed->end - parsed->payload > PAYLOAD_MAX)
        return -EBADMSG;
    load_headers(s, parsed);
    s->payload = (const uint8_t *)frame + parsed->payload;
    s->left = (uint32_t)(parsed->end - parsed->payload);
    s->gso_size = vop_from_le16(hdr->gso_size);
    s->partial = features & VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM);
    s->index = 0;
    s->count = s->left ? (s->left + s->gso_size - 1) / s->gso_size : 1;
    first = s->left < s->gso_size ? s->left : s->gso_size;
    if (ip_length(s, s->ip_version, s->l3, first) > IP_LEN_MAX)
        return -EBADMSG;
    if (s->outer_l4 && ip_length(s, s->outer_ip_version, s->outer_l3, first) > IP_LEN_MAX)
        return -EBADMSG;
    return (int)s->count;
}

/* Copies the headers, to be parsed there. Returns how many bytes. */
static size_t copy_head(struct vop_net_segmenter *s, const void *frame, size_t len)
{
    size_t head_len = len < sizeof(s->header) ? len : sizeof(s->header);

    memcpy(s->header, frame, head_len);
    s->outer_l4 = 0;
    return head_len;
}

int vop_net_segment_begin(struct vop_net_segmenter *segmenter, const void *frame, size_t len,
                          const struct vop_net_hdr *hdr, uint64_t features)
{
    struct vop__net_frame parsed;
    int ret;

    if (hdr->gso_type == VOP_NET_HDR_GSO_NONE)
        return -EINVAL;
    ret = vop_net_hdr_check(hdr, len, VOP_NET_OFFLOADS);
    if (ret < 0)
        return ret;
    ret = vop__net_parse(segmenter->header, copy_head(segmenter, frame, len), len, &parsed);
    return ret < 0 ? ret : begin_segments(segmenter, frame, &parsed, hdr, features);
}

int vop_net_tunnel_segment_begin(struct vop_net_segmenter *segmenter, const void *frame, size_t len,
                                 const struct vop_net_tunnel_hdr *hdr, uint64_t features)
{
    struct vop__net_frame inner;
    int ret;

    if (!(hdr->hdr.gso_type & GSO_TUNNEL))
        return vop_net_segment_begin(segmenter, frame, len, &hdr->hdr, features);
    ret = vop_net_tunnel_hdr_check(hdr, len, VOP_NET_OFFLOADS | VOP_NET_TUNNEL_OFFLOADS);
    if (ret < 0)
        return ret;
    ret = parse_tunnel(segmenter, copy_head(segmenter, frame, len), len, hdr, &inner);
    return ret < 0 ? ret : begin_segments(segmenter, frame, &inner, &hdr->hdr, features);
}

static void patch_ip(uint8_t *ip, uint32_t length, uint16_t *id)
{
    if (ip[0] >> 4 == 6) {
        vop__net_put16(ip + 4, (uint16_t)length);
        return;
    }
    vop__net_put16(ip + 2, (uint16_t)length);
    vop__net_put16(ip + 4, (*id)++); /* also with DF, as Linux does: RFC 6864 leaves it free */
    vop__net_put16(ip + 10, 0);
    vop__net_put16(ip + 10, (uint16_t)~vop__net_sum(ip, (size_t)(ip[0] & 0x0f) * 4));
}

/* Everything of the TCP header but the checksum. */
static void patch_tcp(struct vop_net_segmenter *s, uint32_t payload)
{
    uint8_t *tcp = s->header + s->l4;
    unsigned flags = s->tcp_flags;

    if (s->index > 0)
        flags &= ~TCP_CWR; /* the congestion window was reduced once, not once for each segment: RFC 3168, 6.1.2 */
    if (s->index + 1 < s->count)
        flags &= ~(TCP_FIN | TCP_PSH);
    tcp[TCP_FLAGS] = (uint8_t)flags;
    vop__net_put32(tcp + TCP_SEQ, s->tcp_seq);
    s->tcp_seq += payload;
}

static void patch_checksum(struct vop_net_segmenter *s, uint32_t payload)
{
    uint8_t *l4 = s->header + s->l4;
    uint8_t *field = l4 + (s->protocol == VOP__NET_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
    uint32_t l4_header_len = (uint32_t)s->header_len - s->l4;
    uint32_t sum = s->pseudo + l4_header_len + payload;
    uint16_t checksum;

    if (s->partial) {
        vop__net_put16(field, vop__net_fold(sum));
        return;
    }
    vop__net_put16(field, 0);
    sum += vop__net_sum(l4, l4_header_len);
    sum += vop__net_sum(s->payload, payload); /* L4 headers have even lengths, so the payload begins on a high byte */
    checksum = (uint16_t)~vop__net_fold(sum);
    if (checksum == 0 && s->protocol == VOP__NET_UDP) /* RFC 768: 0 means none */
        checksum = 0xffff;
    vop__net_put16(field, checksum);
}

/* Behind patch_checksum(), since it uses the inner checksum. */
static void patch_outer(struct vop_net_segmenter *s, uint32_t payload)
{
    uint8_t *udp = s->header + s->outer_l4;
    uint32_t udp_len = (uint32_t)s->header_len - s->outer_l4 + payload;
    uint32_t inner_len = (uint32_t)s->header_len - s->l4 + payload;
    size_t before = (size_t)s->l4 - s->outer_l4; /* from one L4 header to the other */
    uint16_t inner, checksum;

    patch_ip(s->header + s->outer_l3, ip_length(s, s->outer_ip_version, s->outer_l3, payload), &s->outer_ip_id);
    vop__net_put16(udp + UDP_LENGTH, (uint16_t)udp_len);
    if (!s->outer_checksum)
        return;
    vop__net_put16(udp + UDP_CHECKSUM, 0);
    inner = (uint16_t)~vop__net_fold(s->pseudo + inner_len);
    if (before % 2) /* it begins on a low byte */
        inner = (uint16_t)(inner << 8 | inner >> 8);
    checksum = (uint16_t)~vop__net_fold(s->outer_pseudo + udp_len + vop__net_sum(udp, before) + inner);
    vop__net_put16(udp + UDP_CHECKSUM, checksum ? checksum : 0xffff);
}

static struct vop_net_hdr segment_hdr(const struct vop_net_segmenter *s)
{
    struct vop_net_hdr hdr = {.num_buffers = vop_to_le16(1)};

    if (s->partial) {
        hdr.flags = VOP_NET_HDR_F_NEEDS_CSUM;
        hdr.csum_start = vop_to_le16(s->l4);
        hdr.csum_offset = vop_to_le16(s->protocol == VOP__NET_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
    }
    return hdr;
}

bool vop_net_segment_next(struct vop_net_segmenter *segmenter, struct vop_net_segment *ret_segment)
{
    struct vop_net_segmenter *s = segmenter;
    uint32_t payload = s->left < s->gso_size ? s->left : s->gso_size;

    if (s->index == s->count)
        return false;
    patch_ip(s->header + s->l3, ip_length(s, s->ip_version, s->l3, payload), &s->ip_id);
    if (s->protocol == VOP__NET_TCP)
        patch_tcp(s, payload);
    else
        vop__net_put16(s->header + s->l4 + UDP_LENGTH, (uint16_t)(8 + payload));
    patch_checksum(s, payload);
    if (s->outer_l4)
        patch_outer(s, payload);

    ret_segment->hdr = segment_hdr(s);
    ret_segment->header = s->header;
    ret_segment->header_len = s->header_len;
    ret_segment->payload = s->payload;
    ret_segment->payload_len = payload;

    s->payload += payload;
    s->left -= payload;
    s->index++;
    return true;
}
