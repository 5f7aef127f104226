/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pair.c - the pair of virtio drivers of 2009 across the model's bus, every access a call: what a frame costs
 * there, and that nothing is lost while stores are on their way and interrupts overtake them.
 *
 * Room: tests.
 */
#include "net2009/link.h"
#include "unit/bus/util_bus.h"

#include "wire/mpc8349_2009.h"

#include <vopipc/error.h>
#include <vopipc/net2009.h>

#define FRAMES 600u
#define HEADER sizeof(struct vop_net_hdr)

static vop_net2009 *link_of[2];
static unsigned sent[2], received[2]; /* frames of each side */

/* ---- A pair ---- */

static void process(unsigned side)
{
    (void)vop_net2009_process(link_of[side]);
}

/* Only for an interrupt: what a side does ten times a second is left out of the counts. */
static bool wake(unsigned side)
{
    if (!test_readable(bus.irq_fd[side]))
        return false;
    process(side);
    return true;
}

static void open_pair(unsigned posted)
{
    double begin = test_seconds();

    bus_open(posted);
    bus.is_2009 = true;
    for (unsigned side = 0; side < 2; side++) {
        struct vop__mpc8349_end end = bus_end(side);
        struct vop_net2009_options options;

        vop_net2009_options_init(&options, sizeof(options));
        assert_int_equal(vop__net2009_adopt(&end, side, &options, &link_of[side]), 0);
        vop_net2009_start(link_of[side], 0);
        sent[side] = received[side] = 0;
    }
    while (!vop_net2009_is_up(link_of[0], 0) || !vop_net2009_is_up(link_of[1], 0)) {
        assert_true(test_seconds() - begin < 20);
        for (unsigned side = 0; side < 2; side++) {
            process(side);
            bus_arrive();
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        (void)wake(i % 2);
        bus_arrive();
    }
    bus_count();
}

static void close_pair(void)
{
    vop_net2009_close(link_of[BUS_HOST]);
    vop_net2009_close(link_of[BUS_BOARD]);
    bus_close();
}

/* ---- Frames ---- */

static uint8_t byte_of(unsigned side, unsigned number, size_t at)
{
    return (uint8_t)(side * 101 + number * 11 + at * 3 + (at >> 7));
}

/* 0 or -EAGAIN. */
static int send_frame(unsigned side, size_t length, bool more)
{
    struct vop_net2009_message room;
    size_t at = 0;
    int ret = vop_net2009_reserve(link_of[side], 0, length, &room);

    if (ret < 0)
        return ret;
    for (unsigned i = 0; i < room.count; i++) {
        uint8_t *bytes = room.segment[i].iov_base;

        for (size_t j = 0; j < room.segment[i].iov_len; j++, at++)
            bytes[j] = at < HEADER ? 0 : byte_of(side, sent[side], at);
    }
    sent[side]++;
    assert_int_equal(vop_net2009_commit(link_of[side], 0, length, more), 0);
    return 0;
}

/* Receives what there is, and checks it, in the order it was sent. Some may be missing if `may_skip`. */
static unsigned receive_frames(unsigned side, bool may_skip)
{
    struct vop_net2009_message m;
    unsigned count = 0;
    int ret;

    while ((ret = vop_net2009_peek(link_of[side], 0, &m)) == 1) {
        const uint8_t *first = m.segment[0].iov_base;
        size_t at = 0;

        while (may_skip && first[HEADER] != byte_of(1 - side, received[side], HEADER))
            received[side]++;
        for (unsigned i = 0; i < m.count; i++) {
            const uint8_t *bytes = m.segment[i].iov_base;

            for (size_t j = 0; j < m.segment[i].iov_len; j++, at++) {
                if (at >= HEADER)
                    assert_int_equal(bytes[j], byte_of(1 - side, received[side], at));
            }
        }
        assert_true(received[side] < sent[1 - side]);
        assert_int_equal(vop_net2009_release(link_of[side], 0), 0);
        received[side]++;
        count++;
    }
    assert_int_equal(ret, -EAGAIN);
    return count;
}

/* What is awake on the board goes on until its engine has nothing to do. */
static void run_board(void)
{
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(vop_net2009_flush(link_of[BUS_BOARD], 0), 0);
        m8349_step(&bus.model);
    }
}

/* ---- What a frame costs ---- */

/* Of the bus's bytes, those that are no payload, for each of so many frames. Looks now and then are left out. */
static double overhead(uint64_t moved, unsigned frames)
{
    return (double)(bus.model.counts.bus_bytes - moved - 4 * (bus.kept_loads + bus.kept_stores)) / frames;
}

/* Both awake: nothing is loaded across the bus, no doorbell rings, and a frame costs less than 20 bytes beside it. */
static void test_awake(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        open_pair(0);
        for (unsigned i = 0; i < 20; i++) { /* doorbells that the beginning asked for */
            (void)send_frame(side, 76, false);
            run_board();
            (void)receive_frames(1 - side, false);
            (void)wake(0);
            (void)wake(1);
        }
        bus_count();
        for (unsigned i = 0; i < FRAMES; i++) {
            assert_int_equal(send_frame(side, 76, false), 0);
            run_board();
            assert_int_equal(receive_frames(1 - side, false), 1);
        }
        assert_int_equal(bus_loads(), 0);
        assert_int_equal(bus.model.counts.rung, 0);
        assert_int_equal(bus.model.counts.dma_bytes, FRAMES * 76);
        print_message("a frame of side %u: %.1f bytes across the bus beside it\n", side, overhead(FRAMES * 76, FRAMES));
        assert_true(overhead(FRAMES * 76, FRAMES) < 20);
        close_pair();
    }
}

