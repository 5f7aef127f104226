/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_counters.c - the sum of counters forgets none of them.
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
