/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349.c - channels across the bus of the model, sides in threads: traffic with good and bad doorbells, and
 * what a hostile side can store.
 *
 * Room: tests.
 */
#include "unit/link/util_mpc8349.h"

#include <pthread.h>

#define ROUNDS 300

static void *connect_board(void *size)
{
    (void)size;
    return connect_side(BOARD);
}

static void open_pair(struct link *l, const struct m8349_options *options)
{
    pthread_t thread;
    void *board;

    ends = ends_open(options, 65536);
    assert_int_equal(pthread_create(&thread, NULL, connect_board, NULL), 0);
    l->side[HOST] = connect_side(HOST);
    pthread_join(thread, &board);
    l->side[BOARD] = board;
}

static void close_pair(struct link *l)
{
    link_close(l);
    ends_close(ends);
}

/* ---- Traffic ---- */

static void *echo_thread(void *arg)
{
    uint8_t bytes[600];
    ssize_t length;

    while ((length = vop_channel_recv(arg, bytes, sizeof(bytes), WAIT)) > 0)
        check(vop_channel_send(arg, bytes, (size_t)length, WAIT) == 0);
    check(length == 0);
    return NULL;
}

static void *loop_echo_thread(void *arg)
{
    uint8_t bytes[600];
    ssize_t length = -EAGAIN;

    while (length > 0 || length == -EAGAIN) {
        length = vop_channel_recv(arg, bytes, sizeof(bytes), 0);
        if (length > 0) {
            check(vop_channel_send(arg, bytes, (size_t)length, 0) == 0);
        } else if (length == -EAGAIN && vop_channel_arm(arg, VOP_ARM_RECV) == 0) {
            struct pollfd fd = {.fd = vop_channel_fd(arg), .events = POLLIN};

            check(poll(&fd, 1, WAIT) == 1);
            check(vop_channel_process(arg) == 0);
        }
    }
    check(length == 0);
    return NULL;
}

static uint64_t rescues_of(const vop_channel *c)
{
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};

    check(vop_channel_get_stats(c, &stats) == 0);
    return stats.rescues;
}

/* `side` asks, the other echoes. Returns the rescues of both. */
static uint64_t ping_pong(struct link *l, unsigned side, void *(*echo)(void *), unsigned rounds)
{
    uint64_t rescues;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, echo, l->side[1 - side]), 0);
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t bytes[600];
        size_t length = 1 + i % sizeof(bytes);

        link_fill_bytes(bytes, length, i);
        assert_int_equal(vop_channel_send(l->side[side], bytes, length, WAIT), 0);
        memset(bytes, 0, sizeof(bytes));
        assert_int_equal(vop_channel_recv(l->side[side], bytes, sizeof(bytes), WAIT), length);
        assert_true(link_holds_bytes(bytes, length, i));
    }
    rescues = rescues_of(l->side[0]) + rescues_of(l->side[1]);
    vop_channel_close(l->side[side]);
    l->side[side] = NULL;
    pthread_join(thread, NULL);
    return rescues;
}

/* With all combinations of the model's switches. */
static void test_traffic(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ENDS_KINDS; kind++) {
        struct m8349_options options = ends_kind(kind);
        bool is_long = kind == 0 || kind == ENDS_KINDS - 1;
        struct link l;

        for (unsigned side = 0; side < 2; side++) {
            open_pair(&l, &options);
            (void)ping_pong(&l, side, kind % 2 ? loop_echo_thread : echo_thread, is_long ? ROUNDS : 10);
            close_pair(&l);
        }
    }
}

static void test_bad_doorbells(void **state)
{
    struct link l;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        open_pair(&l, &(struct m8349_options){.lose = 20, .late = i / 2});
        (void)ping_pong(&l, HOST, i % 2 ? loop_echo_thread : echo_thread, 60);
        close_pair(&l);
    }
}

