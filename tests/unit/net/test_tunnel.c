/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_tunnel.c - GSO frames in a UDP tunnel: which headers are legal, and that each segment is what its sender meant.
 *
 * Room: tests. A segment is compared with what a slow and plain program puts around a segment of the inner packet,
 * which test_segment.c has looked at.
 */
#include "frame.h"

#include <errno.h>
#include <stdio.h>

#define BIT(name) VOP_NET_FEATURE(VOP_NET_F_GUEST_##name)
#define ALL (VOP_NET_OFFLOADS | VOP_NET_TUNNEL_OFFLOADS)
#define V4 VOP_NET_HDR_GSO_UDP_TUNNEL_IPV4
#define V6 VOP_NET_HDR_GSO_UDP_TUNNEL_IPV6
#define T4 VOP_NET_HDR_GSO_TCPV4
#define T6 VOP_NET_HDR_GSO_TCPV6
#define U4 VOP_NET_HDR_GSO_UDP_L4
#define ECN VOP_NET_HDR_GSO_ECN
#define NEEDS VOP_NET_HDR_F_NEEDS_CSUM
#define OUTER VOP_NET_HDR_F_UDP_TUNNEL_CSUM

/* ---- Features ---- */

static void test_features(void **state)
{
    const uint32_t words[4] = {0x12345678, 0x00c0c000, 0xfffffff6, 0xffffffff};
    const uint64_t needed = BIT(CSUM) | BIT(TSO4) | BIT(TSO6) | BIT(USO4) | BIT(USO6);
    uint32_t back[4] = {1, 1, 1, 1};

    (void)state;
    assert_true(vop_net_features_normalize(ALL) == ALL);
    assert_true(vop_net_features_normalize(needed | BIT(UDP_TUNNEL_GSO)) == (needed | BIT(UDP_TUNNEL_GSO)));
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t one = VOP_NET_FEATURE(bit);

        if (needed & one)
            assert_false(vop_net_features_normalize(ALL & ~one) & VOP_NET_TUNNEL_OFFLOADS);
    }
    assert_true(vop_net_features_normalize(ALL & ~BIT(UDP_TUNNEL_GSO)) == VOP_NET_OFFLOADS);
    assert_true(vop_net_features_normalize(ALL & ~BIT(UDP_TUNNEL_GSO_CSUM)) ==
                (VOP_NET_OFFLOADS | BIT(UDP_TUNNEL_GSO)));

    /* The bits 65 and 66 are at 46 and 47, and what a peer has there, in word 1, is not. */
    assert_true(vop_net_features_from_words(words) == (UINT64_C(0x00c0000012345678) | VOP_NET_TUNNEL_OFFLOADS));
    vop_net_features_to_words(UINT64_C(0x00c0000012345678) | VOP_NET_TUNNEL_OFFLOADS, back);
    assert_memory_equal(back, ((uint32_t[]){0x12345678, 0x00c00000, 6, 0}), sizeof(back));
    vop_net_features_to_words(BIT(UDP_TUNNEL_GSO), back);
    assert_memory_equal(back, ((uint32_t[]){0, 0, 2, 0}), sizeof(back));
    assert_true(vop_net_features_from_words(back) == BIT(UDP_TUNNEL_GSO));
}

/* ---- Headers ---- */

struct row {
    const char *what;
    unsigned flags, gso_type, outer, inner, start, offset;
    uint64_t features;
    int expect;
};

