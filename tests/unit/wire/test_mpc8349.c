/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349.c - the sides of the MPC8349 wire over the model: reset and start in every order, offers that cannot be
 * used, doorbells, and what raises an interrupt that nobody asked for.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "model8349/ends.h"
#include "wire/mpc8349_start.h"

#include <vopipc/error.h>
#include <vopipc/le.h>

#define HALF 65536u
#define OMR1 (0x56100000u | HALF / 4096)

static struct ends *ends;
static struct vop__side *sides[2];

static void open_side(unsigned side)
{
    struct vop__mpc8349_end end = ends_end(ends, side);

    if (vop__mpc8349_adopt(&end, side, side ? "board" : "0000:02:00.0", &sides[side]) < 0)
        fail_msg("%s", vop_error_text());
}

static void close_side(unsigned side)
{
    if (sides[side])
        sides[side]->ops->close(sides[side]);
    sides[side] = NULL;
}

static void open_ends(const struct m8349_options *options)
{
    ends = ends_open(options, HALF);
}

static void close_ends(void)
{
    close_side(0);
    close_side(1);
    ends_close(ends);
}

static int meet(unsigned side)
{
    return sides[side]->ops->meet(sides[side]);
}

/* Looks that change nothing but what the other side has done, and time. */
static void meet_both(void)
{
    double begin = test_seconds();
    int host = 0, board = 0;

    while (host != 1 || board != 1) {
        board = meet(1);
        host = meet(0);
        assert_true(host >= 0 && board >= 0);
        assert_true(test_seconds() - begin < 20);
        if (host != 1 || board != 1)
            test_sleep_ms(1);
    }
}

static void assert_met(void)
{
    assert_int_equal(ends->model.omr[0], ENDS_HOST);
    assert_int_equal(ends->model.omr[1], OMR1);
    assert_int_equal(sides[0]->remote.size, HALF);
    assert_int_equal(sides[1]->remote.size, HALF);
}

/* Whoever comes first, and with every switch of the model. */
static void test_meeting(void **state)
{
    static const struct m8349_options kinds[] = {
        {0},
        {.gates_status = true},
        {.wide_odr = true},
        {.core_sees_om = true},
        {.any_raises = true},
        {.random_reset = true, .seed = 9},
        {.late = 3},
        {.lose = 2},
        {.lose = 3, .late = 2, .any_raises = true, .random_reset = true, .gates_status = true},
    };

    (void)state;
    for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
        open_ends(&kinds[i / 2]);
        open_side(i % 2);
        assert_int_equal(meet(i % 2), 0);
        open_side(1 - i % 2);
        meet_both();
        assert_met();
        close_ends();
    }
}

/* The board believes no address that it was not given after its RESET. */
static void test_stale_offer(void **state)
{
    (void)state;
    open_ends(&(struct m8349_options){0});
    ends_store(ends, 0, MPC8349_OMR0, 0x1000); /* of a host that is gone */
    ends_store(ends, 0, MPC8349_OMR1, OMR1);
    ends_store(ends, 0, MPC8349_IDR, VOP__MPC8349_START);
    open_side(1);
    assert_int_equal(meet(1), 0);
    assert_int_equal(ends_load(ends, 0, MPC8349_ODR), VOP__MPC8349_RESET);
    open_side(0);
    assert_int_equal(ends_load(ends, 1, MPC8349_OMR1), 0); /* first of all */
    meet_both();
    assert_met();
    close_ends();
}

/* START before RESET counts only if OMR1 is valid. */
static void test_reset_and_start_at_once(void **state)
{
    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(0);
    open_side(1);
    meet_both();
    ends_store(ends, 0, MPC8349_OMR1, 0);
    ends_store(ends, 0, MPC8349_IDR, VOP__MPC8349_RESET | VOP__MPC8349_START);
    assert_int_equal(meet(1), 0);
    ends_store(ends, 0, MPC8349_OMR1, OMR1);
    ends_store(ends, 0, MPC8349_IDR, VOP__MPC8349_RESET | VOP__MPC8349_START);
    assert_int_equal(meet(1), 1);
    close_ends();
}

