/* SPDX-License-Identifier: BSD-3-Clause */
/* test_rng.c - random numbers of the device reach the driver. */
#include "support/test.h"
#include "unit/standard/util_pair.h"

#include <vopipc/rng.h>

static uint8_t got[10000];
static size_t got_size;

static bool read_all(void *context)
{
    int ret;

    while ((ret = vop_rng_read(context, got + got_size, sizeof(got) - got_size)) > 0)
        got_size += (size_t)ret;
    assert_true(ret == -EAGAIN || got_size == sizeof(got));
    return got_size == sizeof(got);
}

static void test_numbers(void **state)
{
    (void)state;
    for (unsigned k = 0; k < pair_kind_count; k++) {
        unsigned seen[256] = {0};
        struct pair p;
        vop_device *device;

        assert_int_equal(vop_rng_device_new(&device), 0);
        pair_open(&p, &pair_kinds[k], device, vop_rng_driver(), NULL);
        memset(got, 0, sizeof(got));
        got_size = 0;
        pair_run(&p, read_all, vop_bus_instance(p.d));
        for (size_t i = 0; i < sizeof(got); i++)
            seen[got[i]]++;
        for (unsigned i = 0; i < 256; i++)
            assert_true(seen[i] > 0 && seen[i] < 200); /* of 39: all but certain */
        pair_close(&p);
    }
}

/* A request that is under way when the device goes. */
static void test_removal(void **state)
{
    struct pair p;
    vop_device *device;
    uint8_t byte;

    (void)state;
    assert_int_equal(vop_rng_device_new(&device), 0);
    pair_open(&p, &pair_kinds[0], device, vop_rng_driver(), NULL);
    assert_int_equal(vop_rng_read(vop_bus_instance(p.d), &byte, 1), -EAGAIN);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_numbers, test_guard),
        cmocka_unit_test_setup(test_removal, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
