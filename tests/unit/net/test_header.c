/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_header.c - legal and hostile headers, what they need, and which feature sets are complete.
 *
 * Room: tests. The hostile cases are those of group G of tests/unit/ring/CASES.md (header ranges, GSO rules, missing
 * features).
 */
#include "frame.h"

#include <errno.h>

#define BIT(name) VOP_NET_FEATURE(VOP_NET_F_GUEST_##name)
#define ALL VOP_NET_OFFLOADS
#define USO (BIT(USO4) | BIT(USO6))

#define F_CSUM VOP_NET_HDR_F_NEEDS_CSUM
#define T4 VOP_NET_HDR_GSO_TCPV4
#define T6 VOP_NET_HDR_GSO_TCPV6
#define U4 VOP_NET_HDR_GSO_UDP_L4
#define ECN VOP_NET_HDR_GSO_ECN

struct row {
    const char *what;
    unsigned flags, gso_type, gso_size, start, offset, hdr_len;
    size_t len;
    uint64_t features;
    int expect;
};

static struct vop_net_hdr row_hdr(const struct row *row)
{
    return (struct vop_net_hdr){
        .flags = (uint8_t)row->flags,
        .gso_type = (uint8_t)row->gso_type,
        .hdr_len = test_le16(row->hdr_len),
        .gso_size = test_le16(row->gso_size),
        .csum_start = test_le16(row->start),
        .csum_offset = test_le16(row->offset),
        .num_buffers = test_le16(1),
    };
}