/* A RESET of the host stops the board's stores, whoever makes them, before the host is told so. */
static void test_stop(void **state)
{
    struct vop__wire *wire;

    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(0);
    open_side(1);
    meet_both();
    wire = sides[1]->ops->wire(sides[1]);
    assert_non_null(wire);
    wire->remote.base[5] = 1;
    assert_int_equal(ends->model.options.host[5], 1);
    assert_int_equal(wire->ops->alive(wire), 0);
    close_side(0);
    assert_int_equal(ends->model.omr[1], 0);
    assert_int_equal(wire->ops->wait(wire, 0, VOP__BELL_MESSAGES, 0), -ECONNRESET);
    assert_int_equal(ends_load(ends, 0, MPC8349_ODR) & VOP__MPC8349_RESET, VOP__MPC8349_RESET);
    wire->remote.base[5] = 2;
    assert_int_equal(ends->model.options.host[5], 1);
    assert_int_equal(wire->ops->alive(wire), -ECONNRESET);
    open_side(0);
    wire->ops->close(wire);
    meet_both();
    close_ends();
}

/* The same found by the registers alone, since the doorbell was lost. */
static void test_lost_reset(void **state)
{
    struct vop__wire *wire;

    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(0);
    open_side(1);
    meet_both();
    wire = sides[1]->ops->wire(sides[1]);
    ends_store(ends, 0, MPC8349_OMR1, 0);
    assert_int_equal(wire->ops->alive(wire), -ECONNRESET);
    wire->remote.base[5] = 2;
    assert_int_equal(ends->model.options.host[5], 0);
    wire->ops->close(wire);
    close_ends();
}

/* A board that begins anew ends the host's session, and is met again. */
static void test_board_restarts(void **state)
{
    struct vop__wire *wire;

    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(0);
    open_side(1);
    meet_both();
    wire = sides[0]->ops->wire(sides[0]);
    assert_null(sides[0]->ops->wire(sides[0])); /* one at a time */
    close_side(1);
    open_side(1);
    assert_int_equal(wire->ops->wait(wire, 0, VOP__BELL_SLOTS, 1000000000), -ECONNRESET);
    assert_int_equal(wire->ops->alive(wire), -ECONNRESET);
    wire->ops->close(wire);
    meet_both();
    wire = sides[0]->ops->wire(sides[0]);
    assert_int_equal(wire->ops->alive(wire), 0);
    wire->ops->close(wire);
    close_ends();
}

/* Whatever the board's memory held: the host does not seem to be there before it says so. */
static void assert_absent(void)
{
    struct vop_announce *a = (void *)(ends->model.options.dram + ENDS_BLOCK);

    assert_int_not_equal(vop_from_le32(a->magic), 0); /* it held something */
    assert_int_equal(vop_from_le64(a->incarnation), 0);
    assert_int_equal(vop_from_le32(a->state), VOP_STATE_ABSENT);
}

static void test_board_reset(void **state)
{
    struct vop__wire *wire;
    uint64_t stores;

    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(0);
    open_side(1);
    meet_both();
    wire = sides[0]->ops->wire(sides[0]);
    assert_int_equal(wire->ops->alive(wire), 0);
    ends_begin_reset(ends);
    assert_int_equal(wire->ops->alive(wire), -ECONNRESET);
    wire->ops->close(wire);
    stores = ends->model.counts.host_stores;
    assert_int_equal(meet(0), 0); /* all ones: nobody is there to be told anything */
    assert_int_equal(ends->model.counts.host_stores, stores);
    close_side(1);
    ends_end_reset(ends);
    assert_int_equal(meet(0), 0);
    open_side(1);
    meet_both();
    assert_met();
    assert_absent();
    close_ends();
}

static void refused(uint32_t omr0, uint32_t omr1, const char *words)
{
    ends_store(ends, 0, MPC8349_OMR0, omr0);
    ends_store(ends, 0, MPC8349_OMR1, omr1);
    ends_store(ends, 0, MPC8349_IDR, VOP__MPC8349_START);
    assert_int_equal(meet(1), words ? -EPROTO : 0);
    if (words && !strstr(vop_error_text(), words))
        fail_msg("\"%s\" does not say \"%s\"", vop_error_text(), words);
    assert_int_equal(meet(1), 0);
}