/* No interrupt at all on one side: it looks for itself, and is not rung. */
static void test_deaf(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        pthread_t thread;
        struct link l;
        void *board;

        ends = ends_open(&(struct m8349_options){0}, 65536);
        ends->at[side].is_deaf = true;
        assert_int_equal(pthread_create(&thread, NULL, connect_board, NULL), 0);
        l.side[HOST] = connect_side(HOST);
        pthread_join(thread, &board);
        l.side[BOARD] = board;
        (void)ping_pong(&l, HOST, echo_thread, 30);
        close_pair(&l);
    }
}

static void *send_thread(void *arg)
{
    uint8_t bytes[256] = {0};

    for (unsigned i = 0; i < 2000; i++)
        check(vop_channel_send(arg, bytes, sizeof(bytes), WAIT) == 0);
    return NULL;
}

static void *recv_thread(void *arg)
{
    uint8_t bytes[256];

    for (unsigned i = 0; i < 2000; i++)
        check(vop_channel_recv(arg, bytes, sizeof(bytes), WAIT) == sizeof(bytes));
    return NULL;
}

/* Two threads of each side sleep side by side on one interrupt. */
static void test_two_sleepers(void **state)
{
    pthread_t thread[4];
    struct link l;

    (void)state;
    open_pair(&l, &(struct m8349_options){0});
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, i % 2 ? send_thread : recv_thread, l.side[i / 2]), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    assert_true(rescues_of(l.side[0]) + rescues_of(l.side[1]) < 20);
    close_pair(&l);
}

/* The least that there can be. */
static void test_small_halves(void **state)
{
    struct vop_options options[2] = {link_options(16, 512, VOP_SPIN_NEVER), link_options(16, 512, VOP_SPIN_NEVER)};
    struct vop__attempt *attempt[2];
    struct link l = {{NULL, NULL}};

    (void)state;
    ends = ends_open(&(struct m8349_options){0}, VOP__MPC8349_HALF_MIN);
    for (unsigned side = 0; side < 2; side++)
        attempt[side] = begin_connect(side, &options[side]);
    while (!l.side[0] || !l.side[1]) {
        for (unsigned side = 0; side < 2; side++) {
            if (!l.side[side])
                (void)vop__approach_step(attempt[side], &l.side[side]);
        }
        test_sleep_ms(2);
    }
    for (unsigned side = 0; side < 2; side++)
        vop__approach_end(attempt[side], false);
    (void)ping_pong(&l, BOARD, echo_thread, 20);
    close_pair(&l);
}

/* The queues of the board need more than the host offers. */
static void test_too_small(void **state)
{
    struct vop_options options = link_options(16, 256, VOP_SPIN_NEVER), mine = link_options(64, 512, VOP_SPIN_NEVER);
    struct vop_options large = link_options(256, 256, VOP_SPIN_NEVER);
    struct vop__attempt *host, *board;
    vop_channel *c;
    int ret = -EAGAIN;

    (void)state;
    ends = ends_open(&(struct m8349_options){0}, 65536);
    check(vop__options_resolve(&large, &large) == 0);
    assert_int_equal(vop__approach_begin(open_host, "", &large, &host), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "64 KiB for each half, and a queue of 256 slots of 256 bytes needs"));
    host = begin_connect(HOST, &options);
    mine.handshake_ms = 0;
    board = begin_connect(BOARD, &mine);
    ends->model.options.host_size = 65536;
    for (unsigned i = 0; ret == -EAGAIN && i < 1000; i++) {
        ends_store(ends, HOST, MPC8349_OMR0, ENDS_HOST);
        ends_store(ends, HOST, MPC8349_OMR1, 0x56100004);
        ends_store(ends, HOST, MPC8349_IDR, 1u << 28);
        ret = vop__approach_step(board, &c);
        test_sleep_ms(1);
    }
    assert_int_equal(ret, -EPROTO);
    assert_non_null(strstr(vop_error_text(), "has 16384 bytes for each half"));
    vop__approach_end(board, false);
    vop__approach_end(host, false);
    ends_close(ends);
}

/* ---- Its end ---- */

