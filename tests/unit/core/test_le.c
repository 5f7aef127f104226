/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_le.c - little-endian fields: the bytes in memory, whatever the processor.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "core/barrier.h"
#include <vopipc/le.h>

static void test_bytes(void **state)
{
    vop_le16 v16 = vop_to_le16(0x1234);
    vop_le32 v32 = vop_to_le32(0x12345678);
    vop_le64 v64 = vop_to_le64(0x123456789abcdef0);

    (void)state;
    assert_memory_equal(&v16, "\x34\x12", 2);
    assert_memory_equal(&v32, "\x78\x56\x34\x12", 4);
    assert_memory_equal(&v64, "\xf0\xde\xbc\x9a\x78\x56\x34\x12", 8);
    assert_int_equal(vop_from_le16(v16), 0x1234);
    assert_int_equal(vop_from_le32(v32), 0x12345678);
    assert_int_equal(vop_from_le64(v64), 0x123456789abcdef0);
}

static void test_shared_accesses(void **state)
{
    struct {
        vop_le16 v16;
        vop_le16 guard16;
        vop_le32 v32;
        vop_le64 v64;
        vop_le32 guard32;
    } memory = {.guard16 = vop_to_le16(0xa5a5), .guard32 = vop_to_le32(0xa5a5a5a5)};

    (void)state;
    vop__store_le16(&memory.v16, 0xfedc);
    vop__store_le32(&memory.v32, 0xfedcba98);
    vop__store_le64(&memory.v64, 0xfedcba9876543210);
    assert_memory_equal(&memory.v16, "\xdc\xfe", 2);
    assert_memory_equal(&memory.v32, "\x98\xba\xdc\xfe", 4);
    assert_memory_equal(&memory.v64, "\x10\x32\x54\x76\x98\xba\xdc\xfe", 8);
    assert_int_equal(vop__load_le16(&memory.v16), 0xfedc);
    assert_int_equal(vop__load_le32(&memory.v32), 0xfedcba98);
    assert_int_equal(vop__load_le64(&memory.v64), 0xfedcba9876543210);
    assert_int_equal(vop__load_acquire_le32(&memory.v32, 'A'), 0xfedcba98);
    vop__store_release_le32(&memory.v32, 0x01020304, 'A');
    assert_memory_equal(&memory.v32, "\x04\x03\x02\x01", 4);
    assert_int_equal(vop__load_le16(&memory.guard16), 0xa5a5);
    assert_int_equal(vop__load_le32(&memory.guard32), 0xa5a5a5a5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_shared_accesses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
