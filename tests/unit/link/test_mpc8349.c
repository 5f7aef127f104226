/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_mpc8349.c - channels across the bus of the model, sides in threads and in processes: traffic with good and bad
 * doorbells, kills of either side, resets of the board, and what a hostile side can store.
 *
 * Room: tests.
 */
#include "support/link.h"

#include "link/approach.h"
#include "model8349/ends.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define HOST VOP__MPC8349_HOST
#define BOARD VOP__MPC8349_BOARD
#define ROUNDS 300
#define WAIT 20000 /* ms: guards against hangs */

static struct ends *ends;

static int open_end(unsigned side, struct vop__side **ret_side)
{
    struct vop__mpc8349_end end = ends_end(ends, side);
    int ret = vop__mpc8349_adopt(&end, side, side == HOST ? "0000:02:00.0" : "board", ret_side);

    if (ret < 0)
        end.ops->close(end.context);
    return ret;
}

static int open_host(const char *rest, struct vop__side **ret_side)
{
    (void)rest;
    return open_end(HOST, ret_side);
}

static int open_board(const char *rest, struct vop__side **ret_side)
{
    (void)rest;
    return open_end(BOARD, ret_side);
}

static struct vop__attempt *begin_connect(unsigned side, struct vop_options *options)
{
    struct vop__attempt *attempt;

    options->connect_wait = 1;
    check(vop__options_resolve(options, options) == 0);
    if (vop__approach_begin(side == HOST ? open_host : open_board, "", options, &attempt) < 0)
        fail_msg("%s", vop_error_text());
    return attempt;
}

static vop_channel *connect_with(unsigned side, uint32_t queue_size, uint32_t slot_size)
{
    struct vop_options options = link_options(queue_size, slot_size, VOP_SPIN_NEVER);
    struct vop__attempt *attempt = begin_connect(side, &options);
    double begin = test_seconds();
    vop_channel *c = NULL;
    int ret;

    while ((ret = vop__approach_step(attempt, &c)) == -EAGAIN) {
        check(test_seconds() - begin < WAIT / 1000);
        test_sleep_ms(2);
    }
    if (ret < 0)
        fprintf(stderr, "side %u: %s\n", side, vop_error_text());
    check(ret == 0);
    vop__approach_end(attempt, false);
    return c;
}

static vop_channel *connect_side(unsigned side)
{
    return connect_with(side, 16, 256);
}

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

/* ---- Deaths ---- */

/** What processes know of each other's work. */
static struct ledger {
    uint32_t handled; /* by whichever child is there: the last number */
    uint32_t twice;   /* numbers that came again, or too late */
} * ledger;

/* Echoes until it is killed. */
static pid_t fork_echo(unsigned side)
{
    pid_t child = test_child();

    if (child != 0)
        return child;
    for (;;) {
        vop_channel *c;
        uint32_t number;

        if (side == HOST)
            ends_set_master(ends, true);
        c = connect_side(side);
        while (vop_channel_recv(c, &number, sizeof(number), WAIT) == sizeof(number)) {
            if (number <= __atomic_load_n(&ledger->handled, __ATOMIC_RELAXED))
                __atomic_add_fetch(&ledger->twice, 1, __ATOMIC_RELAXED);
            __atomic_store_n(&ledger->handled, number, __ATOMIC_RELAXED);
            if (vop_channel_send(c, &number, sizeof(number), WAIT) < 0)
                break;
        }
        vop_channel_close(c);
    }
}

static void kill_child(pid_t child, unsigned side)
{
    kill(child, SIGKILL);
    check(waitpid(child, NULL, 0) == child);
    if (side == HOST)
        ends_set_master(ends, false); /* its kernel does that */
}

/* Sends numbers for a while. 0, or how the link ended. */
static int ask(vop_channel *c, uint32_t *number, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        uint32_t answer, mine = ++*number;
        int ret = vop_channel_send(c, &mine, sizeof(mine), WAIT);
        ssize_t length = ret < 0 ? ret : vop_channel_recv(c, &answer, sizeof(answer), WAIT);

        if (length <= 0)
            return length < 0 ? (int)length : -EPIPE;
        assert_int_equal(answer, mine);
    }
    return 0;
}

static void survive(unsigned victim, unsigned kills)
{
    vop_channel *c = NULL;
    uint32_t number = 0;
    pid_t child = 0;

    ends = ends_open(&(struct m8349_options){0}, 65536);
    *ledger = (struct ledger){0};
    for (unsigned i = 0; i < kills; i++) {
        child = fork_echo(victim);
        if (c) { /* the new one is heard of at once, by its RESET */
            assert_true(ask(c, &number, 1000000) < 0);
            vop_channel_close(c);
        }
        c = connect_side(1 - victim);
        assert_int_equal(ask(c, &number, 1 + i % 50), 0);
        kill_child(child, victim);
    }
    assert_int_equal(ledger->twice, 0);
    vop_channel_close(c);
    ends_close(ends);
}

static void test_kills(void **state)
{
    unsigned kills = getenv("VOP_LONG") ? 1000 : 25;

    (void)state;
    survive(BOARD, kills);
    survive(HOST, kills);
}

/* Nobody comes in its place: silence tells. */
static void test_silence(void **state)
{
    (void)state;
    for (unsigned victim = 0; victim < 2; victim++) {
        uint32_t number = 0;
        vop_channel *c;
        pid_t child;
        double begin;

        ends = ends_open(&(struct m8349_options){0}, 65536);
        *ledger = (struct ledger){0};
        child = fork_echo(victim);
        c = connect_side(1 - victim);
        assert_int_equal(ask(c, &number, 10), 0);
        kill_child(child, victim);
        begin = test_seconds();
        assert_int_equal(vop_channel_recv(c, &number, sizeof(number), WAIT), -ECONNRESET);
        assert_true(test_seconds() - begin < 6);
        vop_channel_close(c);
        ends_close(ends);
    }
}

static void test_board_resets(void **state)
{
    unsigned resets = getenv("VOP_LONG") ? 200 : 8;
    uint32_t number = 0;
    vop_channel *c;

    (void)state;
    ends = ends_open(&(struct m8349_options){.random_reset = true}, 65536);
    *ledger = (struct ledger){0};
    for (unsigned i = 0; i < resets; i++) {
        pid_t child = fork_echo(BOARD);

        c = connect_side(HOST);
        assert_int_equal(ask(c, &number, 20), 0);
        kill(child, SIGSTOP); /* a processor that is reset stores nothing more */
        ends_begin_reset(ends);
        kill_child(child, BOARD);
        assert_int_equal(ask(c, &number, 1000000), -ECONNRESET);
        vop_channel_close(c);
        ends_end_reset(ends);
    }
    assert_int_equal(ledger->twice, 0);
    ends_close(ends);
}

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

static int make_ledger(void **state)
{
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return ledger == MAP_FAILED ? -1 : test_guard(state);
}

static int free_ledger(void **state)
{
    (void)state;
    return munmap(ledger, sizeof(*ledger));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_ledger, free_ledger)
    static const struct CMUnitTest tests[] = {
        TEST(test_traffic),          TEST(test_bad_doorbells), TEST(test_deaf),          TEST(test_two_sleepers),
        TEST(test_small_halves),     TEST(test_too_small),     TEST(test_kills),         TEST(test_silence),
        TEST(test_board_resets),     TEST(test_close),         TEST(test_random_memory), TEST(test_storm),
        TEST(test_storm_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
