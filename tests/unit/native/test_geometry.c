/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_geometry.c - geometry: limits, the smaller of two offers, where everything lies.
 *
 * Room: tests.
 */
#include "unit/native/util_queue.h"

#include "core/error.h"
#include "native/geometry.h"

#include <vopipc/channel.h>

static bool legal(uint32_t pairs, uint32_t n, uint32_t s)
{
    struct vop__geometry g = {pairs, n, s};
    int ret = vop__geometry_check(&g);

    check(ret == 0 || ret == -EINVAL);
    return ret == 0;
}

static void test_limits(void **state)
{
    (void)state;
    for (uint32_t pairs = 0; pairs < 200; pairs++)
        assert_int_equal(legal(pairs, 2, 64), pairs >= 1 && pairs <= 64);
    for (uint32_t n = 0; n < 70000; n++)
        assert_int_equal(legal(1, n, 64), n >= 2 && n <= 32768 && __builtin_popcount(n) == 1);
    for (uint32_t s = 0; s < 2200000; s++)
        assert_int_equal(legal(1, 2, s), s >= 64 && s <= 1048576 && s % 64 == 0);
    assert_false(legal(UINT32_MAX, 2, 64));
    assert_false(legal(1, 1u << 31, 64));
    assert_false(legal(1, 2, 0xffffffc0u));
    assert_true(legal(1, 32768, 32768)); /* 1 GiB */
    assert_false(legal(1, 32768, 32832));
    assert_true(legal(1, 1024, 1048576));
    assert_false(legal(1, 2048, 1048576));
    assert_false(legal(1, 32768, 131072)); /* 4 GiB: 0 in 32 bits */
}

static void test_limits_say_which(void **state)
{
    struct vop__geometry pairs = {65, 256, 2048}, size = {1, 300, 2048}, slot = {1, 256, 100}, pool = {1, 32768, 65536};

    (void)state;
    vop__geometry_check(&pairs);
    assert_non_null(strstr(vop_error_text(), "65 queue pairs"));
    vop__geometry_check(&size);
    assert_non_null(strstr(vop_error_text(), "queue size 300"));
    vop__geometry_check(&slot);
    assert_non_null(strstr(vop_error_text(), "slot size 100"));
    vop__geometry_check(&pool);
    assert_non_null(strstr(vop_error_text(), "32768 slots of 65536 bytes"));
}

static void test_combine(void **state)
{
    struct vop__geometry a = {4, 256, 4096}, b = {2, 1024, 192};
    struct vop__geometry ab = vop__geometry_combine(&a, &b), ba = vop__geometry_combine(&b, &a);

    (void)state;
    assert_int_equal(ab.queue_pairs, 2);
    assert_int_equal(ab.queue_size, 256);
    assert_int_equal(ab.slot_size, 192);
    assert_memory_equal(&ab, &ba, sizeof(ab));
}

static void compare(uint32_t pairs, uint32_t n, uint32_t s)
{
    struct vop__geometry g = {pairs, n, s};
    size_t end = 0x1000, pool_end;

    assert_int_equal(vop__geometry_half_size(&g), queue_offsets(pairs, n, s, 0).size);
    assert_int_equal(vop__geometry_pool_size(&g), (size_t)n * s);
    for (uint32_t q = 0; q < pairs; q++) {
        struct offsets o = queue_offsets(pairs, n, s, q);
        struct vop__areas l = vop__geometry_areas(&g, q);

        assert_int_equal(l.desc, o.desc);
        assert_int_equal(l.avail, o.avail);
        assert_int_equal(l.used_event, o.used_event);
        assert_int_equal(l.used, o.used);
        assert_int_equal(l.avail_event, o.avail_event);
        assert_int_equal(l.pool, o.pool);
        /* In order, without overlap, aligned; words that different sides write share no pair of cache lines. */
        assert_true(l.desc >= end && l.avail >= l.desc + 16 * (size_t)n);
        assert_true(l.used_event == l.avail + 4 + 2 * (size_t)n && l.used >= l.used_event + 4);
        assert_true(l.avail_event == l.used + 4 + 8 * (size_t)n);
        assert_true(l.desc % 128 == 0 && l.avail % 128 == 0 && l.used % 128 == 0);
        assert_true(l.used_event % 4 == 0 && l.avail_event % 4 == 0 && l.pool % 4096 == 0);
        end = l.avail_event + 4;
    }
    pool_end = end;
    for (uint32_t q = 0; q < pairs; q++) {
        size_t pool = vop__geometry_areas(&g, q).pool;

        assert_true(pool >= pool_end);
        pool_end = pool + (size_t)n * s;
    }
    assert_true(vop__geometry_half_size(&g) >= pool_end);
    assert_int_equal(vop__geometry_half_size(&g) % 4096, 0);
}

static void test_places(void **state)
{
    static const uint32_t slots[] = {64, 128, 192, 1024, 1536, 2048, 4096, 65536, 1048576};
    static const uint32_t pairs[] = {1, 2, 3, 64};

    (void)state;
    for (uint32_t n = 2; n <= 32768; n *= 2) {
        for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
            for (size_t j = 0; j < 4; j++) {
                if (legal(pairs[j], n, slots[i]) &&
                    (uint64_t)pairs[j] * n * slots[i] < SIZE_MAX / 2) /* fits a process */
                    compare(pairs[j], n, slots[i]);
            }
        }
    }
}

/* Two numbers worked out by hand, in case both computations share a mistake. */
static void test_by_hand(void **state)
{
    struct vop__geometry g = {2, 256, 2048};
    struct vop__areas l0 = vop__geometry_areas(&g, 0), l1 = vop__geometry_areas(&g, 1);

    (void)state;
    assert_int_equal(l0.desc, 0x1000);
    assert_int_equal(l0.avail, 0x2000);       /* 16 x 256 further */
    assert_int_equal(l0.used_event, 0x2204);  /* 4 + 512 */
    assert_int_equal(l0.used, 0x2280);        /* 0x2208 up to 128 */
    assert_int_equal(l0.avail_event, 0x2a84); /* 4 + 2048 */
    assert_int_equal(l1.desc, 0x2b00);        /* 0x2a88 up to 128 */
    assert_int_equal(l1.avail_event, 0x4584);
    assert_int_equal(l0.pool, 0x5000); /* 0x4588 up to 4096 */
    assert_int_equal(l1.pool, 0x85000);
    assert_int_equal(vop__geometry_half_size(&g), 0x105000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits), cmocka_unit_test(test_limits_say_which), cmocka_unit_test(test_combine),
        cmocka_unit_test(test_places), cmocka_unit_test(test_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
