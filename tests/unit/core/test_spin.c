/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_spin.c - looking for work goes on where it finds some, stops where it does not, and is tried again now and then.
 *
 * Room: tests. A peer is played whose answer comes some time after the question; or, on the same processor, some time
 * after this side sleeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vopipc/spin.h>

#define US 1000
#define WAKE (10 * US) /* added to an answer that finds this side asleep */

/* What waits cost in all, in nanoseconds. */
struct cost {
    int64_t spent;
    unsigned sleeps, looks_in_vain;
};

/* The answer takes `ns`, whether this side looks or sleeps: two processors. */
static void wait_for(struct vop_spin *spin, int64_t ns, struct cost *cost)
{
    if (ns <= spin->window_ns) {
        cost->spent += ns;
        vop_spin_learn(spin, ns, false);
        return;
    }
    cost->sleeps++;
    cost->looks_in_vain += spin->window_ns > 0;
    cost->spent += ns + WAKE;
    vop_spin_learn(spin, ns + WAKE, true);
}

/* The answer takes `ns` from when this side sleeps: one processor for both. */
static void wait_on_one(struct vop_spin *spin, int64_t ns, struct cost *cost)
{
    int64_t waited = spin->window_ns + ns;

    cost->sleeps++;
    cost->looks_in_vain += spin->window_ns > 0;
    cost->spent += waited;
    vop_spin_learn(spin, waited, true);
}

static void test_two_processors(void **state)
{
    struct cost cost = {0};
    struct vop_spin spin;

    (void)state;
    vop_spin_init(&spin, 50 * US);
    for (unsigned i = 0; i < 11000; i++)
        wait_for(&spin, 2 * US, &cost);
    assert_int_equal(cost.sleeps, 0);
}

/* Looking can find nothing here, and costs at most half as much again as never looking: in all, and for nearly all. */
static void test_one_processor(void **state)
{
    struct cost cost = {0};
    struct vop_spin spin;

    (void)state;
    vop_spin_init(&spin, 50 * US);
    for (unsigned i = 0; i < 11000; i++)
        wait_on_one(&spin, 7 * US, &cost);
    assert_true(cost.spent < 11000 * (int64_t)(7 * US) * 3 / 2);
    assert_true(cost.looks_in_vain < 110); /* the 99th percentile is that of sleeping */
}

/* A peer that moves to another processor, and back: found out both times. */
static void test_moves(void **state)
{
    struct cost cost = {0};
    struct vop_spin spin;

    (void)state;
    vop_spin_init(&spin, 50 * US);
    for (unsigned i = 0; i < 11000; i++)
        wait_on_one(&spin, 7 * US, &cost);
    for (unsigned i = 0; i < 3000; i++)
        wait_for(&spin, 2 * US, &cost);
    cost = (struct cost){0};
    for (unsigned i = 0; i < 1000; i++)
        wait_for(&spin, 2 * US, &cost);
    assert_int_equal(cost.sleeps, 0);
    for (unsigned i = 0; i < 11000; i++)
        wait_on_one(&spin, 7 * US, &cost);
    assert_true(cost.looks_in_vain < 110);
}

/* One long wait in many short ones does not end it; long ones alone do, and then nothing is tried. */
static void test_idle(void **state)
{
    struct cost cost = {0};
    struct vop_spin spin;

    (void)state;
    vop_spin_init(&spin, 50 * US);
    for (unsigned i = 0; i < 1000; i++)
        wait_for(&spin, i % 50 ? 2 * US : 5000 * US, &cost);
    assert_true(cost.sleeps <= 30);
    for (unsigned i = 0; i < 100; i++)
        wait_for(&spin, 5000 * US, &cost);
    cost = (struct cost){0};
    for (unsigned i = 0; i < 1000; i++)
        wait_for(&spin, 5000 * US, &cost);
    assert_int_equal(cost.looks_in_vain, 0);
    for (unsigned i = 0; i < 100; i++)
        vop_spin_learn(&spin, INT64_MAX, true); /* nor when nothing comes */
    assert_int_equal(spin.window_ns, 0);
}

/* A trial looks for twice as long as would have been enough, and never longer than the maximum. */
static void test_length_of_a_trial(void **state)
{
    struct vop_spin spin;

    (void)state;
    vop_spin_init(&spin, 1000 * US);
    spin.window_ns = 0;
    vop_spin_learn(&spin, 30 * US, true);
    assert_int_equal(spin.window_ns, 60 * US);
    vop_spin_init(&spin, 50 * US);
    spin.window_ns = 0;
    vop_spin_learn(&spin, 49 * US, true);
    assert_int_equal(spin.window_ns, 50 * US);
    vop_spin_init(&spin, 50 * US);
    spin.window_ns = 0;
    vop_spin_learn(&spin, 51 * US, true);
    assert_int_equal(spin.window_ns, 0);
}

static void test_fixed(void **state)
{
    static const int64_t fixed[] = {0, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        struct vop_spin spin;

        vop_spin_init(&spin, fixed[i]);
        for (unsigned n = 0; n < 100; n++) {
            vop_spin_learn(&spin, INT64_MAX, true);
            vop_spin_learn(&spin, 0, true);
            vop_spin_learn(&spin, 0, false);
        }
        assert_true(spin.window_ns == fixed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_processors), cmocka_unit_test(test_one_processor),     cmocka_unit_test(test_moves),
        cmocka_unit_test(test_idle),           cmocka_unit_test(test_length_of_a_trial), cmocka_unit_test(test_fixed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
