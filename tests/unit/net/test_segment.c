/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_segment.c - a receiver finds the segments of every kind of frame correct, and hostile frames are refused.
 *
 * Room: tests. The receiver here is the slow one of frame.h: it adds up every checksum and puts the payload together.
 */
#include "frame.h"

#include <errno.h>

#define CSUM VOP_NET_FEATURE(VOP_NET_F_GUEST_CSUM)

enum {
    FIN = 0x01,
    SYN = 0x02,
    PSH = 0x08,
    ACK = 0x10,
    ECE = 0x40,
    CWR = 0x80
};

/* What the receiver knows of a stream of segments. */
struct receiver {
    const struct test_spec *spec;
    const struct test_frame *whole;
    bool partial;
    unsigned count, index;
    size_t got; /* payload bytes */
};

static void check_ip(const struct receiver *r, const uint8_t *ip, size_t len)
{
    const uint8_t *whole = r->whole->bytes + r->whole->l3;
    size_t header = r->whole->l4 - r->whole->l3;

    if (r->spec->ip == 4) {
        assert_int_equal(test_get16(ip + 2), len);
        assert_int_equal(test_get16(ip + 4), (r->spec->ip_id + r->index) % 65536);
        assert_int_equal(test_sum(0, ip, header), 0xffff);
        assert_memory_equal(ip, whole, 2);
        assert_memory_equal(ip + 6, whole + 6, 4);
        assert_memory_equal(ip + 12, whole + 12, header - 12);
    } else {
        assert_int_equal(test_get16(ip + 4), len - 40);
        assert_memory_equal(ip, whole, 4);
        assert_memory_equal(ip + 6, whole + 6, header - 6);
    }
}

static void check_tcp(const struct receiver *r, const uint8_t *tcp)
{
    const uint8_t *whole = r->whole->bytes + r->whole->l4;
    unsigned flags = r->spec->flags;

    if (r->index != 0)
        flags &= ~(unsigned)CWR;
    if (r->index + 1 != r->count)
        flags &= ~(unsigned)(FIN | PSH);
    assert_int_equal(tcp[13], flags);
    assert_int_equal(test_get32(tcp + 4), (uint32_t)(r->spec->seq + r->got));
    assert_memory_equal(tcp, whole, 4);
    assert_memory_equal(tcp + 8, whole + 8, 5);
    assert_memory_equal(tcp + 14, whole + 14, 2);
    assert_memory_equal(tcp + 18, whole + 18, r->whole->payload - r->whole->l4 - 18);
}

static void check_checksum(const struct receiver *r, const struct vop_net_hdr *hdr, const uint8_t *frame, size_t len)
{
    size_t l4 = r->whole->l4;
    unsigned offset = r->spec->protocol == 6 ? 16 : 6;
    unsigned pseudo = test_pseudo(frame + r->whole->l3, r->spec->protocol, len - l4);

    assert_int_equal(hdr->gso_type, 0);
    assert_int_equal(test_from_le16(hdr->gso_size), 0);
    assert_int_equal(test_from_le16(hdr->num_buffers), 1);
    if (r->partial) {
        assert_int_equal(vop_net_hdr_check(hdr, len, CSUM), 0);
        assert_int_equal(hdr->flags, VOP_NET_HDR_F_NEEDS_CSUM);
        assert_int_equal(test_from_le16(hdr->csum_start), l4);
        assert_int_equal(test_from_le16(hdr->csum_offset), offset);
        assert_int_equal(test_get16(frame + l4 + offset), pseudo);
    } else {
        assert_int_equal(vop_net_hdr_check(hdr, len, 0), 0);
        assert_int_equal(hdr->flags, 0);
        assert_int_equal(test_sum(pseudo, frame + l4, len - l4), 0xffff);
        if (r->spec->protocol == 17)
            assert_int_not_equal(test_get16(frame + l4 + 6), 0);
    }
}

