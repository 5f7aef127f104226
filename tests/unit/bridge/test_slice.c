/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_slice.c - slices of the processor: short ones, those of the system again, and a policy that is left alone.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sched_getattr(2): the slice is the number of eight bytes behind 24 others. */
static uint64_t get_slice(void)
{
    uint64_t attributes[6] = {0};

    check(syscall(SYS_sched_getattr, 0, attributes, sizeof(attributes), 0) == 0);
    return attributes[3];
}

static void test_short(void **state)
{
    uint64_t before;

    (void)state;
    slice_set(false);
    before = get_slice();
    if (before == 0) {
        print_message("    this kernel says nothing of slices\n");
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        slice_set(true);
        assert_int_equal(get_slice(), 100000);
        slice_set(false);
        assert_int_equal(get_slice(), before);
    }
}

static void test_other_policy(void **state)
{
    const struct sched_param none = {0};

    (void)state;
    check(sched_setscheduler(0, SCHED_BATCH, &none) == 0);
    slice_set(true);
    assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
    assert_int_not_equal(get_slice(), 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short),
        cmocka_unit_test(test_other_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
