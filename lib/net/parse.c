/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse.c - finds IP, TCP or UDP, and the payload in a frame, believing nothing that it has not compared.
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

/* The next `len` bytes must be in the head. What only the frame holds is too long for us, not wrong. */
static int need(const struct cursor *c, size_t len)
{
    if (len > c->frame_len - c->at)
        return -EBADMSG;
    return len > c->head_len - c->at ? -EOPNOTSUPP : 0;
}

static int parse_ethernet(struct cursor *c, uint16_t *ret_ethertype)
{
    uint16_t ethertype;
    int err = need(c, 14);

    if (err < 0)
        return err;
    ethertype = vop__net_get16(c->head + 12);
    c->at = 14;
    for (int tags = 0; ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ; tags++) {
        if (tags == VLAN_TAGS_MAX)
            return -EOPNOTSUPP;
        err = need(c, 4);
        if (err < 0)
            return err;
        ethertype = vop__net_get16(c->head + c->at + 2);
        c->at += 4;
    }
    *ret_ethertype = ethertype;
    return 0;
}

static int parse_ipv4(struct cursor *c, struct vop__net_layout *layout)
{
    const uint8_t *ip = c->head + c->at;
    size_t left = c->frame_len - c->at;
    size_t header_len, total;
    int err = need(c, 20);

    if (err < 0)
        return err;
    header_len = (size_t)(ip[0] & 0x0f) * 4;
    if (ip[0] >> 4 != 4 || header_len < 20)
        return -EBADMSG;
    err = need(c, header_len);
    if (err < 0)
        return err;
    if (vop__net_get16(ip + 6) & 0x3fff) /* more fragments, or an offset: only whole packets have a TCP header */
        return -EBADMSG;
    total = vop__net_get16(ip + 2);
    if (total == 0) /* some senders leave the length of a GSO frame to whoever segments it */
        total = left;
    if (total > left) /* too little is seen in parse_l4(), for IPv6 too */
        return -EBADMSG;
    layout->end = c->at + total;
    layout->ip_version = 4;
    layout->protocol = ip[9];
    c->at += header_len;
    return 0;
}

static int skip_extension_headers(struct cursor *c, uint8_t *next)
{
    for (int i = 0; *next == IPV6_HOP_BY_HOP || *next == IPV6_ROUTING || *next == IPV6_DESTINATION; i++) {
        size_t len;
        int err = need(c, 8);

        if (i == EXTENSION_HEADERS_MAX)
            return -EOPNOTSUPP;
        if (err < 0)
            return err;
        len = ((size_t)c->head[c->at + 1] + 1) * 8;
        err = need(c, len);
        if (err < 0)
            return err;
        *next = c->head[c->at];
        c->at += len;
    }
    return *next == IPV6_FRAGMENT ? -EBADMSG : 0;
}

static int parse_ipv6(struct cursor *c, struct vop__net_layout *layout)
{
    const uint8_t *ip = c->head + c->at;
    size_t payload_len;
    int err = need(c, 40);

    if (err < 0)
        return err;
    if (ip[0] >> 4 != 6)
        return -EBADMSG;
    c->at += 40;
    payload_len = vop__net_get16(ip + 4);
    if (payload_len == 0)
        payload_len = c->frame_len - c->at;
    if (payload_len > c->frame_len - c->at)
        return -EBADMSG;
    layout->end = c->at + payload_len;
    layout->ip_version = 6;
    layout->protocol = ip[6];
    return skip_extension_headers(c, &layout->protocol);
}

static int parse_l4(struct cursor *c, const struct vop__net_layout *layout)
{
    size_t len = layout->protocol == VOP__NET_TCP ? 20 : 8;
    int err = need(c, len);

    if (err < 0)
        return err;
    if (layout->protocol == VOP__NET_TCP) {
        len = (size_t)(c->head[c->at + 12] >> 4) * 4;
        if (len < 20)
            return -EBADMSG;
        err = need(c, len);
        if (err < 0)
            return err;
    }
    c->at += len;
    return c->at > layout->end ? -EBADMSG : 0;
}

int vop__net_parse(const uint8_t *head, size_t head_len, size_t frame_len, struct vop__net_layout *ret_layout)
{
    struct cursor c = {head, head_len, frame_len, 0};
    struct vop__net_layout layout = {0};
    uint16_t ethertype;
    int err = parse_ethernet(&c, &ethertype);

    if (err < 0)
        return err;
    layout.l3 = (uint16_t)c.at;
    if (ethertype == ETHERTYPE_IPV4)
        err = parse_ipv4(&c, &layout);
    else if (ethertype == ETHERTYPE_IPV6)
        err = parse_ipv6(&c, &layout);
    else
        err = -EBADMSG;
    if (err < 0)
        return err;
    if (layout.protocol != VOP__NET_TCP && layout.protocol != VOP__NET_UDP)
        return -EOPNOTSUPP;
    layout.l4 = (uint16_t)c.at;
    err = parse_l4(&c, &layout);
    if (err < 0)
        return err;
    layout.payload = (uint16_t)c.at;
    *ret_layout = layout;
    return 0;
}