static const struct row rows[] = {
    {"tcp4 in 4", NEEDS, T4 | V4, 34, 64, 84, 16, ALL, 0},
    {"tcp4 in 4, least", NEEDS, T4 | V4, 34, 42, 62, 16, ALL & ~BIT(UDP_TUNNEL_GSO_CSUM), 0},
    {"tcp4 in 4, checksum", NEEDS | OUTER, T4 | V4, 34, 64, 84, 16, ALL, 0},
    {"tcp4 with cwr", NEEDS, T4 | ECN | V4, 34, 64, 84, 16, ALL, 0},
    {"tcp4 in 6", NEEDS, T4 | V6, 54, 84, 104, 16, ALL, 0},
    {"tcp6 in 4", NEEDS, T6 | V4, 34, 64, 104, 16, ALL, 0},
    {"tcp6 in 6", NEEDS | OUTER, T6 | V6, 54, 84, 124, 16, ALL, 0},
    {"udp in 4", NEEDS | OUTER, U4 | V4, 34, 64, 84, 6, ALL, 0},
    {"unknown flags", NEEDS | 0xf4, T4 | V4, 34, 64, 84, 16, ALL & ~BIT(UDP_TUNNEL_GSO_CSUM), 0},
    {"plain frame, offsets mean nothing", NEEDS, 0, 0xffff, 0xffff, 34, 16, BIT(CSUM), 0},
    {"plain tcp4", NEEDS, T4, 0xffff, 0, 34, 16, VOP_NET_OFFLOADS, 0},
    {"plain frame with the flag", OUTER, 0, 0, 0, 0, 0, 0, 0},
    {"tunnel not offered", NEEDS, T4 | V4, 34, 64, 84, 16, VOP_NET_OFFLOADS, -EOPNOTSUPP},
    {"checksum not offered", NEEDS | OUTER, T4 | V4, 34, 64, 84, 16, ALL & ~BIT(UDP_TUNNEL_GSO_CSUM), -EOPNOTSUPP},
    {"ecn not offered", NEEDS, T4 | ECN | V4, 34, 64, 84, 16, ALL & ~BIT(ECN), -EOPNOTSUPP},
    {"both outer kinds", NEEDS, T4 | V4 | V6, 54, 84, 104, 16, ALL, -EBADMSG},
    {"nothing inside", NEEDS, V4, 34, 64, 84, 16, ALL, -EBADMSG},
    {"nothing but cwr inside", NEEDS, ECN | V4, 34, 64, 84, 16, ALL, -EBADMSG},
    {"ufo inside", NEEDS, VOP_NET_HDR_GSO_UDP | V4, 34, 64, 84, 6, ALL, -EBADMSG},
    {"udp with cwr", NEEDS, U4 | ECN | V4, 34, 64, 84, 6, ALL, -EBADMSG},
    {"unknown kind inside", NEEDS, 2 | V4, 34, 64, 84, 16, ALL, -EBADMSG},
    {"checksum not needed", 0, T4 | V4, 34, 64, 84, 16, ALL, -EBADMSG},
    {"checksum of the other kind", NEEDS, T4 | V4, 34, 64, 84, 6, ALL, -EBADMSG},
    {"outer header in ip", NEEDS, T4 | V4, 33, 64, 84, 16, ALL, -EBADMSG},
    {"outer header in ip 6", NEEDS, T4 | V6, 53, 84, 104, 16, ALL, -EBADMSG},
    {"inner header in udp", NEEDS, T4 | V4, 34, 41, 84, 16, ALL, -EBADMSG},
    {"inner header first", NEEDS, T4 | V4, 64, 34, 84, 16, ALL, -EBADMSG},
    {"checksum in inner ip", NEEDS, T4 | V4, 34, 64, 83, 16, ALL, -EBADMSG},
    {"checksum in inner ip 6", NEEDS, T6 | V4, 34, 64, 103, 16, ALL, -EBADMSG},
    {"inner header behind", NEEDS, T4 | V4, 34, 0xffff, 84, 16, ALL, -EBADMSG},
    {"beyond the frame", NEEDS, T4 | V4, 34, 64, 9000, 16, ALL, -EBADMSG},
};

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct vop_net_tunnel_hdr hdr = {
            .hdr = {.flags = (uint8_t)row->flags,
                    .gso_type = (uint8_t)row->gso_type,
                    .gso_size = test_le16(1400),
                    .csum_start = test_le16(row->start),
                    .csum_offset = test_le16(row->offset)},
            .outer_th_offset = test_le16(row->outer),
            .inner_nh_offset = test_le16(row->inner),
        };
        int ret = vop_net_tunnel_hdr_check(&hdr, 9000, row->features);

        if (ret != row->expect)
            fail_msg("%s: %d in place of %d", row->what, ret, row->expect);
        if (row->gso_type & (V4 | V6))
            assert_int_equal(vop_net_hdr_check(&hdr.hdr, 9000, ALL), -EBADMSG);
        if (ret == 0)
            assert_false(vop_net_hdr_features(&hdr.hdr) & ~row->features);
        if (ret == -EOPNOTSUPP)
            assert_true(vop_net_hdr_features(&hdr.hdr) & ~row->features);
    }
}