static const struct row rows[] = {
    /* no offload */
    {"plain", 0, 0, 0, 0, 0, 0, 60, 0, 0},
    {"shortest frame", 0, 0, 0, 0, 0, 0, 14, 0, 0},
    {"runt", 0, 0, 0, 0, 0, 0, 13, ALL, -EBADMSG},
    {"header only", 0, 0, 0, 0, 0, 0, 0, ALL, -EBADMSG},
    {"large frame", 0, 0, 0, 0, 0, 0, 65550, 0, 0},
    {"unknown flags are ignored", 0xfc, 0, 0, 0, 0, 0, 60, 0, 0},
    {"DATA_VALID is only advice", VOP_NET_HDR_F_DATA_VALID, 0, 0, 0, 0, 0, 60, 0, 0},
    {"csum fields mean nothing without the flag", 0, 0, 0, 0xffff, 0xffff, 0, 60, 0, 0},
    {"gso_size means nothing without a type", 0, 0, 0xffff, 0, 0, 0, 60, 0, 0},
    {"hdr_len is only a hint", 0, 0, 0, 0, 0, 0xffff, 60, 0, 0},
    /* checksum */
    {"csum", F_CSUM, 0, 0, 34, 16, 0, 60, BIT(CSUM), 0},
    {"csum not offered", F_CSUM, 0, 0, 34, 16, 0, 60, ALL & ~BIT(CSUM), -EOPNOTSUPP},
    {"csum and unknown flags", F_CSUM | 0xf8, 0, 0, 34, 16, 0, 60, BIT(CSUM), 0},
    {"csum in the last two bytes", F_CSUM, 0, 0, 34, 24, 0, 60, ALL, 0},
    {"csum one byte too far", F_CSUM, 0, 0, 34, 25, 0, 60, ALL, -EBADMSG},
    {"csum_start is len - 1 (CVE-2024-11614)", F_CSUM, 0, 0, 59, 0, 0, 60, ALL, -EBADMSG},
    {"csum_start is len - 2", F_CSUM, 0, 0, 58, 0, 0, 60, ALL, 0},
    {"csum_start is len", F_CSUM, 0, 0, 60, 0, 0, 60, ALL, -EBADMSG},
    {"csum_start behind", F_CSUM, 0, 0, 0xffff, 0, 0, 60, ALL, -EBADMSG},
    {"csum_offset behind", F_CSUM, 0, 0, 34, 0xffff, 0, 60, ALL, -EBADMSG},
    {"sum wraps 16 bits", F_CSUM, 0, 0, 0xffff, 0x0020, 0, 60, ALL, -EBADMSG},
    {"illegal goes before not offered", F_CSUM, 0, 0, 60, 0, 0, 60, 0, -EBADMSG},
    {"csum_start in Ethernet", F_CSUM, 0, 0, 13, 16, 0, 60, ALL, -EBADMSG},
    {"csum_start in IP", F_CSUM, 0, 0, 33, 16, 0, 60, ALL, -EBADMSG},
    {"csum_start 0", F_CSUM, 0, 0, 0, 0, 0, 60, ALL, -EBADMSG},
    {"csum_start behind IP", F_CSUM, 0, 0, 34, 0, 0, 60, ALL, 0},
    /* TCP */
    {"tso4", F_CSUM, T4, 1448, 34, 16, 54, 9000, BIT(CSUM) | BIT(TSO4), 0},
    {"tso4, hdr_len lies", F_CSUM, T4, 1448, 34, 16, 0xffff, 9000, ALL, 0},
    {"tso4, hdr_len 0", F_CSUM, T4, 1448, 34, 16, 0, 9000, ALL, 0},
    {"tso4 not offered", F_CSUM, T4, 1448, 34, 16, 54, 9000, ALL & ~BIT(TSO4), -EOPNOTSUPP},
    {"tso4, only csum offered", F_CSUM, T4, 1448, 34, 16, 54, 9000, BIT(CSUM), -EOPNOTSUPP},
    {"tso6", F_CSUM, T6, 1428, 54, 16, 74, 9000, BIT(CSUM) | BIT(TSO6), 0},
    {"tso6 not offered", F_CSUM, T6, 1428, 54, 16, 74, 9000, ALL & ~BIT(TSO6), -EOPNOTSUPP},
    {"gso without NEEDS_CSUM", 0, T4, 1448, 34, 16, 54, 9000, ALL, -EBADMSG},
    {"gso with DATA_VALID only", 2, T4, 1448, 34, 16, 54, 9000, ALL, -EBADMSG},
    {"gso_size 0", F_CSUM, T4, 0, 34, 16, 54, 9000, ALL, -EBADMSG},
    {"gso_size 1", F_CSUM, T4, 1, 34, 16, 54, 9000, ALL, 0},
    {"gso_size 0xfffe", F_CSUM, T4, 0xfffe, 34, 16, 54, 9000, ALL, 0},
    {"gso_size 0xffff", F_CSUM, T4, 0xffff, 34, 16, 54, 9000, ALL, -EBADMSG},
    {"tso csum_offset of UDP", F_CSUM, T4, 1448, 34, 6, 54, 9000, ALL, -EBADMSG},
    {"tso csum_offset odd", F_CSUM, T6, 1448, 54, 17, 74, 9000, ALL, -EBADMSG},
    {"tso4, no room for IP", F_CSUM, T4, 1448, 33, 16, 54, 9000, ALL, -EBADMSG},
    {"tso6, no room for IP", F_CSUM, T6, 1448, 53, 16, 74, 9000, ALL, -EBADMSG},
    {"tso, TCP header cut", F_CSUM, T4, 1448, 34, 16, 54, 53, ALL, -EBADMSG},
    {"tso, TCP header and nothing else", F_CSUM, T4, 1448, 34, 16, 54, 54, ALL, 0},
    /* ECN */
    {"tso4 ecn", F_CSUM, T4 | ECN, 1448, 34, 16, 54, 9000, BIT(CSUM) | BIT(TSO4) | BIT(ECN), 0},
    {"tso6 ecn", F_CSUM, T6 | ECN, 1448, 54, 16, 74, 9000, BIT(CSUM) | BIT(TSO6) | BIT(ECN), 0},
    {"tso4 ecn not offered", F_CSUM, T4 | ECN, 1448, 34, 16, 54, 9000, ALL & ~BIT(ECN), -EOPNOTSUPP},
    {"tso6 ecn not offered", F_CSUM, T6 | ECN, 1448, 54, 16, 74, 9000, ALL & ~BIT(ECN), -EOPNOTSUPP},
    {"ecn alone", 0, ECN, 0, 0, 0, 0, 60, ALL, -EBADMSG},
    {"ecn alone, all else right", F_CSUM, ECN, 1448, 34, 16, 54, 9000, ALL, -EBADMSG},
    {"ecn with uso", F_CSUM, U4 | ECN, 1448, 34, 6, 42, 9000, ALL, -EBADMSG},
    /* UDP */
    {"uso", F_CSUM, U4, 1448, 34, 6, 42, 9000, BIT(CSUM) | USO, 0},
    {"uso not offered", F_CSUM, U4, 1448, 34, 6, 42, 9000, ALL & ~USO, -EOPNOTSUPP},
    {"uso, half offered", F_CSUM, U4, 1448, 34, 6, 42, 9000, ALL & ~BIT(USO6), -EOPNOTSUPP},
    {"uso csum_offset of TCP", F_CSUM, U4, 1448, 34, 16, 42, 9000, ALL, -EBADMSG},
    {"uso, UDP header cut", F_CSUM, U4, 1448, 34, 6, 42, 41, ALL, -EBADMSG},
    {"uso, UDP header only", F_CSUM, U4, 1448, 34, 6, 42, 42, ALL, 0},
    {"uso, 128 segments", F_CSUM, U4, 10, 34, 6, 42, 42 + 1280, ALL, 0},
    {"uso, 129 segments", F_CSUM, U4, 10, 34, 6, 42, 42 + 1281, ALL, -EBADMSG},
    {"tso may have many", F_CSUM, T4, 10, 34, 16, 54, 54 + 1281, ALL, 0},
    {"ufo", F_CSUM, VOP_NET_HDR_GSO_UDP, 1448, 34, 6, 42, 9000, ALL, -EOPNOTSUPP},
    {"ufo ecn", F_CSUM, VOP_NET_HDR_GSO_UDP | ECN, 1448, 34, 6, 42, 9000, ALL, -EBADMSG},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vop_net_hdr hdr = row_hdr(&rows[i]);
        int got = vop_net_hdr_check(&hdr, rows[i].len, rows[i].features);

        if (got != rows[i].expect)
            fail_msg("%s: got %d, expected %d", rows[i].what, got, rows[i].expect);
    }
}

