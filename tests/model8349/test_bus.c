/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_bus.c - windows and bus of the model: where addresses lead, what waits on the bus and what pushes it, resets.
 *
 * Room: tests.
 */
#include "model8349/util_part.h"

static struct m8349 m;

static void test_windows(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    assert_int_equal(m8349_bar1_size(&m), BLOCK_SIZE);
    m8349_host_store(&m, 1, 8, 4, 0x11223344);
    assert_int_equal(part_dram[BLOCK + 8], 0x44);
    assert_int_equal(m8349_host_load(&m, 1, 8, 2), 0x3344);
    m8349_core_store(&m, M8349_OUTBOUND + HOST + 4, 4, 0xaabbccdd);
    assert_int_equal(part_host[4], 0xdd);
    assert_int_equal(m8349_core_load(&m, M8349_OUTBOUND + HOST + 6, 1), 0xbb);
    assert_int_equal(m8349_core_load(&m, BLOCK + 8, 4), 0x11223344);
    assert_int_equal(m.counts.host_loads, 1);
    assert_int_equal(m.counts.host_stores, 1);
    assert_int_equal(m.counts.core_loads, 1);
    assert_int_equal(m.counts.core_stores, 1);
    assert_int_equal(m.counts.bus_bytes, 4 + 2 + 4 + 1);
    assert_int_equal(m.counts.aborts, 0);
}

/* The window need not begin at bus address 0. */
static void test_bus_base(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    m8349_boot(&m, BLOCK, BLOCK_SIZE, 0x40000000);
    m8349_core_store(&m, M8349_OUTBOUND + 4, 4, 1);
    assert_int_equal(m.counts.aborts, 1); /* bus address 0x40000004 */
    m8349_boot(&m, BLOCK, BLOCK_SIZE, 0);
    m.outbound[0][2] = MPC8349_POCMR_EN | 0xffff0; /* 64 KiB, */
    m.outbound[0][0] = HOST >> MPC8349_PAGE_SHIFT; /* to the host's memory */
    m8349_core_store(&m, M8349_OUTBOUND + 0xfffc, 4, 2);
    assert_int_equal(part_host[0xfffc], 2);
    m8349_core_store(&m, M8349_OUTBOUND + 0x10000, 4, 3); /* behind it */
    assert_int_equal(m.counts.aborts, 2);
}

static void test_master_abort(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    assert_int_equal(m8349_core_load(&m, M8349_OUTBOUND + HOST + HOST_SIZE, 4), UINT32_MAX);
    assert_int_equal(m8349_core_load(&m, M8349_OUTBOUND + HOST + HOST_SIZE, 1), 0xff);
    assert_int_equal(m8349_core_load(&m, 0x40000000, 4), UINT32_MAX); /* nowhere */
    m8349_core_store(&m, M8349_OUTBOUND + HOST + HOST_SIZE, 4, 1);
    assert_int_equal(m8349_host_load(&m, 1, BLOCK_SIZE, 4), UINT32_MAX);
    m8349_host_store(&m, 1, BLOCK_SIZE, 4, 1);
    assert_int_equal(m.counts.aborts, 6);
    assert_true(m8349_configure(&m, true, false)); /* bus master off: the board reaches nothing */
    m8349_core_store(&m, M8349_OUTBOUND + HOST, 4, 1);
    assert_int_equal(part_host[0], 0);
    assert_int_equal(m.counts.aborts, 7);
}

static void test_posted(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.posted = 4});
    m8349_core_store(&m, M8349_OUTBOUND + HOST, 4, 7);
    core_out(&m, MPC8349_ODR, 1);
    assert_true(m8349_inta(&m)); /* the pin overtakes the store, */
    assert_int_equal(part_host[0], 0);
    assert_int_equal(host_in(&m, MPC8349_ODR), 1); /* and the answer to a load does not */
    assert_int_equal(part_host[0], 7);

    m8349_host_store(&m, 1, 0, 4, 9);
    host_out(&m, MPC8349_IDR, 1);
    assert_int_equal(part_dram[BLOCK], 0);
    assert_false(m8349_core_irq(&m));
    for (unsigned i = 0; i < 4; i++)
        m8349_step(&m);
    assert_int_equal(part_dram[BLOCK], 9); /* a doorbell to the board comes after what was stored before */
    assert_true(m8349_core_irq(&m));

    m8349_core_store(&m, M8349_OUTBOUND + HOST + 4, 4, 5);
    m8349_host_store(&m, 1, 4, 4, 6);
    assert_int_equal(m8349_core_load(&m, M8349_OUTBOUND + HOST + 4, 4), 5);
    assert_int_equal(part_dram[BLOCK + 4], 6); /* the completion pushed it */
}

/* So many that the first ones are pushed ahead, in order. */
static void test_full(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.posted = 1000});
    for (unsigned i = 0; i < M8349_QUEUE + 2; i++)
        m8349_host_store(&m, 1, 4 * i, 4, i + 1);
    assert_int_equal(part_dram[BLOCK + 4], 2);
    assert_int_equal(part_dram[BLOCK + 8], 0);
    part_settle(&m);
    assert_int_equal(part_dram[BLOCK + 4 * M8349_QUEUE + 4], (M8349_QUEUE + 2) % 256);
}

static void test_reset(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.posted = 2, .is_locked = true, .seed = 5});
    host_out(&m, MPC8349_OMR1, 0x56100004);
    assert_int_equal(host_in(&m, MPC8349_OMR1), 0x56100004);
    core_out(&m, MPC8349_ODR, 1);
    m8349_host_store(&m, 1, 0, 4, 9);
    m8349_begin_reset(&m);
    assert_false(m8349_inta(&m));
    assert_int_equal(host_in(&m, MPC8349_OMR1), UINT32_MAX);
    assert_false(m8349_configure(&m, true, true));
    m8349_end_reset(&m);
    assert_int_equal(part_dram[BLOCK], 0);                   /* it was on the bus */
    assert_int_equal(host_in(&m, MPC8349_OMR1), UINT32_MAX); /* not configured */
    assert_false(m8349_configure(&m, true, true));           /* and locked, until its firmware has come so far */
    m8349_boot(&m, BLOCK, BLOCK_SIZE, 0);
    assert_int_not_equal(host_in(&m, MPC8349_OMR1), 0x56100004);
    assert_int_equal(host_in(&m, MPC8349_ODR), 0);
    assert_false(m8349_inta(&m));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows), cmocka_unit_test(test_bus_base), cmocka_unit_test(test_master_abort),
        cmocka_unit_test(test_posted),  cmocka_unit_test(test_full),     cmocka_unit_test(test_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