static void receive(struct receiver *r, const struct vop_net_segment *segment)
{
    const struct test_frame *whole = r->whole;
    size_t len = segment->header_len + segment->payload_len;
    uint8_t *frame = malloc(len);

    assert_non_null(frame);
    memcpy(frame, segment->header, segment->header_len);
    memcpy(frame + segment->header_len, segment->payload, segment->payload_len);
    assert_int_equal(segment->header_len, whole->payload);
    assert_memory_equal(frame, whole->bytes, whole->l3);
    check_ip(r, frame + whole->l3, len - whole->l3);
    if (r->spec->protocol == 6) {
        check_tcp(r, frame + whole->l4);
    } else {
        assert_memory_equal(frame + whole->l4, whole->bytes + whole->l4, 4);
        assert_int_equal(test_get16(frame + whole->l4 + 4), len - whole->l4);
    }
    check_checksum(r, &segment->hdr, frame, len);

    assert_true(segment->payload_len <= r->spec->gso_size);
    if (r->index + 1 < r->count)
        assert_int_equal(segment->payload_len, r->spec->gso_size);
    else if (r->spec->payload > 0)
        assert_true(segment->payload_len > 0);
    assert_true(r->got + segment->payload_len <= r->spec->payload);
    assert_memory_equal(frame + segment->header_len, whole->bytes + whole->payload + r->got, segment->payload_len);
    r->got += segment->payload_len;
    r->index++;
    free(frame);
}

static void segment_all(const struct test_spec *spec, uint64_t features)
{
    struct test_frame f = test_build(spec);
    struct receiver r = {.spec = spec, .whole = &f, .partial = features & CSUM};
    struct vop_net_segmenter s;
    struct vop_net_segment segment;
    int count = vop_net_segment_begin(&s, f.bytes, f.len, &f.hdr, features);

    assert_int_equal(count, spec->payload ? (spec->payload + spec->gso_size - 1) / spec->gso_size : 1);
    r.count = (unsigned)count;
    while (vop_net_segment_next(&s, &segment))
        receive(&r, &segment);
    assert_int_equal(r.index, r.count);
    assert_int_equal(r.got, spec->payload);
    assert_false(vop_net_segment_next(&s, &segment));
    free(f.bytes);
}

static void test_every_kind(void **state)
{
    static const struct {
        size_t payload;
        unsigned gso_size;
    } sizes[] = {
        {4344, 1448}, {4345, 1448}, {4343, 1448}, {1448, 1448}, {1449, 1448}, {1447, 1448},  {1, 1448}, {0, 1448},
        {7, 1},       {999, 333},   {1000, 333},  {50, 7},      {4000, 536},  {40000, 1447}, {1, 1},    {3000, 65534},
    };

    (void)state;
    for (unsigned n = 0; n < 2 * 2 * 3 * 3 * 2; n++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct test_spec spec = {
                .ip = n % 2 ? 4 : 6,
                .protocol = n / 2 % 2 ? 6 : 17,
                .tags = n / 4 % 3,
                .options = n / 12 % 3,
                .payload = sizes[i].payload,
                .gso_size = sizes[i].gso_size,
                .flags = ACK | PSH,
                .ip_id = 0x1234,
                .seq = 0x10203040,
            };

            segment_all(&spec, n / 36 ? VOP_NET_OFFLOADS : 0);
        }
    }
}

static void test_tcp_flags_and_wraps(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 256; flags++) {
        for (size_t payload = 99; payload <= 301; payload += 101) {
            struct test_spec spec = {.ip = flags % 2 ? 4 : 6,
                                     .protocol = 6,
                                     .payload = payload,
                                     .gso_size = 100,
                                     .flags = flags,
                                     .ip_id = 0xffff,
                                     .seq = 0xffffff80};

            segment_all(&spec, 0);
        }
    }
}