static void test_clean(void **state)
{
    struct vop_net_tunnel_hdr hdr, expected;

    (void)state;
    memset(&hdr, 0xff, sizeof(hdr));
    hdr.hdr.gso_type = T4 | V4;
    expected = hdr;
    vop_net_tunnel_hdr_clean(&hdr, 9000, ALL);
    expected.hdr.flags = NEEDS | VOP_NET_HDR_F_DATA_VALID | OUTER;
    expected.hdr.hdr_len = test_le16(9000);
    expected.hdr.num_buffers = test_le16(1);
    memset(&expected.hash_value, 0, 8);
    assert_memory_equal(&hdr, &expected, sizeof(hdr));

    memset(&hdr, 0xff, sizeof(hdr));
    hdr.hdr.gso_type = 0;
    vop_net_tunnel_hdr_clean(&hdr, 9000, 0);
    assert_memory_equal(&hdr, "\1\0\0\0\0\0\xff\xff\xff\xff\1\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(hdr));
}

/* ---- Segments ---- */

/* What is around the inner packet. */
struct around {
    struct test_spec outer; /* its payload is of no meaning */
    unsigned between;       /* bytes between the outer UDP header and the inner IP header */
    bool has_checksum;
};

/*
 * Puts headers around `inner`, an Ethernet frame whose IP header is at `l3`. The checksum field gets a whole checksum
 * where `is_whole`, else the sum of the pseudo header. Returns the length.
 */
static size_t wrap(const struct around *around, unsigned ip_id, const uint8_t *inner, size_t inner_len, size_t l3,
                   bool is_whole, uint8_t *ret_bytes, size_t *ret_outer, size_t *ret_inner)
{
    struct test_spec spec = around->outer;
    size_t udp_len = 8 + around->between + inner_len - l3;
    size_t ip = test_put_ethernet(ret_bytes, &spec), udp;
    unsigned pseudo;

    spec.ip_id = ip_id % 65536;
    spec.protocol = 17;
    udp = ip + test_put_ip(ret_bytes + ip, &spec, (unsigned)udp_len);
    memcpy(ret_bytes + udp, "\xc0\x01\x12\xb5", 4);
    test_put16(ret_bytes + udp + 4, (unsigned)udp_len);
    test_put16(ret_bytes + udp + 6, 0);
    for (unsigned i = 0; i < around->between; i++)
        ret_bytes[udp + 8 + i] = (uint8_t)(0x31 + 7 * i);
    memcpy(ret_bytes + udp + 8 + around->between, inner + l3, inner_len - l3);
    if (around->has_checksum) {
        pseudo = test_pseudo(ret_bytes + ip, 17, udp_len);
        test_put16(ret_bytes + udp + 6, is_whole ? 0xffff - test_sum(pseudo, ret_bytes + udp, udp_len) : pseudo);
        if (is_whole && test_get16(ret_bytes + udp + 6) == 0)
            test_put16(ret_bytes + udp + 6, 0xffff);
    }
    *ret_outer = udp;
    *ret_inner = udp + 8 + around->between;
    return udp + udp_len;
}

static void check_segment(const struct around *around, const struct vop_net_segment *whole_inner, size_t l3, size_t l4,
                          unsigned index, bool is_partial, const struct vop_net_segment *segment)
{
    static uint8_t inner[FRAME_MAX], expected[FRAME_MAX], got[FRAME_MAX];
    size_t outer, inner_at, length = whole_inner->header_len + whole_inner->payload_len;
    size_t field;

    memcpy(inner, whole_inner->header, whole_inner->header_len);
    memcpy(inner + whole_inner->header_len, whole_inner->payload, whole_inner->payload_len);
    length = wrap(around, around->outer.ip_id + index, inner, length, l3, true, expected, &outer, &inner_at);
    assert_int_equal(segment->header_len + segment->payload_len, length);
    memcpy(got, segment->header, segment->header_len);
    memcpy(got + segment->header_len, segment->payload, segment->payload_len);
    field = inner_at + l4 - l3 + (inner[l3] / 16 == 4 ? inner[l3 + 9] == 6 ? 16 : 6 : 0);
    if (inner[l3] / 16 == 6)
        field = inner_at + l4 - l3 + test_from_le16(segment->hdr.csum_offset);
    if (is_partial) {
        assert_int_equal(segment->hdr.flags, NEEDS);
        assert_int_equal(test_from_le16(segment->hdr.csum_start), inner_at + l4 - l3);
        assert_int_equal(inner_at + l4 - l3 + test_from_le16(segment->hdr.csum_offset), field);
        /* the receiver finishes it, and then all is right: the outer checksum, too */
        assert_int_equal(vop_net_checksum_complete(got, length, (struct vop_net_hdr[]){segment->hdr}), 0);
    } else {
        assert_int_equal(segment->hdr.flags, 0);
    }
    assert_int_equal(segment->hdr.gso_type, 0);
    assert_memory_equal(got, expected, length);
}

static struct vop_net_tunnel_hdr tunnel_hdr(const struct around *around, const struct test_frame *inner, size_t outer,
                                            size_t inner_at)
{
    struct vop_net_tunnel_hdr hdr = {
        .hdr = inner->hdr,
        .outer_th_offset = test_le16((unsigned)outer),
        .inner_nh_offset = test_le16((unsigned)inner_at),
    };

    hdr.hdr.gso_type |= around->outer.ip == 4 ? V4 : V6;
    hdr.hdr.flags |= around->has_checksum ? OUTER : 0;
    hdr.hdr.csum_start = test_le16((unsigned)(inner_at + inner->l4 - inner->l3));
    return hdr;
}

static void segment_all(const struct around *around, const struct test_spec *spec, bool is_partial)
{
    struct test_frame inner = test_build(spec);
    uint8_t *room = malloc(FRAME_MAX), *frame;
    size_t outer, inner_at;
    size_t length = wrap(around, around->outer.ip_id, inner.bytes, inner.len, inner.l3, false, room, &outer, &inner_at);
    struct vop_net_tunnel_hdr hdr = tunnel_hdr(around, &inner, outer, inner_at);
    struct vop_net_segmenter segmenter, reference;
    struct vop_net_segment segment, expected;
    unsigned index = 0;
    int count;

    frame = malloc(length);
    assert_non_null(frame);
    memcpy(frame, room, length);
    free(room);
    count = vop_net_tunnel_segment_begin(&segmenter, frame, length, &hdr, is_partial ? BIT(CSUM) : 0);
    assert_int_equal(vop_net_segment_begin(&reference, inner.bytes, inner.len, &inner.hdr, 0), count);
    while (vop_net_segment_next(&segmenter, &segment)) {
        assert_true(vop_net_segment_next(&reference, &expected));
        check_segment(around, &expected, inner.l3, inner.l4, index++, is_partial, &segment);
    }
    assert_int_equal(index, count);
    free(frame);
    free(inner.bytes);
}

static void test_segments(void **state)
{
    static const unsigned between[] = {22, 0, 1, 23, 54, 90};
    static const struct {
        size_t payload;
        unsigned gso_size;
    } sizes[] = {{4344, 1398}, {1398, 1398}, {1, 1398}, {0, 1398}, {999, 333}, {40, 7}, {60000, 1398}};

    (void)state;
    for (unsigned n = 0; n < 2 * 2 * 2 * 2 * 2 * 2 * 2; n++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct around around = {
                .outer = {.ip = n % 2 ? 4 : 6, .tags = n / 2 % 2 * 2, .options = n / 4 % 2, .ip_id = 0xfffe},
                .between = between[(n + i) % (sizeof(between) / sizeof(between[0]))],
                .has_checksum = n / 8 % 2,
            };
            struct test_spec spec = {
                .ip = n / 16 % 2 ? 4 : 6,
                .protocol = n / 32 % 2 ? 6 : 17,
                .options = n / 64 % 2,
                .payload = sizes[i].payload,
                .gso_size = sizes[i].gso_size,
                .flags = 0x99,
                .ip_id = 0xffff,
                .seq = 0xfffffff0,
            };

            segment_all(&around, &spec, i % 2);
            segment_all(&around, &spec, !(i % 2));
        }
    }
}