/* num_buffers cannot be trusted: nothing may depend on it. */
static void test_num_buffers_lies(void **state)
{
    static const unsigned values[] = {0, 1, 2, 0x100, 0xffff};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
            struct vop_net_hdr hdr = row_hdr(&rows[i]);

            hdr.num_buffers = test_le16(values[k]);
            assert_int_equal(vop_net_hdr_check(&hdr, rows[i].len, rows[i].features), rows[i].expect);
        }
    }
}

static void test_every_gso_type(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool udp = type == U4 || type == VOP_NET_HDR_GSO_UDP;
        struct vop_net_hdr hdr = {.flags = F_CSUM,
                                  .gso_type = (uint8_t)type,
                                  .gso_size = test_le16(1000),
                                  .csum_start = test_le16(54),
                                  .csum_offset = test_le16(udp ? 6 : 16)};
        bool known = type == 0 || type == T4 || type == T6 || type == U4 || type == (T4 | ECN) || type == (T6 | ECN);
        int expect = known ? 0 : type == VOP_NET_HDR_GSO_UDP ? -EOPNOTSUPP : -EBADMSG;

        assert_int_equal(vop_net_hdr_check(&hdr, 5000, ALL), expect);
        if (!known)
            assert_true((vop_net_hdr_features(&hdr) & ~ALL) != 0);
    }
}

static void test_features(void **state)
{
    static const struct {
        unsigned flags, type;
        uint64_t expect;
    } needs[] = {
        {0, 0, 0},
        {0xfe, 0, 0},
        {1, 0, BIT(CSUM)},
        {1, T4, BIT(CSUM) | BIT(TSO4)},
        {0, T4, BIT(CSUM) | BIT(TSO4)},
        {1, T6, BIT(CSUM) | BIT(TSO6)},
        {1, T4 | ECN, BIT(CSUM) | BIT(TSO4) | BIT(ECN)},
        {1, T6 | ECN, BIT(CSUM) | BIT(TSO6) | BIT(ECN)},
        {1, U4, BIT(CSUM) | USO},
        {1, VOP_NET_HDR_GSO_UDP, BIT(CSUM) | BIT(UFO)},
        {1, 2, UINT64_MAX},
        {1, ECN, UINT64_MAX},
        {1, 0x20, UINT64_MAX},
        {1, 0x21, BIT(CSUM) | BIT(TSO4) | BIT(UDP_TUNNEL_GSO)},
        {9, 0xc4, BIT(CSUM) | BIT(TSO6) | BIT(ECN) | VOP_NET_TUNNEL_OFFLOADS},
        {9, 0, BIT(CSUM)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        struct vop_net_hdr hdr = {.flags = (uint8_t)needs[i].flags, .gso_type = (uint8_t)needs[i].type};

        assert_true(vop_net_hdr_features(&hdr) == needs[i].expect);
    }
}

/* What check() calls illegal depends on the header alone; what it calls not offered, on features() alone. */
static void test_check_agrees_with_features(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct vop_net_hdr hdr = row_hdr(&rows[i]);
        uint64_t needed = vop_net_hdr_features(&hdr);

        if (rows[i].expect == -EBADMSG)
            continue;
        assert_int_equal(vop_net_hdr_check(&hdr, rows[i].len, needed), 0);
        for (unsigned bit = 0; bit < 64; bit++) {
            int expect = needed & VOP_NET_FEATURE(bit) ? -EOPNOTSUPP : 0;

            assert_int_equal(vop_net_hdr_check(&hdr, rows[i].len, needed & ~VOP_NET_FEATURE(bit)), expect);
        }
    }
}

