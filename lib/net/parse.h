/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse.h - finds the headers of an Ethernet frame that carries TCP or UDP.
 *
 * Room: net.
 */
#ifndef VOP_NET_PARSE_H
#define VOP_NET_PARSE_H

#include <stddef.h>
#include <stdint.h>

#define VOP__NET_TCP 6
#define VOP__NET_UDP 17

/** Where things are, in bytes from the start of the frame. */
struct vop__net_frame {
    size_t end;         /* of the IP packet: one past its last byte; padding may follow */
    uint16_t l3;        /* IP header */
    uint16_t l4;        /* TCP or UDP header */
    uint16_t payload;   /* first byte after it; at most the length of the head */
    uint8_t ip_version; /* 4 or 6 */
    uint8_t protocol;   /* VOP__NET_TCP or VOP__NET_UDP */
};

/**
 * Parses `head`, a private copy of the first `head_len` bytes of a frame of `frame_len` bytes. Nobody is trusted: every
 * read is inside the head, every length is compared with what holds it.
 *
 * Returns 0, -EBADMSG if the frame contradicts itself or ends too early, is a fragment or is not IP, or -EOPNOTSUPP if
 * it may be legal but its headers exceed the head or are of unknown kinds.
 */
int vop__net_parse(const uint8_t *head, size_t head_len, size_t frame_len, struct vop__net_frame *ret_frame);

/**
 * Parses the packet inside of UDP whose IP header is at `l3` of the same head. Where its own IP header leaves out the
 * length, it goes up to the end of the outer packet. Returns the same.
 */
int vop__net_parse_inner(const uint8_t *head, size_t head_len, const struct vop__net_frame *outer, size_t l3,
                         struct vop__net_frame *ret_inner);

#endif
