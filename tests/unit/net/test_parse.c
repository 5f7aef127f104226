/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_parse.c - the parser finds the headers of every legal kind of frame, and never reads past what it was given.
 *
 * Room: tests. Frames are heap blocks of their exact size, so a sanitizer sees a read past the end.
 */
#include "frame.h"

#include "net/parse.h"

#include <errno.h>

static void test_layouts(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2 * 2 * 3 * 3 * 3; n++) {
        struct test_spec spec = {
            .ip = n % 2 ? 4 : 6,
            .protocol = n / 2 % 2 ? 6 : 17,
            .tags = n / 4 % 3,
            .options = n / 12 % 3,
            .payload = n / 36 * 100,
        };
        struct test_frame f = test_build(&spec);
        struct vop__net_frame parsed;

        assert_int_equal(vop__net_parse(f.bytes, f.len, f.len, &parsed), 0);
        assert_int_equal(parsed.l3, f.l3);
        assert_int_equal(parsed.l4, f.l4);
        assert_int_equal(parsed.payload, f.payload);
        assert_int_equal(parsed.end, f.len);
        assert_int_equal(parsed.ip_version, spec.ip);
        assert_int_equal(parsed.protocol, spec.protocol);
        free(f.bytes);
    }
}

/* Cut at every byte: a short frame is bad, a short head only means headers that are too long for us; no output. */
static void test_cuts(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2 * 2 * 3 * 2; n++) {
        struct test_spec spec = {
            .ip = n % 2 ? 4 : 6, .protocol = n / 2 % 2 ? 6 : 17, .tags = n / 4 % 3, .options = n / 12, .payload = 10};
        struct test_frame f = test_build(&spec);

        for (size_t len = 0; len < f.len; len++) {
            struct vop__net_frame parsed = {.end = 4711};
            uint8_t *cut = malloc(len ? len : 1);

            assert_non_null(cut);
            memcpy(cut, f.bytes, len);
            assert_int_equal(vop__net_parse(cut, len, len, &parsed), -EBADMSG);
            assert_int_equal(parsed.end, 4711);
            assert_int_equal(vop__net_parse(cut, len, f.len, &parsed), len < f.payload ? -EOPNOTSUPP : 0);
            free(cut);
        }
        free(f.bytes);
    }
}

struct row {
    const char *what;
    unsigned ip, protocol, options;
    long at; /* from the start of IP */
    unsigned value;
    int expect;
};

