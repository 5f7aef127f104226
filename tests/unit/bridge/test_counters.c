/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_counters.c - the sum of counters forgets none of them, and no name is another counter's.
 *
 * Room: tests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "counters.h"

#include <string.h>

#define COUNT (sizeof(struct counters) / sizeof(uint64_t))

static void test_sum(void **state)
{
    uint64_t numbers[COUNT];
    uint64_t sums[COUNT];
    struct counters counters;
    struct counters sum;

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        numbers[i] = UINT64_C(1) << (i + 32);
    memcpy(&counters, numbers, sizeof(counters));
    memset(&sum, 0, sizeof(sum));
    counters_add(&sum, &counters);
    counters_add(&sum, &counters);
    memcpy(sums, &sum, sizeof(sums));
    for (size_t i = 0; i < COUNT; i++)
        assert_true(sums[i] == 2 * numbers[i]);
}

/* Each is found by its place, and has its own name. */
static void test_names(void **state)
{
    struct counters counters = {.tx_frames = 1, .rx_frames = 2, .spin_hits = 3};

    (void)state;
    assert_int_equal(COUNT, COUNTERS);
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t expected = strcmp(counter_name(i), "tx_frames") == 0   ? 1
                            : strcmp(counter_name(i), "rx_frames") == 0 ? 2
                            : strcmp(counter_name(i), "spin_hits") == 0 ? 3
                                                                        : 0;

        assert_true(counter_value(&counters, i) == expected);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(counter_name(i), counter_name(j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
