/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_spin.c - the spinning window follows what it could have caught.
 *
 * Room: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spin.h"

/* One sleep of `us` microseconds; returns the window afterwards. */
static uint64_t sleep_for(struct spin *spin, uint64_t us)
{
    static uint64_t now = 1000000;

    assert_int_equal(spin_begin(spin, now), now + spin->window_ns);
    now += us * 1000;
    spin_woken(spin, now);
    return spin->window_ns;
}

static void test_grows(void **state)
{
    struct spin spin;
    uint64_t last = 0;

    (void)state;
    spin_init(&spin, 50, 2);
    assert_int_equal(spin.window_ns, 0);
    for (int i = 0; i < 10; i++) {
        uint64_t window = sleep_for(&spin, 49);

        assert_true(window >= last && window <= 50000);
        last = window;
    }
    assert_true(last >= 49000); /* now a look catches it */
}

static void test_stops_where_it_helps(void **state)
{
    struct spin spin;

    (void)state;
    spin_init(&spin, 1000, 2);
    for (int i = 0; i < 20; i++)
        sleep_for(&spin, 30);
    assert_in_range(spin.window_ns, 30000, 100000);
}

static void test_shrinks(void **state)
{
    struct spin spin;

    (void)state;
    spin_init(&spin, 50, 2);
    for (int i = 0; i < 10; i++)
        sleep_for(&spin, 40);
    for (int i = 0; i < 10; i++)
        sleep_for(&spin, 1000);
    assert_int_equal(spin.window_ns, 0);
}

static void test_never(void **state)
{
    struct spin spin;

    (void)state;
    spin_init(&spin, 50, 1); /* whoever we wait for needs this processor */
    assert_int_equal(sleep_for(&spin, 10), 0);
    assert_int_equal(sleep_for(&spin, 0), 0);
    spin_init(&spin, 0, 8);
    assert_int_equal(sleep_for(&spin, 10), 0);
    assert_int_equal(sleep_for(&spin, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_stops_where_it_helps),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_never),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