static void test_contradictions(void **state)
{
    static const struct row rows[] = {
        {"not IP", 4, 6, 0, -1, 0x06, -EBADMSG},
        {"IPv4, version 6", 4, 6, 0, 0, 0x65, -EBADMSG},
        {"IPv4, header of 16", 4, 6, 0, 0, 0x44, -EBADMSG},
        {"IPv4, header of 0", 4, 6, 0, 0, 0x40, -EBADMSG},
        {"IPv4, header of 60 over TCP", 4, 6, 0, 0, 0x4f, -EBADMSG},
        {"IPv4, total length beyond", 4, 6, 0, 2, 0x7f, -EBADMSG},
        {"IPv4, more fragments", 4, 6, 0, 6, 0x20, -EBADMSG},
        {"IPv4, fragment offset", 4, 6, 0, 7, 0x01, -EBADMSG},
        {"IPv4, fragment offset, high bits", 4, 17, 0, 6, 0x10, -EBADMSG},
        {"IPv4, reserved bit only", 4, 17, 0, 6, 0x80, 0},
        {"IPv4, ICMP", 4, 6, 0, 9, 1, -EOPNOTSUPP},
        {"IPv4, IPv6 inside", 4, 6, 0, 9, 41, -EOPNOTSUPP},
        {"IPv4, TCP header of 16", 4, 6, 0, 20 + 12, 0x40, -EBADMSG},
        {"IPv4, TCP header of 60 beyond", 4, 6, 0, 20 + 12, 0xf0, -EBADMSG},
        {"IPv6, version 4", 6, 6, 0, 0, 0x40, -EBADMSG},
        {"IPv6, payload length beyond", 6, 6, 0, 4, 0x7f, -EBADMSG},
        {"IPv6, fragment", 6, 6, 0, 6, 44, -EBADMSG},
        {"IPv6, AH", 6, 6, 0, 6, 51, -EOPNOTSUPP},
        {"IPv6, no next header", 6, 6, 0, 6, 59, -EOPNOTSUPP},
        {"IPv6, ICMPv6", 6, 6, 0, 6, 58, -EOPNOTSUPP},
        {"IPv6, hop-by-hop beyond", 6, 6, 1, 41, 0xff, -EBADMSG},
        {"IPv6, routing beyond", 6, 6, 1, 49, 0xff, -EBADMSG},
        {"IPv6, fragment behind options", 6, 6, 1, 48, 44, -EBADMSG},
        {"IPv6, ESP behind options", 6, 6, 1, 72, 50, -EOPNOTSUPP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct test_spec spec = {.ip = r->ip, .protocol = r->protocol, .options = r->options, .payload = 8};
        struct test_frame f = test_build(&spec);
        struct vop__net_frame parsed;
        int got;

        f.bytes[(long)f.l3 + r->at] = (uint8_t)r->value;
        got = vop__net_parse(f.bytes, f.len, f.len, &parsed);
        if (got != r->expect)
            fail_msg("%s: got %d, expected %d", r->what, got, r->expect);
        free(f.bytes);
    }
}

static void test_lengths_of_ip(void **state)
{
    struct vop__net_frame parsed;

    (void)state;
    for (unsigned ip = 4; ip <= 6; ip += 2) {
        struct test_spec spec = {.ip = ip, .protocol = 6, .payload = 100};
        struct test_frame f = test_build(&spec);
        size_t field = f.l3 + (ip == 4 ? 2u : 4u);
        unsigned whole = test_get16(f.bytes + field);

        test_put16(f.bytes + field, whole - 30); /* 30 bytes of padding */
        assert_int_equal(vop__net_parse(f.bytes, f.len, f.len, &parsed), 0);
        assert_int_equal(parsed.end, f.len - 30);
        test_put16(f.bytes + field, whole - 100); /* nothing but headers */
        assert_int_equal(vop__net_parse(f.bytes, f.len, f.len, &parsed), 0);
        assert_int_equal(parsed.end, parsed.payload);
        test_put16(f.bytes + field, whole - 101); /* the IP packet ends inside TCP */
        assert_int_equal(vop__net_parse(f.bytes, f.len, f.len, &parsed), -EBADMSG);
        test_put16(f.bytes + field, 1);
        assert_int_equal(vop__net_parse(f.bytes, f.len, f.len, &parsed), -EBADMSG);
        test_put16(f.bytes + field, whole + 1);
        assert_int_equal(vop__net_parse(f.bytes, f.len, f.len, &parsed), -EBADMSG);
        test_put16(f.bytes + field, 0); /* left to the segmenter */
        assert_int_equal(vop__net_parse(f.bytes, f.len, f.len, &parsed), 0);
        assert_int_equal(parsed.end, f.len);
        free(f.bytes);
    }
}

/* Three tags, and more extension headers than anybody sends. */
static void test_limits(void **state)
{
    uint8_t frame[400] = {0};
    struct vop__net_frame parsed;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        test_put16(frame + 12 + 4 * i, 0x8100);
    assert_int_equal(vop__net_parse(frame, sizeof(frame), sizeof(frame), &parsed), -EOPNOTSUPP);

    for (unsigned count = 1; count <= 9; count++) {
        memset(frame, 0, sizeof(frame));
        test_put16(frame + 12, 0x86dd);
        frame[14] = 0x60;
        frame[14 + 6] = 60;
        for (unsigned i = 0; i < count; i++)
            frame[54 + 8 * i] = i + 1 == count ? 17 : 60;
        assert_int_equal(vop__net_parse(frame, sizeof(frame), sizeof(frame), &parsed), count <= 8 ? 0 : -EOPNOTSUPP);
    }
}

/* A packet in the payload of UDP, wherever it begins there; and nowhere else. */
static void test_inner(void **state)
{
    struct test_spec spec = {.ip = 4, .protocol = 6, .payload = 30};
    struct test_frame inner = test_build(&spec), outer;
    struct vop__net_frame around, parsed;
    size_t packet = inner.len - inner.l3;

    (void)state;
    for (unsigned before = 0; before < 30; before++) {
        struct test_spec udp = {.ip = 6, .protocol = 17, .payload = before + packet};
        size_t l3;

        outer = test_build(&udp);
        l3 = outer.payload + before;
        memcpy(outer.bytes + l3, inner.bytes + inner.l3, packet);
        assert_int_equal(vop__net_parse(outer.bytes, outer.len, outer.len, &around), 0);
        assert_int_equal(vop__net_parse_inner(outer.bytes, outer.len, &around, l3, &parsed), 0);
        assert_int_equal(parsed.l3, l3);
        assert_int_equal(parsed.l4, l3 + 20);
        assert_int_equal(parsed.end, outer.len);
        assert_int_equal(vop__net_parse_inner(outer.bytes, l3 + 19, &around, l3, &parsed), -EOPNOTSUPP);
        assert_int_equal(vop__net_parse_inner(outer.bytes, outer.len, &around, outer.len, &parsed), -EBADMSG);
        assert_int_equal(vop__net_parse_inner(outer.bytes, outer.len, &around, outer.len + 1, &parsed), -EBADMSG);
        around.end--; /* it is longer than what holds it */
        assert_int_equal(vop__net_parse_inner(outer.bytes, outer.len, &around, l3, &parsed), -EBADMSG);
        around.end++;
        around.payload = (uint16_t)(l3 + 1);
        assert_int_equal(vop__net_parse_inner(outer.bytes, outer.len, &around, l3, &parsed), -EBADMSG);
        around.payload = (uint16_t)l3;
        around.protocol = VOP__NET_TCP;
        assert_int_equal(vop__net_parse_inner(outer.bytes, outer.len, &around, l3, &parsed), -EBADMSG);
        free(outer.bytes);
    }
    free(inner.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),       cmocka_unit_test(test_cuts),   cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_lengths_of_ip), cmocka_unit_test(test_limits), cmocka_unit_test(test_inner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
