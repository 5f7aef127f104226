/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_setup.c - when the kernel's queue is called too short, and when it is not.
 *
 * Room: tests.
 */
#include "offload.h"
#include "setup.h"
#include "support/test.h"

static void test_queue_length(void **state)
{
    (void)state;
    assert_int_equal(setup_queue_length(1000, 1500, OFFLOAD_ALL), 0); /* what the kernel has by itself */
    assert_int_equal(setup_queue_length(64, 1500, OFFLOAD_ALL), 0);
    assert_true(setup_queue_length(10, 1500, OFFLOAD_ALL) > 64);
    assert_int_equal(setup_queue_length(1000, 9000, 0), 0);
    assert_true(setup_queue_length(1000, 1500, 0) > 4000);
    assert_true(setup_queue_length(1000, 1500, OFFLOAD_CSUM) > 4000);
    assert_int_equal(setup_queue_length(setup_queue_length(1000, 1500, 0), 1500, 0), 0); /* its own advice */
    assert_int_equal(setup_queue_length(UINT32_MAX, UINT32_MAX, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_queue_length)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
