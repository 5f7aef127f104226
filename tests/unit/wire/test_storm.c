/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_storm.c - how many interrupts are let through in a tenth of a second, and when the next one is.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "wire/storm.h"

static bool is_over_soon(struct vop__storm *s)
{
    double begin = test_seconds();

    while (!vop__storm_is_over(s)) {
        if (test_seconds() - begin > 20)
            return false;
    }
    return true;
}

static void test_bound(void **state)
{
    struct vop__storm s = {.most = 1000000, .is_listening = true};

    (void)state;
    (void)vop__storm_take(&s);
    s.begin = vop__storm_now();
    s.most = 100;
    s.count = 0;
    for (unsigned i = 0; i < 100; i++)
        assert_true(vop__storm_take(&s));
    s.begin = vop__storm_now(); /* however long that took */
    assert_false(vop__storm_take(&s));
    assert_int_equal(s.storms, 1);
    assert_true(is_over_soon(&s));
    assert_false(vop__storm_is_over(&s)); /* once */
    assert_true(vop__storm_take(&s));
}

static void test_calm(void **state)
{
    struct vop__storm s = {.most = 100, .is_listening = true};

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        s.begin = vop__storm_now();
        assert_true(vop__storm_take(&s));
        if (i % 100 == 99)
            vop__storm_calm(&s);
    }
    assert_int_equal(s.storms, 0);
}

/* Many that are far apart are no storm. */
static void test_time(void **state)
{
    struct vop__storm s = {.most = 1, .is_listening = true};

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        s.begin -= 2 * VOP__STORM_MS;
        assert_true(vop__storm_take(&s));
    }
}

static void test_pause(void **state)
{
    struct vop__storm s = {.most = 100, .is_listening = true};

    (void)state;
    vop__storm_pause(&s);
    assert_false(s.is_listening);
    assert_true(is_over_soon(&s));
    assert_true(s.is_listening);
    assert_int_equal(s.storms, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {TEST(test_bound), TEST(test_calm), TEST(test_time), TEST(test_pause)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
