/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse.c - finds IP, TCP or UDP, and the payload in a frame, and trusts no length that it has not checked.
 *
 * Room: net. One cursor walks over the head. need() is the only bounds check, and every step asks it before it reads.
 */
#include "net/parse.h"
#include "net/sum.h"

#include <errno.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100   /* 802.1Q */
#define ETHERTYPE_QINQ 0x88a8   /* 802.1ad */
#define VLAN_TAGS_MAX 2         /* what hosts really nest */
#define EXTENSION_HEADERS_MAX 8 /* a bound for the walk: RFC 8200, 4.1 allows four of those skipped here */

#define IPV6_HOP_BY_HOP 0
#define IPV6_ROUTING 43
#define IPV6_FRAGMENT 44
#define IPV6_DESTINATION 60

struct cursor {
    const uint8_t *head;
    size_t head_len;
    size_t frame_len;
    size_t at;
};

/* The next `len` bytes must be in the head. If they are only in the frame, it is too long for us, not wrong. */
static int need(const struct cursor *c, size_t len)
{
    if (len > c->frame_len - c->at)
        return -EBADMSG;
    return len > c->head_len - c->at ? -EOPNOTSUPP : 0;
}

static int parse_ethernet(struct cursor *c, uint16_t *ret_ethertype)
{
    uint16_t ethertype;
    int ret = need(c, 14);

    if (ret < 0)
        return ret;
    ethertype = vop__net_get16(c->head + 12);
    c->at = 14;
    for (int tags = 0; ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ; tags++) {
        if (tags == VLAN_TAGS_MAX)
            return -EOPNOTSUPP;
        ret = need(c, 4);
        if (ret < 0)
            return ret;
        ethertype = vop__net_get16(c->head + c->at + 2);
        c->at += 4;
    }
    *ret_ethertype = ethertype;
    return 0;
}

static int parse_ipv4(struct cursor *c, struct vop__net_frame *parsed)
{
    const uint8_t *ip = c->head + c->at;
    size_t left = c->frame_len - c->at;
    size_t header_len, total;
    int ret = need(c, 20);

    if (ret < 0)
        return ret;
    header_len = (size_t)(ip[0] & 0x0f) * 4;
    if (ip[0] >> 4 != 4 || header_len < 20)
        return -EBADMSG;
    ret = need(c, header_len);
    if (ret < 0)
        return ret;
    if (vop__net_get16(ip + 6) & 0x3fff) /* more fragments, or an offset: only whole packets have a TCP header */
        return -EBADMSG;
    total = vop__net_get16(ip + 2);
    if (total == 0) /* some senders leave the length of a GSO frame to whoever segments it */
        total = left;
    if (total > left) /* parse_l4() finds one that is too small, for IPv6 too */
        return -EBADMSG;
    parsed->end = c->at + total;
    parsed->ip_version = 4;
    parsed->protocol = ip[9];
    c->at += header_len;
    return 0;
}

static int skip_extension_headers(struct cursor *c, uint8_t *next)
{
    for (int i = 0; *next == IPV6_HOP_BY_HOP || *next == IPV6_ROUTING || *next == IPV6_DESTINATION; i++) {
        size_t len;
        int ret = need(c, 8);

        if (i == EXTENSION_HEADERS_MAX)
            return -EOPNOTSUPP;
        if (ret < 0)
            return ret;
        len = ((size_t)c->head[c->at + 1] + 1) * 8;
        ret = need(c, len);
        if (ret < 0)
            return ret;
        *next = c->head[c->at];
        c->at += len;
    }
    return *next == IPV6_FRAGMENT ? -EBADMSG : 0;
}

static int parse_ipv6(struct cursor *c, struct vop__net_frame *parsed)
{
    const uint8_t *ip = c->head + c->at;
    size_t payload_len;
    int ret = need(c, 40);

    if (ret < 0)
        return ret;
    if (ip[0] >> 4 != 6)
        return -EBADMSG;
    c->at += 40;
    payload_len = vop__net_get16(ip + 4);
    if (payload_len == 0)
        payload_len = c->frame_len - c->at;
    if (payload_len > c->frame_len - c->at)
        return -EBADMSG;
    parsed->end = c->at + payload_len;
    parsed->ip_version = 6;
    parsed->protocol = ip[6];
    return skip_extension_headers(c, &parsed->protocol);
}

static int parse_l4(struct cursor *c, const struct vop__net_frame *parsed)
{
    size_t len = parsed->protocol == VOP__NET_TCP ? 20 : 8;
    int ret = need(c, len);

    if (ret < 0)
        return ret;
    if (parsed->protocol == VOP__NET_TCP) {
        len = (size_t)(c->head[c->at + 12] >> 4) * 4;
        if (len < 20)
            return -EBADMSG;
        ret = need(c, len);
        if (ret < 0)
            return ret;
    }
    c->at += len;
    return c->at > parsed->end ? -EBADMSG : 0;
}

/* From the IP header at the cursor on. */
static int parse_packet(struct cursor *c, unsigned version, struct vop__net_frame *ret_frame)
{
    struct vop__net_frame parsed = {.l3 = (uint16_t)c->at};
    int ret = version == 4 ? parse_ipv4(c, &parsed) : parse_ipv6(c, &parsed);

    if (ret < 0)
        return ret;
    if (parsed.protocol != VOP__NET_TCP && parsed.protocol != VOP__NET_UDP)
        return -EOPNOTSUPP;
    parsed.l4 = (uint16_t)c->at;
    ret = parse_l4(c, &parsed);
    if (ret < 0)
        return ret;
    parsed.payload = (uint16_t)c->at;
    *ret_frame = parsed;
    return 0;
}

int vop__net_parse(const uint8_t *head, size_t head_len, size_t frame_len, struct vop__net_frame *ret_frame)
{
    struct cursor c = {head, head_len, frame_len, 0};
    uint16_t ethertype;
    int ret = parse_ethernet(&c, &ethertype);

    if (ret < 0)
        return ret;
    if (ethertype != ETHERTYPE_IPV4 && ethertype != ETHERTYPE_IPV6)
        return -EBADMSG;
    return parse_packet(&c, ethertype == ETHERTYPE_IPV4 ? 4 : 6, ret_frame);
}

int vop__net_parse_inner(const uint8_t *head, size_t head_len, const struct vop__net_frame *outer, size_t l3,
                         struct vop__net_frame *ret_inner)
{
    struct cursor c = {head, head_len, outer->end, l3};
    int ret;

    if (outer->protocol != VOP__NET_UDP || l3 < outer->payload || l3 > outer->end || l3 > head_len)
        return -EBADMSG;
    ret = need(&c, 1);
    return ret < 0 ? ret : parse_packet(&c, head[l3] >> 4, ret_inner);
}