/* Arms a side, on the board as often as its engine needs. */
static void arm(unsigned side)
{
    for (unsigned i = 0; vop_net2009_arm(link_of[side], 0, false) != 0; i++) {
        assert_true(i < 1000);
        m8349_step(&bus.model);
    }
}

/*
 * The receiver sleeps before each frame: one load across the bus arms it, and the host loads ODR once more. The board
 * arms what its driver, too, waits for, which crosses no bus. A kick is one store.
 */
static void test_asleep(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        unsigned sleeper = 1 - side;

        open_pair(0);
        for (unsigned i = 0; i < 300; i++) {
            uint64_t stores, rung;

            arm(sleeper);
            stores = bus.model.counts.register_stores;
            rung = bus.model.counts.rung;
            assert_int_equal(send_frame(side, 76, false), 0);
            if (side == BUS_BOARD)
                run_board();
            assert_int_equal(bus.model.counts.rung - rung, 1);
            assert_int_equal(bus.model.counts.register_stores - stores, side == BUS_HOST);
            assert_true(wake(sleeper));
            if (sleeper == BUS_BOARD)
                run_board();
            assert_int_equal(receive_frames(sleeper, false), 1);
            if (i == 10)
                bus_count();
        }
        assert_int_equal(bus_loads(), (sleeper == BUS_HOST ? 2 : 1) * 289);
        close_pair();
    }
}

/* Both directions at once, both sides asleep whenever they have nothing to do. */
static void exchange(unsigned posted, unsigned dma_bytes, unsigned *ret_interrupts)
{
    unsigned turns = 0;

    open_pair(posted);
    bus.model.options.dma_bytes = dma_bytes;
    *ret_interrupts = 0;
    while (received[0] < FRAMES || received[1] < FRAMES) {
        assert_true(++turns < 1000000);
        for (unsigned side = 0; side < 2; side++) {
            unsigned batch = 0;

            while (sent[side] < FRAMES && batch++ < 8 && sent[side] - received[1 - side] < 32 &&
                   send_frame(side, 14 + sent[side] * 37 % 1400, true) == 0)
                continue;
            (void)receive_frames(side, false);
            if (vop_net2009_arm(link_of[side], 0, sent[side] < FRAMES) == 0 && wake(side))
                *ret_interrupts += side == BUS_HOST;
        }
        m8349_step(&bus.model);
        bus_look();
    }
    assert_int_equal(bus.model.counts.aborts, 0);
}

static void test_load(void **state)
{
    unsigned interrupts;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        exchange(i % 2 * 10, i / 2 * 700, &interrupts);
        print_message(
            "%u frames each way, stores take %u steps, DMA %u bytes a step: %.2f interrupts of the host a frame\n",
            FRAMES, i % 2 * 10, i / 2 * 700, (double)interrupts / (2 * FRAMES));
        assert_true(interrupts < 2 * FRAMES);
        close_pair();
    }
}

/* ---- Stores on their way ---- */

/* True: the frame was there when the sleeper woke. */
static bool wake_with(unsigned side, bool is_slow)
{
    unsigned sleeper = 1 - side;

    bus_arrive(); /* the sender knows that nobody sleeps */
    arm(sleeper);
    assert_int_equal(send_frame(side, 76, false), 0);
    for (unsigned i = 0; i < 4 && side == BUS_BOARD; i++) { /* the engine is done before anything has arrived */
        assert_int_equal(vop_net2009_flush(link_of[side], 0), 0);
        m8349_step(&bus.model);
    }
    if (side == BUS_HOST || is_slow)
        bus_arrive();
    if (!wake(sleeper))
        return false;
    if (sleeper == BUS_BOARD)
        run_board();
    return receive_frames(sleeper, false) == 1;
}

static void test_posted(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        open_pair(20);
        for (unsigned i = 0; i < 300; i++)
            assert_true(wake_with(side, i % 2));
        close_pair();
    }
}

/* A machine whose loads push nothing loses wake-ups, so these tests would see it if the library did not load. */
static void test_without_read_back(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        open_pair(20);
        assert_true(wake_with(side, true));
        bus.window_loads_push = false;
        assert_false(wake_with(side, true));
        bus.window_loads_push = true;
        close_pair();
    }
}

static void test_without_odr(void **state)
{
    (void)state;
    open_pair(20);
    assert_true(wake_with(BUS_BOARD, false));
    bus.odr_loads_push = false;
    assert_false(wake_with(BUS_BOARD, false)); /* the interrupt overtook the used element */
    bus.odr_loads_push = true;
    close_pair();
}

/* ---- What fails ---- */

/* The engine fails now and then: such a frame is lost, and no other. */
static void test_errors(void **state)
{
    struct vop_net2009_info info;

    (void)state;
    open_pair(0);
    bus.model.options.fail_dma = 5;
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(send_frame(BUS_HOST, 76, false), 0);
        assert_int_equal(send_frame(BUS_BOARD, 76, false), 0);
        run_board();
        (void)receive_frames(BUS_HOST, true);
        (void)receive_frames(BUS_BOARD, true);
    }
    do
        process(BUS_BOARD);
    while (vop_net2009_get_info(link_of[BUS_BOARD], 0, &info, sizeof(info)), info.failed == 0);
    assert_int_equal(info.failed, 40);
    assert_int_equal(info.dropped, 0);
    close_pair();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {
        TEST(test_awake),       TEST(test_asleep), TEST(test_load), TEST(test_posted), TEST(test_without_read_back),
        TEST(test_without_odr), TEST(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
