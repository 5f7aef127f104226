/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_registers.c - the messaging unit of the model: who sets and who clears, levels, masks, what is not known,
 * faults.
 *
 * Room: tests.
 */
#include "model8349/util_part.h"

static struct m8349 m;

static void test_doorbell_to_board(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    host_out(&m, MPC8349_IDR, 0x5);
    host_out(&m, MPC8349_IDR, 0x4); /* twice is once */
    assert_int_equal(core_in(&m, MPC8349_IDR), 0x5);
    assert_int_equal(core_in(&m, MPC8349_IMISR), MPC8349_DI);
    assert_true(m8349_core_irq(&m));
    assert_false(m8349_inta(&m));
    core_out(&m, MPC8349_IDR, 0x1);
    assert_true(m8349_core_irq(&m)); /* a level: bit 2 is there */
    core_out(&m, MPC8349_IMISR, UINT32_MAX);
    assert_true(m8349_core_irq(&m)); /* and is cleared in IDR alone */
    core_out(&m, MPC8349_IDR, 0x4);
    assert_false(m8349_core_irq(&m));
    assert_int_equal(m.counts.rung, 2);
}

static void test_doorbell_to_host(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    core_out(&m, MPC8349_ODR, 0x80000011);
    assert_int_equal(host_in(&m, MPC8349_ODR), 0x11); /* of 29 bits */
    core_out(&m, MPC8349_ODR, 0);
    assert_int_equal(core_in(&m, MPC8349_ODR), 0x11); /* the board cannot clear it */
    assert_true(m8349_inta(&m));
    assert_false(m8349_core_irq(&m));
    assert_int_equal(host_in(&m, MPC8349_OMISR), MPC8349_DI);
    host_out(&m, MPC8349_OMIMR, MPC8349_DI);
    assert_false(m8349_inta(&m));
    host_out(&m, MPC8349_OMIMR, 0);
    host_out(&m, MPC8349_ODR, 0x11);
    assert_false(m8349_inta(&m));

    part_open(&m, &(struct m8349_options){.wide_odr = true});
    core_out(&m, MPC8349_ODR, 0x80000011);
    assert_int_equal(host_in(&m, MPC8349_ODR), 0x80000011);
}

/* A message holds its line until its event is cleared, whatever is done to the doorbells. */
static void test_messages(void **state)
{
    (void)state;
    for (unsigned any = 0; any < 2; any++) {
        part_open(&m, &(struct m8349_options){.any_raises = any});
        host_out(&m, MPC8349_OMR0, 0x1234);
        core_out(&m, MPC8349_IMR1, 0x5678);
        assert_int_equal(core_in(&m, MPC8349_OMR0), 0x1234);
        assert_int_equal(host_in(&m, MPC8349_IMR1), 0x5678);
        assert_int_equal(m8349_inta(&m), any);
        assert_int_equal(m8349_core_irq(&m), any);
        core_out(&m, MPC8349_OMR1, 1);
        host_out(&m, MPC8349_IMR0, 1);
        assert_int_equal(host_in(&m, MPC8349_OMISR), MPC8349_M1I | (any ? MPC8349_M0I : 0));
        assert_int_equal(core_in(&m, MPC8349_IMISR), MPC8349_M0I | (any ? MPC8349_M1I : 0));
        host_out(&m, MPC8349_ODR, UINT32_MAX);
        core_out(&m, MPC8349_IDR, UINT32_MAX);
        assert_true(m8349_inta(&m) && m8349_core_irq(&m));
        host_out(&m, MPC8349_OMISR, 3);
        core_out(&m, MPC8349_IMISR, 3);
        assert_false(m8349_inta(&m) || m8349_core_irq(&m));
    }
}

static void test_unknowns(void **state)
{
    (void)state;
    for (unsigned on = 0; on < 2; on++) {
        part_open(&m, &(struct m8349_options){.gates_status = on, .core_sees_om = on});
        host_out(&m, MPC8349_OMIMR, MPC8349_DI);
        core_out(&m, MPC8349_ODR, 1);
        assert_int_equal(host_in(&m, MPC8349_OMISR), on ? 0 : MPC8349_DI);
        assert_int_equal(host_in(&m, MPC8349_ODR), 1); /* the doorbell itself is never hidden */
        assert_int_equal(core_in(&m, MPC8349_OMIMR), on ? MPC8349_DI : 0);
        assert_false(m8349_inta(&m));
    }
    for (unsigned on = 0; on < 2; on++) {
        uint32_t masks = 0;

        for (unsigned seed = 1; seed < 20; seed++) {
            part_open(&m, &(struct m8349_options){.random_reset = on, .seed = seed});
            masks |= m.omimr | m.imimr;
            assert_int_equal(m.odr | m.idr, 0);
        }
        assert_int_equal(masks != 0, on);
    }
}

static void test_machine_check(void **state)
{
    (void)state;
    for (unsigned masked = 0; masked < 2; masked++) {
        part_open(&m, &(struct m8349_options){0});
        core_out(&m, MPC8349_IMIMR, masked ? MPC8349_MCI : 0);
        host_out(&m, MPC8349_IDR, MPC8349_IDR_MACHINE_CHECK);
        assert_int_equal(m.counts.machine_checks, 1 - masked);
        assert_false(m8349_core_irq(&m)); /* it has a line of its own */
    }
}

static void test_lost_and_late(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){.lose = 3});
    for (unsigned i = 0; i < 300; i++) {
        uint64_t lost = m.counts.lost;

        host_out(&m, MPC8349_IDR, 2);
        assert_int_equal(core_in(&m, MPC8349_IDR), m.counts.lost > lost ? 0 : 2);
        core_out(&m, MPC8349_IDR, 2);
    }
    assert_in_range(m.counts.lost, 50, 150);

    part_open(&m, &(struct m8349_options){.late = 3});
    host_out(&m, MPC8349_IDR, 1);
    core_out(&m, MPC8349_ODR, 2);
    m8349_step(&m);
    m8349_step(&m);
    host_out(&m, MPC8349_IDR, 4);
    assert_false(m8349_core_irq(&m) || m8349_inta(&m));
    m8349_step(&m);
    assert_int_equal(core_in(&m, MPC8349_IDR), 5); /* merged with the first */
    assert_int_equal(host_in(&m, MPC8349_ODR), 2);
}

/* Windows are big-endian registers among little-endian ones. */
static void test_byte_order(void **state)
{
    (void)state;
    part_open(&m, &(struct m8349_options){0});
    assert_int_equal(host_in(&m, MPC8349_PIWAR0), __builtin_bswap32(MPC8349_PIWAR_EN | 15));
    host_out(&m, MPC8349_POTAR(3), __builtin_bswap32(0x12345));
    assert_int_equal(m.outbound[3][0], 0x12345);
    assert_int_equal(core_in(&m, MPC8349_POTAR(3)), __builtin_bswap32(0x12345));
    host_out(&m, MPC8349_OMR1, 0x12345);
    assert_int_equal(m.omr[1], 0x12345);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doorbell_to_board), cmocka_unit_test(test_doorbell_to_host),
        cmocka_unit_test(test_messages),          cmocka_unit_test(test_unknowns),
        cmocka_unit_test(test_machine_check),     cmocka_unit_test(test_lost_and_late),
        cmocka_unit_test(test_byte_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