/* The largest there is: an IP packet of 65535 bytes, and segments nearly as large. */
static void test_largest(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2 * 2 * 2; n++) {
        struct test_spec spec = {.ip = n % 2 ? 4 : 6, .protocol = n / 2 % 2 ? 6 : 17, .seq = 1};
        size_t headers = (spec.protocol == 6 ? 20u : 8u) + (spec.ip == 4 ? 20u : 0u);

        spec.payload = 65535 - headers;
        spec.gso_size = n / 4 ? 65534 : 1448;
        segment_all(&spec, 0);
        segment_all(&spec, CSUM);
    }
}

/* A UDP payload made so that a segment's checksum comes out as 0, which must be sent as 0xffff. */
static void test_udp_checksum_zero(void **state)
{
    struct test_spec spec = {.ip = 4, .protocol = 17, .payload = 200, .gso_size = 100};
    struct test_frame f = test_build(&spec);
    struct vop_net_segmenter s;
    struct vop_net_segment segment;
    unsigned sum;

    (void)state;
    assert_int_equal(vop_net_segment_begin(&s, f.bytes, f.len, &f.hdr, 0), 2);
    assert_true(vop_net_segment_next(&s, &segment));
    sum = test_get16(segment.header + f.l4 + 6); /* ~(everything else): adding it to the payload leaves 0 */
    test_put16(f.bytes + f.payload, test_add(test_get16(f.bytes + f.payload), sum));
    assert_int_equal(vop_net_segment_begin(&s, f.bytes, f.len, &f.hdr, 0), 2);
    assert_true(vop_net_segment_next(&s, &segment));
    assert_int_equal(test_get16(segment.header + f.l4 + 6), 0xffff);
    free(f.bytes);
}

/* hdr_len, num_buffers and an IP length of 0 make no difference; padding after the packet is left out. */
static void test_hints_and_padding(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 8; n++) {
        struct test_spec spec = {
            .ip = n % 2 ? 4 : 6, .protocol = n / 2 % 2 ? 6 : 17, .tags = 1, .payload = 100, .gso_size = 60};
        struct test_frame f = test_build(&spec);
        struct receiver r = {.spec = &spec, .whole = &f, .count = 2};
        struct vop_net_segmenter s;
        struct vop_net_segment segment;
        uint8_t *padded = calloc(1, f.len + 30);

        assert_non_null(padded);
        memcpy(padded, f.bytes, f.len);
        f.hdr.hdr_len = test_le16(0xffff * (n / 4));
        f.hdr.num_buffers = test_le16(77);
        assert_int_equal(vop_net_segment_begin(&s, padded, f.len + 30, &f.hdr, 0), 2);
        while (vop_net_segment_next(&s, &segment))
            receive(&r, &segment);
        assert_int_equal(r.got, 100);

        test_put16(padded + f.l3 + (spec.ip == 4 ? 2 : 4), 0);
        r.index = 0;
        r.got = 0;
        assert_int_equal(vop_net_segment_begin(&s, padded, f.len, &f.hdr, 0), 2);
        while (vop_net_segment_next(&s, &segment))
            receive(&r, &segment);
        assert_int_equal(r.got, 100);
        free(padded);
        free(f.bytes);
    }
}

/* One field of the message is spoiled: at >= 0 a byte from the start of IP, else a field of the header. */
enum {
    TYPE = -1,
    FLAGS = -2,
    START = -3,
    OFFSET = -4,
    SIZE = -5,
    LEN = -6
};

static void spoil(struct test_frame *f, uint8_t *frame, int at, unsigned value)
{
    switch (at) {
    case TYPE:
        f->hdr.gso_type = (uint8_t)value;
        f->hdr.csum_offset = test_le16(value == 5 || value == 3 ? 6 : 16);
        break;
    case FLAGS:
        f->hdr.flags = (uint8_t)value;
        break;
    case START:
        f->hdr.csum_start = test_le16(value);
        break;
    case OFFSET:
        f->hdr.csum_offset = test_le16(value);
        break;
    case SIZE:
        f->hdr.gso_size = test_le16(value);
        break;
    case LEN:
        break;
    default:
        frame[f->l3 + (size_t)at] = (uint8_t)value;
    }
}

