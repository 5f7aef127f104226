/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frame.h - frames for the tests of lib/net, made and taken apart by code that shares nothing with lib/net.
 *
 * Room: tests. Everything here is slow and plain on purpose: a byte at a time, so that it can be right on sight.
 */
#ifndef TESTS_UNIT_NET_FRAME_H
#define TESTS_UNIT_NET_FRAME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vopipc/net.h>

#define FRAME_MAX 70000u

/** Wrapped little-endian values, byte by byte. */
static inline vop_le16 test_le16(unsigned v)
{
    vop_le16 le;
    uint8_t bytes[2] = {(uint8_t)v, (uint8_t)(v >> 8)};

    memcpy(&le, bytes, sizeof(le));
    return le;
}

static inline unsigned test_from_le16(vop_le16 le)
{
    uint8_t bytes[2];

    memcpy(bytes, &le, sizeof(bytes));
    return bytes[0] + bytes[1] * 256u;
}

static inline void test_put16(uint8_t *at, unsigned v)
{
    at[0] = (uint8_t)(v / 256);
    at[1] = (uint8_t)(v % 256);
}

static inline unsigned test_get16(const uint8_t *at)
{
    return at[0] * 256u + at[1];
}

static inline uint32_t test_get32(const uint8_t *at)
{
    return (uint32_t)test_get16(at) * 65536u + test_get16(at + 2);
}

/** RFC 1071 as its text puts it: 16-bit words, with the carry added at once. Continues from `sum`. */
static inline unsigned test_sum(unsigned sum, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 == 0 ? data[i] * 256u : data[i];
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return sum;
}

static inline unsigned test_add(unsigned sum, unsigned value)
{
    uint8_t bytes[2];

    test_put16(bytes, value);
    return test_sum(sum, bytes, 2);
}

/** What to build. */
struct test_spec {
    unsigned ip;       /* 4 or 6 */
    unsigned protocol; /* 6 or 17 */
    unsigned tags;     /* VLAN tags */
    unsigned options;  /* 0 none; 1 IPv4 options, IPv6 extension headers, and TCP options; 2 IPv6 routing in use */
    size_t payload;    /* bytes */
    unsigned gso_size; /* 0: no GSO */
    unsigned flags;    /* TCP */
    unsigned ip_id;    /* IPv4 */
    uint32_t seq;      /* TCP */
};

/** The built frame, in a heap block of exactly its size so that a sanitizer sees an access one byte too far. */
struct test_frame {
    uint8_t *bytes;
    size_t len;
    size_t l3, l4, payload;
    struct vop_net_hdr hdr;
};

static inline size_t test_put_ethernet(uint8_t *at, const struct test_spec *spec)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    size_t n = sizeof(macs);

    memcpy(at, macs, sizeof(macs));
    for (unsigned i = 0; i < spec->tags; i++, n += 4) {
        test_put16(at + n, spec->tags == 2 && i == 0 ? 0x88a8 : 0x8100);
        test_put16(at + n + 2, 100 + i);
    }
    test_put16(at + n, spec->ip == 4 ? 0x0800 : 0x86dd);
    return n + 2;
}

/* Returns the bytes written; lengths and the checksum are filled in by test_build(). */
static inline size_t test_put_ip(uint8_t *at, const struct test_spec *spec, unsigned l4_len)
{
    if (spec->ip == 4) {
        size_t header = spec->options ? 60 : 20;

        memset(at, 0, header);
        at[0] = (uint8_t)(0x40 + header / 4);
        test_put16(at + 2, (unsigned)header + l4_len);
        test_put16(at + 4, spec->ip_id);
        at[6] = 0x40; /* DF */
        at[8] = 64;
        at[9] = (uint8_t)spec->protocol;
        memcpy(at + 12, "\x0a\x4d\x00\x01\x0a\x4d\xff\xfe", 8);
        if (spec->options)
            memset(at + 20, 1, 40); /* NOP: the longest header there is */
        test_put16(at + 10, 0xffff - test_sum(0, at, header));
        return header;
    }

    size_t n = 40;

    memset(at, 0, 40);
    at[0] = 0x60;
    at[7] = 64;
    for (uint8_t i = 0; i < 32; i++)
        at[8 + i] = (uint8_t)(0xfe - 3 * i);
    at[6] = (uint8_t)spec->protocol;
    if (spec->options) {
        at[6] = 0;                                     /* hop-by-hop, 8 bytes */
        memcpy(at + n, "\x2b\x00\x01\x04\0\0\0\0", 8); /* then routing, 24 bytes, type 2 */
        n += 8;
        memset(at + n, 0, 24);
        at[n] = 60; /* then destination options, 16 bytes */
        at[n + 1] = 2;
        at[n + 2] = 2;
        at[n + 3] = spec->options == 2 ? 1 : 0;
        memset(at + n + 8, 0xa5, 16);
        n += 24;
        memset(at + n, 0, 16);
        at[n] = (uint8_t)spec->protocol;
        at[n + 1] = 1;
        at[n + 2] = 1;
        at[n + 3] = 12;
        n += 16;
    }
    test_put16(at + 4, (unsigned)n - 40 + l4_len);
    return n;
}