/* An orderly end is the end of stream, with all that was sent before. */
static void test_close(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct link l;
        char bytes[8];

        open_pair(&l, &(struct m8349_options){0});
        assert_int_equal(vop_channel_send(l.side[side], "last", 4, 0), 0);
        vop_channel_close(l.side[side]);
        l.side[side] = NULL;
        assert_int_equal(vop_channel_recv(l.side[1 - side], bytes, sizeof(bytes), WAIT), 4);
        assert_int_equal(vop_channel_recv(l.side[1 - side], bytes, sizeof(bytes), WAIT), 0);
        close_pair(&l);
    }
}

/* ---- A hostile other side ---- */

/* Random words in the half that a side reads: an error, whatever they are, and nothing else. */
static void test_random_memory(void **state)
{
    uint64_t seed = 2009;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        unsigned side = i % 2;
        struct link l;
        uint8_t *memory, bytes[600];
        ssize_t length = 1;

        open_pair(&l, &(struct m8349_options){0});
        memory = side == HOST ? ends->model.options.host : ends->model.options.dram + ENDS_BLOCK;
        for (unsigned at = i < 10 ? 4096 : 0; at < 65536; at++)
            memory[at] = (uint8_t)test_random(&seed);
        for (unsigned n = 0; length > 0 && n < 100; n++)
            length = vop_channel_recv(l.side[side], bytes, sizeof(bytes), WAIT);
        assert_true(length == -EPROTO || length == -ECONNRESET);
        close_pair(&l);
    }
}

/** Rings without end, with any bit but those of reset and start. */
static struct storm {
    unsigned side; /* that rings */
    bool is_over;  /* atomic */
} storm;

static void *storm_thread(void *arg)
{
    uint64_t seed = 31;

    (void)arg;
    while (!__atomic_load_n(&storm.is_over, __ATOMIC_RELAXED))
        ends_store(ends, storm.side, storm.side == HOST ? MPC8349_IDR : MPC8349_ODR,
                   (uint32_t)test_random(&seed) & 0x07ffffff);
    return NULL;
}

static void test_storm(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct link l;
        pthread_t thread;

        open_pair(&l, &(struct m8349_options){0});
        storm = (struct storm){.side = side};
        assert_int_equal(pthread_create(&thread, NULL, storm_thread, NULL), 0);
        (void)ping_pong(&l, side, echo_thread, 50);
        __atomic_store_n(&storm.is_over, true, __ATOMIC_RELAXED);
        pthread_join(thread, NULL);
        close_pair(&l);
    }
}

/* So many interrupts are taken in a tenth of a second, and messages go on. A slow machine may not come that far. */
static void test_storm_is_bounded(void **state)
{
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
    double begin = test_seconds();
    unsigned number = 0, taken;
    pthread_t thread;
    struct link l;

    (void)state;
    open_pair(&l, &(struct m8349_options){0});
    taken = ends->at[HOST].taken;
    storm = (struct storm){.side = BOARD};
    assert_int_equal(pthread_create(&thread, NULL, storm_thread, NULL), 0);
    while (stats.storms < 2 && test_seconds() - begin < 3) {
        uint8_t bytes[8];

        assert_int_equal(vop_channel_send(l.side[BOARD], &number, sizeof(number), WAIT), 0);
        assert_int_equal(vop_channel_recv(l.side[HOST], bytes, sizeof(bytes), WAIT), sizeof(number));
        (void)vop_channel_recv(l.side[HOST], bytes, sizeof(bytes), 50);
        assert_int_equal(vop_channel_get_stats(l.side[HOST], &stats), 0);
    }
    __atomic_store_n(&storm.is_over, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    taken = ends->at[HOST].taken - taken;
    assert_true(taken < 5001 * (2 + (test_seconds() - begin) / 0.1));
    (void)ping_pong(&l, HOST, echo_thread, 50);
    close_pair(&l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, test_guard)
    static const struct CMUnitTest tests[] = {
        TEST(test_traffic),      TEST(test_bad_doorbells),    TEST(test_deaf),  TEST(test_two_sleepers),
        TEST(test_small_halves), TEST(test_too_small),        TEST(test_close), TEST(test_random_memory),
        TEST(test_storm),        TEST(test_storm_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
