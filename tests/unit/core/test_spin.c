/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_spin.c - the window follows the waits: it grows where a longer look would have caught the work, and shrinks
 * where none could.
 *
 * Room: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vopipc/spin.h>

#define US 1000

/* A struct that has learned nothing yet and does not look at all. */
static struct vop_spin make_spin(int64_t max_ns)
{
    struct vop_spin spin;

    vop_spin_init(&spin, max_ns);
    assert_int_equal(spin.window_ns, max_ns);
    spin.window_ns = 0;
    return spin;
}

static void learn_often(struct vop_spin *spin, int64_t waited_ns)
{
    for (int i = 0; i < 20; i++)
        vop_spin_learn(spin, waited_ns);
}

/* It grows step by step until a look catches waits of this length, and never beyond the maximum. */
static void test_grows(void **state)
{
    struct vop_spin spin = make_spin(50 * US);
    int64_t last = 0;

    (void)state;
    vop_spin_learn(&spin, 49 * US);
    assert_in_range(spin.window_ns, 1, 48 * US);
    for (int i = 0; i < 10; i++) {
        vop_spin_learn(&spin, 49 * US);
        assert_true(spin.window_ns >= last && spin.window_ns <= 50 * US);
        last = spin.window_ns;
    }
    assert_true(last >= 49 * US);
}

static void test_stops_where_it_helps(void **state)
{
    struct vop_spin spin = make_spin(1000 * US);

    (void)state;
    learn_often(&spin, 30 * US);
    assert_in_range(spin.window_ns, 30 * US, 60 * US);
}

/* A wait that was caught teaches nothing; one that no look could have caught halves the window, down to nothing. */
static void test_shrinks(void **state)
{
    struct vop_spin spin;

    (void)state;
    vop_spin_init(&spin, 50 * US);
    vop_spin_learn(&spin, 0);
    vop_spin_learn(&spin, 50 * US);
    assert_int_equal(spin.window_ns, 50 * US);
    vop_spin_learn(&spin, 50 * US + 1);
    assert_int_equal(spin.window_ns, 25 * US);
    learn_often(&spin, INT64_MAX);
    assert_int_equal(spin.window_ns, 0);
}

static void test_never(void **state)
{
    struct vop_spin spin = make_spin(0);

    (void)state;
    learn_often(&spin, 0);
    learn_often(&spin, 10 * US);
    assert_int_equal(spin.window_ns, 0);
}

static void test_forever(void **state)
{
    struct vop_spin spin;

    (void)state;
    vop_spin_init(&spin, INT64_MAX);
    learn_often(&spin, 1000 * US);
    learn_often(&spin, INT64_MAX);
    assert_true(spin.window_ns == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),   cmocka_unit_test(test_stops_where_it_helps),
        cmocka_unit_test(test_shrinks), cmocka_unit_test(test_never),
        cmocka_unit_test(test_forever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
