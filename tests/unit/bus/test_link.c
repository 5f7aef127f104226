/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_link.c - both sides of a link across the model's bus, every access a call: what a message costs there,
 * and that nothing is lost while stores are on their way and interrupts overtake them.
 *
 * Room: tests.
 */
#include "support/link.h"

#include "link/approach.h"
#include "unit/bus/util_bus.h"

#define MESSAGES 1000u

static int open_end(unsigned side, struct vop__side **ret_side)
{
    struct vop__mpc8349_end end = bus_end(side);

    return vop__mpc8349_adopt(&end, side, side == BUS_HOST ? "host" : "board", ret_side);
}

static int open_host(const char *rest, struct vop__side **ret_side)
{
    (void)rest;
    return open_end(0, ret_side);
}

static int open_board(const char *rest, struct vop__side **ret_side)
{
    (void)rest;
    return open_end(1, ret_side);
}

/* ---- A link ---- */

static struct link l;

static void connect_both(void)
{
    struct vop_options options = link_options(16, 256, VOP_SPIN_NEVER);
    struct vop__attempt *attempt[2];

    options.connect_wait = 1;
    check(vop__options_resolve(&options, &options) == 0);
    for (unsigned side = 0; side < 2; side++)
        check(vop__approach_begin(side == 0 ? open_host : open_board, "", &options, &attempt[side]) == 0);
    while (!l.side[0] || !l.side[1]) {
        for (unsigned side = 0; side < 2; side++) {
            if (!l.side[side])
                (void)vop__approach_step(attempt[side], &l.side[side]);
            bus_arrive();
        }
    }
    for (unsigned side = 0; side < 2; side++)
        vop__approach_end(attempt[side], false);
}

static void receive(unsigned side, uint64_t number, size_t length)
{
    uint8_t bytes[600];

    assert_int_equal(vop_channel_recv(l.side[side], bytes, sizeof(bytes), 0), length);
    assert_true(link_holds_bytes(bytes, length, number));
}

static void send_message(unsigned side, uint64_t number, size_t length)
{
    uint8_t bytes[600];

    link_fill_bytes(bytes, length, number);
    assert_int_equal(vop_channel_send(l.side[side], bytes, length, 0), 0);
}

static void process(unsigned side)
{
    assert_int_equal(vop_channel_process(l.side[side]), 0);
}

/* The first publications kick unasked; get them over with. */
static void open_link(unsigned posted)
{
    memset(&l, 0, sizeof(l));
    bus_open(posted);
    connect_both();
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned side = 0; side < 2; side++) {
            send_message(side, i, 64);
            bus_arrive();
            receive(1 - side, i, 64);
            bus_arrive();
        }
    }
    for (unsigned side = 0; side < 2; side++)
        process(side);
    bus.words_only = true;
    bus_count();
}

static void close_link(void)
{
    link_close(&l);
    bus_close();
}

/* ---- What a message costs ---- */

/* Both awake: nothing is loaded across the bus, and no doorbell rings. */
static void test_awake(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        open_link(0);
        for (unsigned i = 0; i < MESSAGES; i++) {
            send_message(side, i, 64);
            receive(1 - side, i, 64);
        }
        assert_int_equal(bus_loads(), 0);
        assert_int_equal(bus.model.counts.rung, 0);
        /* index and element of each, and one index for four slots returned */
        assert_int_equal(bus.model.counts.bus_bytes - 4 * (bus.kept_stores + bus.kept_loads),
                         MESSAGES * (64 + 4 + 8 + 4 / 4));
        close_link();
    }
}

/* The receiver sleeps before each message: one load across the bus arms it, and the host loads ODR once more. */
static void test_asleep(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        unsigned sleeper = 1 - side;

        open_link(0);
        for (unsigned i = 0; i < MESSAGES; i++) {
            uint64_t stores = bus.model.counts.register_stores;

            assert_int_equal(vop_channel_arm(l.side[sleeper], VOP_ARM_RECV), 0);
            send_message(side, i, 64);
            assert_int_equal(bus.model.counts.register_stores - stores, side == BUS_HOST); /* the kick */
            assert_true(test_readable(bus.irq_fd[sleeper]));
            process(sleeper);
            receive(sleeper, i, 64);
        }
        assert_int_equal(bus.model.counts.rung, MESSAGES);
        assert_int_equal(bus_loads(), sleeper == BUS_HOST ? 2 * MESSAGES : MESSAGES);
        close_link();
    }
}

/* ---- Stores on their way ---- */

/* As test_asleep, with a bus on which stores stay for a while. True: the message was there when the sleeper woke. */
static bool wake_with(uint64_t number, unsigned side, bool is_slow)
{
    unsigned sleeper = 1 - side;
    uint8_t bytes[600];

    assert_int_equal(vop_channel_arm(l.side[sleeper], VOP_ARM_RECV), 0);
    send_message(side, number, 64);
    if (side == BUS_HOST || is_slow)
        bus_arrive();
    if (!test_readable(bus.irq_fd[sleeper]))
        return false;
    process(sleeper);
    if (vop_channel_recv(l.side[sleeper], bytes, sizeof(bytes), 0) != 64)
        return false;
    assert_true(link_holds_bytes(bytes, 64, number));
    return true;
}

static void test_posted(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        open_link(20);
        for (unsigned i = 0; i < MESSAGES; i++)
            assert_true(wake_with(i, side, i % 2));
        close_link();
    }
}

/* A machine whose loads push nothing loses wake-ups, so these tests would see it if the library did not load. */
static void test_without_read_back(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        open_link(20);
        assert_true(wake_with(0, side, true));
        bus.window_loads_push = false;
        assert_false(wake_with(1, side, true));
        bus.window_loads_push = true;
        close_link();
    }
}

static void test_without_odr(void **state)
{
    (void)state;
    open_link(20);
    bus.odr_loads_push = false;
    assert_false(wake_with(0, BUS_BOARD, false)); /* the interrupt overtook the message */
    bus.odr_loads_push = true;
    close_link();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {
        TEST(test_awake), TEST(test_asleep), TEST(test_posted), TEST(test_without_read_back), TEST(test_without_odr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