static void test_normalize(void **state)
{
    static const unsigned bits[] = {VOP_NET_F_GUEST_CSUM, VOP_NET_F_GUEST_TSO4, VOP_NET_F_GUEST_TSO6,
                                    VOP_NET_F_GUEST_ECN,  VOP_NET_F_GUEST_UFO,  VOP_NET_F_GUEST_USO4,
                                    VOP_NET_F_GUEST_USO6};
    uint64_t others = ~(ALL | VOP_NET_TUNNEL_OFFLOADS | BIT(UFO));

    (void)state;
    for (unsigned n = 0; n < 1u << 7; n++) {
        uint64_t in = 0, out;
        bool csum, tso4, tso6, uso;

        for (unsigned k = 0; k < 7; k++)
            in |= n >> k & 1 ? VOP_NET_FEATURE(bits[k]) : 0;
        csum = n & 1;
        tso4 = csum && (n & 2);
        tso6 = csum && (n & 4);
        uso = csum && (n & 32) && (n & 64);
        out = (csum ? BIT(CSUM) : 0) | (tso4 ? BIT(TSO4) : 0) | (tso6 ? BIT(TSO6) : 0) |
              ((tso4 || tso6) && (n & 8) ? BIT(ECN) : 0) | (uso ? USO : 0);
        assert_true(vop_net_features_normalize(in) == out);
        assert_true(vop_net_features_normalize(out) == out);
        assert_true(vop_net_features_normalize(in | others) == (out | others));
    }
}

static void test_clean(void **state)
{
    static const struct {
        const char *what;
        struct row in;
        struct row out;
    } pairs[] = {
        {"plain loses all fields without a meaning",
         {NULL, 0xfc, 0, 7, 8, 9, 10, 60, ALL, 0},
         {NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
        {"DATA_VALID stays if csum was offered",
         {NULL, 0xff & ~F_CSUM, 0, 0, 0, 0, 0, 60, BIT(CSUM), 0},
         {NULL, VOP_NET_HDR_F_DATA_VALID, 0, 0, 0, 0, 0, 0, 0, 0}},
        {"DATA_VALID goes if it was not",
         {NULL, 2, 0, 0, 0, 0, 0, 60, ALL & ~BIT(CSUM), 0},
         {NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
        {"csum stays", {NULL, 0xf9, 0, 7, 34, 16, 99, 60, BIT(CSUM), 0}, {NULL, F_CSUM, 0, 0, 34, 16, 0, 0, 0, 0}},
        {"no offload is dropped",
         {NULL, F_CSUM, T4, 1448, 34, 16, 54, 9000, 0, 0},
         {NULL, F_CSUM, T4, 1448, 34, 16, 54, 0, 0, 0}},
        {"hdr_len of a GSO frame is limited",
         {NULL, F_CSUM, T4, 1448, 34, 16, 9001, 9000, ALL, 0},
         {NULL, F_CSUM, T4, 1448, 34, 16, 9000, 0, 0, 0}},
        {"hdr_len of a frame beyond 16 bits",
         {NULL, F_CSUM, T4 | ECN, 1448, 34, 16, 0xffff, 65550, ALL, 0},
         {NULL, F_CSUM, T4 | ECN, 1448, 34, 16, 0xffff, 0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct vop_net_hdr hdr = row_hdr(&pairs[i].in), expect = row_hdr(&pairs[i].out);

        hdr.num_buffers = test_le16(0x5aa5);
        vop_net_hdr_clean(&hdr, pairs[i].in.len, pairs[i].in.features);
        if (memcmp(&hdr, &expect, sizeof(hdr)) != 0)
            fail_msg("%s", pairs[i].what);
    }
}

/* Little-endian on the wire, whatever runs the test. */
static void test_wire_bytes(void **state)
{
    static const uint8_t bytes[12] = {1, 4, 0x4a, 0, 0x94, 5, 0x36, 0, 16, 0, 1, 0}; /* tso6, 1428 bytes each */
    struct vop_net_hdr hdr;

    (void)state;
    memcpy(&hdr, bytes, sizeof(hdr));
    assert_int_equal(vop_net_hdr_check(&hdr, 9000, ALL), 0);
    vop_net_hdr_clean(&hdr, 9000, ALL);
    assert_memory_equal(&hdr, bytes, sizeof(hdr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_num_buffers_lies),
        cmocka_unit_test(test_features),   cmocka_unit_test(test_every_gso_type),
        cmocka_unit_test(test_normalize),  cmocka_unit_test(test_check_agrees_with_features),
        cmocka_unit_test(test_wire_bytes), cmocka_unit_test(test_clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