/** Sum of the pseudo header for an L4 packet of `l4_len` bytes inside the IP packet at `ip`, by RFC 9293 and RFC 8200.
 */
static inline unsigned test_pseudo(const uint8_t *ip, unsigned protocol, size_t l4_len)
{
    unsigned sum = test_add(test_add(0, protocol), (unsigned)l4_len);

    if (ip[0] / 16 == 4)
        return test_sum(sum, ip + 12, 8);
    sum = test_sum(sum, ip + 8, 16);
    if (ip[6] == 0 && ip[40] == 43 && ip[48 + 3] != 0) /* routing in use: its address is the final one */
        return test_sum(sum, ip + 48 + 8, 16);
    return test_sum(sum, ip + 24, 16);
}

static inline struct test_frame test_build(const struct test_spec *spec)
{
    static const uint8_t timestamp[12] = {1, 1, 8, 10, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0};
    struct test_frame f = {0};
    uint8_t *room = calloc(1, FRAME_MAX);
    size_t l4_header = spec->protocol == 17 ? 8 : spec->options ? 32 : 20;
    size_t l4_len = l4_header + spec->payload;
    uint8_t *l4;
    uint32_t random = 12345;

    assert_non_null(room);
    f.l3 = test_put_ethernet(room, spec);
    f.l4 = f.l3 + test_put_ip(room + f.l3, spec, (unsigned)l4_len);
    f.payload = f.l4 + l4_header;
    f.len = f.payload + spec->payload;
    assert_true(f.len <= FRAME_MAX);
    l4 = room + f.l4;
    test_put16(l4, 5001);
    test_put16(l4 + 2, 40000);
    if (spec->protocol == 6) {
        test_put16(l4 + 4, spec->seq / 65536u);
        test_put16(l4 + 6, spec->seq % 65536u);
        memset(l4 + 8, 0x77, 4);
        l4[12] = (uint8_t)(l4_header / 4 * 16);
        l4[13] = (uint8_t)spec->flags;
        test_put16(l4 + 14, 512);
        if (spec->options)
            memcpy(l4 + 20, timestamp, sizeof(timestamp));
    } else {
        test_put16(l4 + 4, (unsigned)l4_len);
    }
    for (size_t i = f.payload; i < f.len; i++) {
        random = random * 1664525u + 1013904223u;
        room[i] = (uint8_t)(random >> 24);
    }
    test_put16(l4 + (spec->protocol == 6 ? 16 : 6), test_pseudo(room + f.l3, spec->protocol, l4_len));

    f.hdr.flags = VOP_NET_HDR_F_NEEDS_CSUM;
    f.hdr.csum_start = test_le16((unsigned)f.l4);
    f.hdr.csum_offset = test_le16(spec->protocol == 6 ? 16 : 6);
    f.hdr.num_buffers = test_le16(1);
    if (spec->gso_size) {
        f.hdr.gso_type = spec->protocol == 17 ? VOP_NET_HDR_GSO_UDP_L4
                         : spec->ip == 4      ? VOP_NET_HDR_GSO_TCPV4
                                              : VOP_NET_HDR_GSO_TCPV6;
        f.hdr.gso_size = test_le16(spec->gso_size);
        f.hdr.hdr_len = test_le16((unsigned)f.payload);
    }
    f.bytes = malloc(f.len);
    assert_non_null(f.bytes);
    memcpy(f.bytes, room, f.len);
    free(room);
    return f;
}

#endif