/* A checksum that comes out as 0 must be sent as 0xffff. */
static void test_outer_checksum_zero(void **state)
{
    const struct around around = {.outer = {.ip = 4}, .between = 22, .has_checksum = true};
    const struct test_spec spec = {.ip = 4, .protocol = 6, .payload = 200, .gso_size = 100};
    static uint8_t frame[FRAME_MAX];
    struct test_frame inner = test_build(&spec);
    size_t outer, inner_at;
    size_t length = wrap(&around, 1, inner.bytes, inner.len, inner.l3, false, frame, &outer, &inner_at);
    struct vop_net_tunnel_hdr hdr = tunnel_hdr(&around, &inner, outer, inner_at);
    struct vop_net_segmenter s;
    struct vop_net_segment segment;

    (void)state;
    assert_int_equal(vop_net_tunnel_segment_begin(&s, frame, length, &hdr, 0), 2);
    assert_true(vop_net_segment_next(&s, &segment));
    test_put16(frame + outer, test_add(test_get16(frame + outer), test_get16(segment.header + outer + 6)));
    assert_int_equal(vop_net_tunnel_segment_begin(&s, frame, length, &hdr, 0), 2);
    assert_true(vop_net_segment_next(&s, &segment));
    assert_int_equal(test_get16(segment.header + outer + 6), 0xffff);
    free(inner.bytes);
}