static void test_offers(void **state)
{
    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(1);
    refused(ENDS_HOST, OMR1 | 0x00300000, "layout 3");
    refused(ENDS_HOST, (OMR1 & ~0x00f00000u) | 0x00200000, "layout 2");
    refused(ENDS_HOST, OMR1 + 1, "65536 behind BAR 1");
    refused(ENDS_HOST + 8, OMR1, "no page begins");
    refused(ENDS_HOST + 4096, OMR1, "");
    refused(0xfffff000, OMR1, "");
    refused(ENDS_HOST, 0x56100003, NULL); /* no offer at all */
    refused(ENDS_HOST, 0xffffffff, NULL);
    refused(ENDS_HOST, 0, NULL);
    close_ends();
}

static void test_kick(void **state)
{
    struct vop__wire *wire[2];

    (void)state;
    open_ends(&(struct m8349_options){.any_raises = true});
    for (unsigned side = 0; side < 2; side++)
        open_side(side);
    meet_both();
    for (unsigned side = 0; side < 2; side++) {
        wire[side] = sides[side]->ops->wire(sides[side]);
        wire[side]->peer_doorbell = 1;
    }
    for (unsigned side = 0; side < 2; side++) {
        struct vop__wire *mine = wire[side], *its = wire[1 - side];
        uint64_t stores = ends->model.counts.host_stores;

        while (its->ops->wait(its, 0, VOP__BELL_SLOTS, 0) > 0) /* what is left of the meeting */
            continue;
        stores = ends->model.counts.host_stores;
        mine->ops->kick(mine, 0, VOP__BELL_MESSAGES);
        assert_int_equal(ends->model.counts.host_stores - stores, side == 0); /* one, or none that crosses the bus */
        assert_int_equal(ends_load(ends, 0, side == 0 ? MPC8349_IDR : MPC8349_ODR), 1);
        assert_int_equal(its->ops->wait(its, 0, VOP__BELL_MESSAGES, 1000000000), 1);
        assert_int_equal(its->ops->wait(its, 0, VOP__BELL_MESSAGES, 0), 0);
        assert_int_equal(its->ops->wait(its, 0, VOP__BELL_SLOTS, 0), 0); /* it is not for that one */
        mine->ops->kick(mine, 0, VOP__BELL_SLOTS);
        mine->ops->kick(mine, 0, VOP__BELL_MESSAGES);
        assert_int_equal(its->ops->wait(its, 0, VOP__BELL_MESSAGES, 1000000000), 1);
        assert_int_equal(its->ops->wait(its, 0, VOP__BELL_SLOTS, 1000000000), 1); /* passed on */
        mine->peer_doorbell = 0;
        mine->ops->kick(mine, 0, VOP__BELL_MESSAGES);
        assert_int_equal(ends_load(ends, 0, side == 0 ? MPC8349_IDR : MPC8349_ODR),
                         0); /* nobody there has an interrupt */
    }
    for (unsigned side = 0; side < 2; side++)
        wire[side]->ops->close(wire[side]);
    close_ends();
}

/* Events of message registers, which nobody uses, cost one interrupt and not one without end. */
static void test_messages_raise(void **state)
{
    static const uint32_t registers[2] = {MPC8349_OMR0, MPC8349_IMR0};

    (void)state;
    open_ends(&(struct m8349_options){.random_reset = true, .seed = 3});
    for (unsigned side = 0; side < 2; side++)
        open_side(side);
    meet_both();
    for (unsigned side = 0; side < 2; side++) {
        struct vop__wire *wire = sides[side]->ops->wire(sides[side]);
        uint32_t mask = side == 0 ? MPC8349_OMIMR : MPC8349_IMIMR;

        assert_int_equal(ends_load(ends, side, mask), side == 0 ? 0x03 : 0x13); /* masked, */
        ends_store(ends, side, mask, 0); /* but the kernel's driver lets all of them through */
        while (wire->ops->wait(wire, 0, VOP__BELL_SLOTS, 0) > 0)
            continue;
        ends->at[side].taken = 0;
        ends_store(ends, 1 - side, registers[side], ends_load(ends, side, registers[side]));
        assert_int_equal(wire->ops->wait(wire, 0, VOP__BELL_SLOTS, 1000000000), 1);
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(wire->ops->wait(wire, 0, VOP__BELL_SLOTS, 1000000), 0);
        assert_int_equal(ends->at[side].taken, 1);
        wire->ops->close(wire);
    }
    close_ends();
}