static void test_hostile(void **state)
{
    static const struct {
        const char *what;
        unsigned ip, protocol, options;
        int at;
        unsigned value;
        int expect;
    } rows[] = {
        {"no GSO", 4, 6, 0, TYPE, 0, -EINVAL},
        {"TSO6 on IPv4", 4, 6, 0, TYPE, 4, -EBADMSG},
        {"TSO4 on IPv6", 6, 6, 0, TYPE, 1, -EBADMSG},
        {"USO on TCP", 4, 6, 0, TYPE, 5, -EBADMSG},
        {"TSO4 on UDP", 4, 17, 0, TYPE, 1, -EBADMSG},
        {"UFO", 4, 17, 0, TYPE, 3, -EOPNOTSUPP},
        {"unknown type", 4, 17, 0, TYPE, 2, -EBADMSG},
        {"TSO6 on IPv4, whose header is long enough", 4, 6, 1, TYPE, 4, -EBADMSG},
        {"ECN with USO", 4, 17, 0, TYPE, 0x85, -EBADMSG},
        {"no NEEDS_CSUM", 4, 6, 0, FLAGS, 0, -EBADMSG},
        {"csum_start elsewhere", 4, 6, 0, START, 36, -EBADMSG},
        {"csum_start in IPv6", 6, 6, 0, START, 56, -EBADMSG},
        {"csum_start beyond", 4, 6, 0, START, 0xffff, -EBADMSG},
        {"csum_offset of UDP", 4, 6, 0, OFFSET, 6, -EBADMSG},
        {"gso_size 0", 4, 6, 0, SIZE, 0, -EBADMSG},
        {"gso_size 0xffff", 4, 6, 0, SIZE, 0xffff, -EBADMSG},
        {"USO in 250 segments", 4, 17, 0, SIZE, 4, -EBADMSG},
        {"cut in TCP", 4, 6, 0, LEN, 50, -EBADMSG},
        {"cut in IP", 4, 6, 0, LEN, 30, -EBADMSG},
        {"cut in Ethernet", 4, 6, 0, LEN, 13, -EBADMSG},
        {"empty", 4, 6, 0, LEN, 0, -EBADMSG},
        {"protocol says UDP", 4, 6, 0, 9, 17, -EBADMSG},
        {"protocol says ICMP", 4, 6, 0, 9, 1, -EOPNOTSUPP},
        {"fragment", 4, 6, 0, 6, 0x20, -EBADMSG},
        {"IHL grows into TCP", 4, 6, 0, 0, 0x46, -EBADMSG},
        {"TCP offset 0", 4, 6, 0, 20 + 12, 0, -EBADMSG},
        {"next header says UDP", 6, 6, 0, 6, 17, -EBADMSG},
        {"UDP ports read as hop-by-hop, beyond the frame", 6, 17, 0, 6, 0, -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct test_spec spec = {.ip = rows[i].ip,
                                 .protocol = rows[i].protocol,
                                 .options = rows[i].options,
                                 .payload = 1000,
                                 .gso_size = 500};
        struct test_frame f = test_build(&spec);
        struct vop_net_segmenter s;
        size_t len = rows[i].at == LEN ? rows[i].value : f.len;
        uint8_t *frame = malloc(len ? len : 1);
        int got;

        assert_non_null(frame);
        memcpy(frame, f.bytes, len);
        spoil(&f, frame, rows[i].at, rows[i].value);
        got = vop_net_segment_begin(&s, frame, len, &f.hdr, 0);
        if (got != rows[i].expect)
            fail_msg("%s: got %d, expected %d", rows[i].what, got, rows[i].expect);
        free(frame);
        free(f.bytes);
    }
}

/* More payload than an IP packet holds, with an IP length of 0 to hide it. */
static void test_too_large(void **state)
{
    (void)state;
    for (unsigned ip = 4; ip <= 6; ip += 2) {
        struct test_spec spec = {.ip = ip, .protocol = 6, .payload = 65535, .gso_size = 1448};
        struct test_frame f = test_build(&spec);
        struct vop_net_segmenter s;
        uint8_t *longer = calloc(1, f.len + 1);

        assert_non_null(longer);
        memcpy(longer, f.bytes, f.len);
        test_put16(longer + f.l3 + (ip == 4 ? 2 : 4), 0);
        assert_int_equal(vop_net_segment_begin(&s, longer, f.len, &f.hdr, 0), 46);
        assert_int_equal(vop_net_segment_begin(&s, longer, f.len + 1, &f.hdr, 0), -EBADMSG);
        f.hdr.gso_size = test_le16(65534); /* one segment would not fit its length field */
        assert_int_equal(vop_net_segment_begin(&s, longer, f.len, &f.hdr, 0), -EBADMSG);
        free(longer);
        free(f.bytes);
    }
}

/* A peer that writes to the frame between begin() and next() damages the payload, and nothing else. */
static void test_frame_changes_meanwhile(void **state)
{
    struct test_spec spec = {.ip = 4, .protocol = 6, .options = 1, .payload = 3000, .gso_size = 1000, .seq = 5};
    struct test_frame f = test_build(&spec);
    struct vop_net_segmenter s;
    struct vop_net_segment segment;
    size_t got = 0;

    (void)state;
    assert_int_equal(vop_net_segment_begin(&s, f.bytes, f.len, &f.hdr, 0), 3);
    memset(f.bytes, 0xff, f.len);
    while (vop_net_segment_next(&s, &segment)) {
        assert_int_equal(segment.header_len, f.payload);
        assert_int_equal(segment.payload_len, 1000);
        assert_int_equal(test_get16(segment.header + f.l3 + 2), f.payload - f.l3 + 1000);
        assert_int_equal(test_get32(segment.header + f.l4 + 4), 5 + got);
        assert_ptr_equal(segment.payload, f.bytes + f.payload + got);
        got += segment.payload_len;
    }
    assert_int_equal(got, 3000);
    free(f.bytes);
}

/* Headers of 512 bytes are segmented, longer ones are not. */
static void test_header_limit(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra <= 8; extra += 8) {
        unsigned options = 512 - 14 - 40 - 8 - 2; /* two bytes are left over: IPv6 counts in eights */
        unsigned ext, l4, payload = 100;
        uint8_t frame[1000] = {0};
        struct vop_net_hdr hdr = {.flags = VOP_NET_HDR_F_NEEDS_CSUM, .gso_type = VOP_NET_HDR_GSO_UDP_L4};
        struct vop_net_segmenter s;

        ext = options / 8 * 8 + extra;
        l4 = 54 + ext;
        test_put16(frame + 12, 0x86dd);
        frame[14] = 0x60;
        frame[20] = 60;
        frame[54] = 17;
        frame[55] = (uint8_t)(ext / 8 - 1);
        hdr.csum_start = test_le16(l4);
        hdr.csum_offset = test_le16(6);
        hdr.gso_size = test_le16(60);
        assert_int_equal(vop_net_segment_begin(&s, frame, l4 + 8 + payload, &hdr, 0), extra ? -EOPNOTSUPP : 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),        cmocka_unit_test(test_tcp_flags_and_wraps),
        cmocka_unit_test(test_largest),           cmocka_unit_test(test_udp_checksum_zero),
        cmocka_unit_test(test_hints_and_padding), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_too_large),         cmocka_unit_test(test_frame_changes_meanwhile),
        cmocka_unit_test(test_header_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