/* The outer header is of the kind that gso_type says, also where offsets would suit both. */
static void test_outer_kind(void **state)
{
    const struct around around = {.outer = {.ip = 4, .options = 1}, .between = 22};
    const struct test_spec spec = {.ip = 4, .protocol = 6, .payload = 200, .gso_size = 100};
    static uint8_t frame[FRAME_MAX];
    struct test_frame inner = test_build(&spec);
    size_t outer, inner_at;
    size_t length = wrap(&around, 1, inner.bytes, inner.len, inner.l3, false, frame, &outer, &inner_at);
    struct vop_net_tunnel_hdr hdr = tunnel_hdr(&around, &inner, outer, inner_at);
    struct vop_net_segmenter s;

    (void)state;
    assert_int_equal(vop_net_tunnel_segment_begin(&s, frame, length, &hdr, 0), 2);
    hdr.hdr.gso_type = T4 | V6;
    assert_int_equal(vop_net_tunnel_hdr_check(&hdr, length, ALL), 0);
    assert_int_equal(vop_net_tunnel_segment_begin(&s, frame, length, &hdr, 0), -EBADMSG);
    free(inner.bytes);
}

static void test_no_tunnel(void **state)
{
    struct test_spec spec = {.ip = 4, .protocol = 6, .payload = 3000, .gso_size = 1448};
    struct test_frame f = test_build(&spec);
    struct vop_net_tunnel_hdr hdr = {.hdr = f.hdr};
    struct vop_net_segmenter segmenter;

    (void)state;
    assert_int_equal(vop_net_tunnel_segment_begin(&segmenter, f.bytes, f.len, &hdr, 0), 3);
    hdr.hdr.gso_type = 0;
    assert_int_equal(vop_net_tunnel_segment_begin(&segmenter, f.bytes, f.len, &hdr, 0), -EINVAL);
    free(f.bytes);
}