/* Bit 31 of IDR would be a machine check of the board. */
static void test_machine_check(void **state)
{
    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(1);
    ends_store(ends, 0, MPC8349_IDR, UINT32_MAX);
    assert_int_equal(ends->model.counts.machine_checks, 0);
    (void)meet(1);
    assert_int_equal(ends_load(ends, 1, MPC8349_IDR), 0);
    close_ends();
}

static void test_unplugged(void **state)
{
    struct vop__wire *wire;

    (void)state;
    open_ends(&(struct m8349_options){0});
    open_side(0);
    open_side(1);
    meet_both();
    wire = sides[0]->ops->wire(sides[0]);
    ends->at[0].is_gone = true;
    assert_int_equal((sides[0]->ops->check)(sides[0]), -ENODEV);
    assert_int_equal(meet(0), -ENODEV);
    assert_int_equal(wire->ops->wait(wire, 0, VOP__BELL_SLOTS, 0), -ECONNRESET);
    assert_int_equal(wire->ops->alive(wire), -ECONNRESET);
    wire->ops->close(wire);
    close_ends();
}

static void test_small(void **state)
{
    struct vop__mpc8349_end end;

    (void)state;
    open_ends(&(struct m8349_options){0});
    end = ends_end(ends, 0);
    end.remote.size = VOP__MPC8349_HALF_MIN - 1;
    assert_int_equal(vop__mpc8349_adopt(&end, 0, "0000:02:00.0", &sides[0]), -EINVAL);
    end.remote.size = VOP__MPC8349_HALF_MIN + 4095; /* whole pages, as many as both have */
    assert_int_equal(vop__mpc8349_adopt(&end, 0, "0000:02:00.0", &sides[0]), 0);
    assert_int_equal(sides[0]->remote.size, VOP__MPC8349_HALF_MIN);
    open_side(1);
    meet_both();
    assert_int_equal(ends->model.omr[1], 0x56100004);
    assert_int_equal(sides[1]->remote.size, VOP__MPC8349_HALF_MIN);
    close_ends();
}

/* Whatever the registers say, each side goes on, and they meet when they are left alone. */
static void test_random_registers(void **state)
{
    static const uint32_t registers[] = {MPC8349_OMR0, MPC8349_OMR1,  MPC8349_IMR0,  MPC8349_IMR1, MPC8349_IDR,
                                         MPC8349_ODR,  MPC8349_OMISR, MPC8349_OMIMR, MPC8349_IMISR};
    uint64_t seed = 8349;

    (void)state;
    open_ends(&(struct m8349_options){.wide_odr = true});
    open_side(0);
    open_side(1);
    for (unsigned i = 0; i < 20000; i++) {
        uint32_t value = (uint32_t)test_random(&seed);
        unsigned side = (unsigned)test_random(&seed) % 2;

        if (test_random(&seed) % 4 == 0)
            value = (value & 0xffff) | 0x56100000;
        ends_store(ends, side, registers[test_random(&seed) % (sizeof(registers) / sizeof(registers[0]))], value);
        (void)meet(side);
        if (sides[1]->remote.base)
            sides[1]->remote.base[0] = 1; /* it is always somewhere */
    }
    meet_both();
    assert_met();
    close_ends();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {
        TEST(test_meeting),        TEST(test_stale_offer),      TEST(test_reset_and_start_at_once),
        TEST(test_stop),           TEST(test_lost_reset),       TEST(test_board_restarts),
        TEST(test_board_reset),    TEST(test_offers),           TEST(test_kick),
        TEST(test_messages_raise), TEST(test_machine_check),    TEST(test_unplugged),
        TEST(test_small),          TEST(test_random_registers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
