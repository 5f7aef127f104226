/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_geometry.c - geometry: limits, the smaller of two offers, where everything lies.
 *
 * Room: tests.
 */
#include "unit/native/util_queue.h"

#include "core/error.h"
#include "native/geometry.h"
#include "support/geometry.h"

#include <vopipc/channel.h>

static bool legal(uint32_t pairs, uint32_t n, uint32_t s)
{
    struct vop__geometry g = EVEN(pairs, n, s);
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
    struct vop__geometry pairs = EVEN(65, 256, 2048), size = EVEN(1, 300, 2048), slot = EVEN(1, 256, 100);
    struct vop__geometry pool = EVEN(1, 32768, 65536), sends = EVEN(1, 256, 2048);

    (void)state;
    vop__geometry_check(&pairs);
    assert_non_null(strstr(vop_error_text(), "65 queue pairs"));
    vop__geometry_check(&size);
    assert_non_null(strstr(vop_error_text(), "queue size 300"));
    vop__geometry_check(&slot);
    assert_non_null(strstr(vop_error_text(), "slot size 100"));
    vop__geometry_check(&pool);
    assert_non_null(strstr(vop_error_text(), "32768 slots of 65536 bytes"));
    assert_int_equal(vop__geometry_check(&sends), 0);
    sends.send.slot_size = 96;
    assert_int_equal(vop__geometry_check(&sends), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "slot size 96"));
    sends.send.slot_size = 0;
    assert_int_equal(vop__geometry_check(&sends), -EINVAL); /* one of two values is not none */
    sends.send.queue_size = 0;
    assert_int_equal(vop__geometry_check(&sends), 0);
}

static void expect_slots(const struct vop__slots *slots, uint32_t queue_size, uint32_t slot_size)
{
    assert_int_equal(slots->queue_size, queue_size);
    assert_int_equal(slots->slot_size, slot_size);
}

static void test_combine(void **state)
{
    struct vop__geometry a = EVEN(4, 256, 4096), b = EVEN(2, 1024, 192);
    struct vop__geometry ab = vop__geometry_combine(&a, &b), ba = vop__geometry_combine(&b, &a);

    (void)state;
    assert_int_equal(ab.queue_pairs, 2);
    expect_slots(&ab.receive, 256, 192);
    expect_slots(&ab.send, 256, 192);
    assert_memory_equal(&ab, &ba, sizeof(ab));
}

/* Each direction by itself, and each side sees the other's with the names exchanged. */
static void test_combine_uneven(void **state)
{
    struct vop__geometry a = {1, {16, 128}, {256, 1024}}, b = {1, {128, 2048}, {64, 64}};
    struct vop__geometry ab = vop__geometry_combine(&a, &b), ba = vop__geometry_combine(&b, &a);

    (void)state;
    expect_slots(&ab.receive, 16, 64);
    expect_slots(&ab.send, 128, 1024);
    assert_memory_equal(&ab.receive, &ba.send, sizeof(ab.receive));
    assert_memory_equal(&ab.send, &ba.receive, sizeof(ab.send));
    assert_int_equal(vop__geometry_half_size(&ab, false), vop__geometry_half_size(&ba, true));
    assert_int_equal(vop__geometry_half_size(&ab, true), vop__geometry_half_size(&ba, false));
}

/* A peer that does not say what it sends has one geometry for both. */
static void test_combine_with_older(void **state)
{
    struct vop__geometry a = {1, {16, 1024}, {256, 64}}, older = {1, {64, 128}, {0, 0}};
    struct vop__geometry ab = vop__geometry_combine(&a, &older), ba = vop__geometry_combine(&older, &a);

    (void)state;
    expect_slots(&ab.receive, 16, 128);
    expect_slots(&ab.send, 16, 128);
    assert_memory_equal(&ab, &ba, sizeof(ab));
}

/* Whatever the peer offers, the halves made for an offer are large enough. */
static void test_offer_size(void **state)
{
    static const uint32_t sizes[] = {2, 16, 1024}, slots[] = {64, 2048};
    struct vop__geometry offer[81];
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < 36; i++) {
        unsigned k = i / 4;

        offer[count++] = (struct vop__geometry){1, {sizes[k % 3], slots[i % 2]}, {sizes[k / 3], slots[i / 2 % 2]}};
    }
    for (unsigned i = 0; i < 6; i++)
        offer[count++] = (struct vop__geometry){1, {sizes[i % 3], slots[i / 3]}, {0, 0}};
    for (unsigned i = 0; i < count; i++) {
        uint64_t size = vop__geometry_offer_size(&offer[i]), largest = 0;

        for (unsigned j = 0; j < count; j++) {
            struct vop__geometry g = vop__geometry_combine(&offer[i], &offer[j]);

            for (unsigned remote = 0; remote < 2; remote++) {
                uint64_t half = vop__geometry_half_size(&g, remote);

                largest = half > largest ? half : largest;
            }
        }
        assert_int_equal(size, largest);
    }
}

static void compare(uint32_t pairs, uint32_t n, uint32_t s)
{
    struct vop__geometry g = EVEN(pairs, n, s);
    size_t end = 0x1000, pool_end;

    assert_int_equal(vop__geometry_half_size(&g, false), queue_offsets(pairs, n, s, 0).size);
    assert_int_equal(vop__geometry_pool_size(&g.receive), (size_t)n * s);
    for (uint32_t q = 0; q < pairs; q++) {
        struct offsets o = queue_offsets(pairs, n, s, q);
        struct vop__areas l = vop__geometry_areas(&g, false, q);

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
        size_t pool = vop__geometry_areas(&g, false, q).pool;

        assert_true(pool >= pool_end);
        pool_end = pool + (size_t)n * s;
    }
    assert_true(vop__geometry_half_size(&g, false) >= pool_end);
    assert_int_equal(vop__geometry_half_size(&g, false) % 4096, 0);
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
    struct vop__geometry g = EVEN(2, 256, 2048);
    struct vop__areas l0 = vop__geometry_areas(&g, false, 0), l1 = vop__geometry_areas(&g, false, 1);

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
    assert_int_equal(vop__geometry_half_size(&g, false), 0x105000);
}

/* Rings that one side's queue and the other's have different numbers of entries in. */
static void test_uneven_places(void **state)
{
    struct vop__geometry g = {3, {16, 192}, {1024, 64}};

    (void)state;
    for (unsigned remote = 0; remote < 2; remote++) {
        const struct vop__slots *writer = remote ? &g.receive : &g.send, *reader = remote ? &g.send : &g.receive;

        for (unsigned q = 0; q < 3; q++) {
            struct offsets o = queue_offsets_uneven(3, writer->queue_size, reader->queue_size, reader->slot_size, q);
            struct vop__areas l = vop__geometry_areas(&g, remote, q);

            assert_int_equal(l.desc, o.desc);
            assert_int_equal(l.avail, o.avail);
            assert_int_equal(l.used_event, o.used_event);
            assert_int_equal(l.used, o.used);
            assert_int_equal(l.avail_event, o.avail_event);
            assert_int_equal(l.pool, o.pool);
            assert_int_equal(vop__geometry_half_size(&g, remote), o.size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_say_which),
        cmocka_unit_test(test_combine),
        cmocka_unit_test(test_combine_uneven),
        cmocka_unit_test(test_combine_with_older),
        cmocka_unit_test(test_offer_size),
        cmocka_unit_test(test_uneven_places),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
