/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sum.c - the fast sum of lib/net/sum.c against RFC 1071 and against the slow sum of the tests.
 *
 * Room: tests.
 */
#include "frame.h"

#include "net/sum.h"

static void test_vectors(void **state)
{
    static const uint8_t rfc1071[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}; /* RFC 1071, 3 */
    static const uint8_t ipv4[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                   0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};

    (void)state;
    assert_int_equal(vop__net_sum(rfc1071, sizeof(rfc1071)), 0xddf2);
    assert_int_equal(vop__net_sum(ipv4, sizeof(ipv4)), 0xffff - 0xb861);
    assert_int_equal(vop__net_sum(rfc1071, 0), 0);
    assert_int_equal(vop__net_sum("\x12", 1), 0x1200);
    assert_int_equal(vop__net_sum("\x12\x34\x56", 3), 0x6834);
}

static void test_every_length_and_alignment(void **state)
{
    uint8_t room[400];
    uint32_t random = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(room); i++) {
        random = random * 1664525u + 1013904223u;
        room[i] = (uint8_t)(random >> 24);
    }
    for (size_t at = 0; at < 16; at++) {
        for (size_t len = 0; len <= 300; len++)
            assert_int_equal(vop__net_sum(room + at, len), test_sum(0, room + at, len));
    }
}

static void test_carries(void **state)
{
    static const uint8_t fills[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    uint8_t *room = malloc(FRAME_MAX);

    (void)state;
    assert_non_null(room);
    for (size_t i = 0; i < sizeof(fills); i++) {
        memset(room, fills[i], FRAME_MAX);
        for (size_t len = 65500; len < 65600; len++)
            assert_int_equal(vop__net_sum(room, len), test_sum(0, room, len));
    }
    /* one accumulator at a time at its limit */
    for (size_t word = 0; word < 8; word++) {
        memset(room, 0, 64);
        memset(room + 8 * word, 0xff, 8);
        room[63] = 1;
        assert_int_equal(vop__net_sum(room, 64), test_sum(0, room, 64));
    }
    free(room);
}

static void test_fold_and_order(void **state)
{
    uint8_t bytes[4];

    (void)state;
    assert_int_equal(vop__net_fold(0), 0);
    assert_int_equal(vop__net_fold(0xffff), 0xffff);
    assert_int_equal(vop__net_fold(0x10000), 1);
    assert_int_equal(vop__net_fold(0xffffffff), 0xffff);
    assert_int_equal(vop__net_fold(0x1ffff), 1);
    vop__net_put32(bytes, 0x12345678);
    assert_memory_equal(bytes, "\x12\x34\x56\x78", 4);
    assert_int_equal(vop__net_get32(bytes), 0x12345678);
    assert_int_equal(vop__net_get16(bytes + 1), 0x3456);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_every_length_and_alignment),
        cmocka_unit_test(test_carries),
        cmocka_unit_test(test_fold_and_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