/* A frame that is not what its header says, by one change each. */
static void test_hostile(void **state)
{
    static const struct {
        const char *what;
        int offset; /* of a byte from the inner IP header on, or from the outer UDP header where it is negative */
        unsigned value;
        int outer, inner, start; /* added to what the header says */
        unsigned type;
        int expect;
    } cases[] = {
        {"right", 0, 0x45, 0, 0, 0, T4 | V4, 0},
        {"outer IPv6", 0, 0x45, 20, 20, 20, T4 | V6, -EBADMSG},
        {"outer header elsewhere", 0, 0x45, 1, 0, 0, T4 | V4, -EBADMSG},
        {"inner header elsewhere", 0, 0x45, 0, -1, 0, T4 | V4, -EBADMSG},
        {"inner L4 elsewhere", 0, 0x45, 0, 0, 4, T4 | V4, -EBADMSG},
        {"inner version", 0, 0x55, 0, 0, 0, T4 | V4, -EBADMSG},
        {"inner header too short", 0, 0x44, 0, 0, 0, T4 | V4, -EBADMSG},
        {"inner packet too long", 2, 0x70, 0, 0, 0, T4 | V4, -EBADMSG},
        {"inner fragment", 6, 0x20, 0, 0, 0, T4 | V4, -EBADMSG},
        {"inner protocol", 9, 17, 0, 0, 0, T4 | V4, -EBADMSG},
        {"inner protocol unknown", 9, 47, 0, 0, 0, T4 | V4, -EOPNOTSUPP},
        {"inner kind", 0, 0x45, 0, 0, 0, T6 | V4, -EBADMSG},
        {"outer fragment", -14, 0x20, 0, 0, 0, T4 | V4, -EBADMSG},
        {"outer protocol", -11, 6, 0, 0, 0, T4 | V4, -EBADMSG},
        {"outer packet too short", -18, 0, 0, 0, 0, T4 | V4, -EBADMSG},
    };
    const struct around around = {.outer = {.ip = 4}, .between = 22, .has_checksum = true};
    const struct test_spec spec = {.ip = 4, .protocol = 6, .payload = 3000, .gso_size = 1448};
    struct test_frame inner = test_build(&spec);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static uint8_t frame[FRAME_MAX];
        size_t outer, inner_at;
        size_t length = wrap(&around, 1, inner.bytes, inner.len, inner.l3, false, frame, &outer, &inner_at);
        struct vop_net_tunnel_hdr hdr = tunnel_hdr(&around, &inner, outer, inner_at);
        struct vop_net_segmenter segmenter;
        int offset = cases[i].offset, ret;

        frame[(offset < 0 ? (int)outer : (int)inner_at) + offset] = (uint8_t)cases[i].value;
        hdr.hdr.gso_type = (uint8_t)cases[i].type;
        hdr.outer_th_offset = test_le16((unsigned)((int)outer + cases[i].outer));
        hdr.inner_nh_offset = test_le16((unsigned)((int)inner_at + cases[i].inner));
        hdr.hdr.csum_start = test_le16((unsigned)((int)inner_at + 20 + cases[i].start));
        ret = vop_net_tunnel_segment_begin(&segmenter, frame, length, &hdr, 0);
        if (ret < 0 ? ret != cases[i].expect : cases[i].expect != 0)
            fail_msg("%s: %d in place of %d", cases[i].what, ret, cases[i].expect);
    }
    /* Cut anywhere. */
    for (size_t length = 0; length < 200; length++) {
        static uint8_t room[FRAME_MAX];
        size_t outer, inner_at;
        struct vop_net_segmenter segmenter;
        struct vop_net_tunnel_hdr hdr;
        uint8_t *frame = malloc(length + 1);

        assert_non_null(frame);
        (void)wrap(&around, 1, inner.bytes, inner.len, inner.l3, false, room, &outer, &inner_at);
        memcpy(frame, room, length);
        hdr = tunnel_hdr(&around, &inner, outer, inner_at);
        assert_int_equal(vop_net_tunnel_segment_begin(&segmenter, frame, length, &hdr, 0), -EBADMSG);
        free(frame);
    }
    free(inner.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features),   cmocka_unit_test(test_headers),   cmocka_unit_test(test_clean),
        cmocka_unit_test(test_segments),   cmocka_unit_test(test_no_tunnel), cmocka_unit_test(test_outer_checksum_zero),
        cmocka_unit_test(test_outer_kind), cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
