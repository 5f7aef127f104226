/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pairs.c - several queue pairs of one link: each carries its own messages, and all of them end together.
 *
 * Room: tests.
 */
#include "support/region.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/epoll.h>

#define N 8
#define S 512 /* a pool of one page: each is mapped twice */
#define PAIRS 3

static struct vop_options options_of(uint32_t pairs)
{
    struct vop_options o = link_options(N, S, VOP_SPIN_NEVER);

    o.queue_pairs = pairs;
    return o;
}

static vop_channel *pair_of(vop_channel *c, unsigned pair)
{
    vop_channel *ret = NULL;

    check(vop_channel_pair(c, pair, &ret) == 0 && ret != NULL);
    return ret;
}

static struct vop_channel_info info_of(const vop_channel *c)
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};

    check(vop_channel_get_info(c, &info) == 0);
    return info;
}

/* A server that wants `mine` and a client that wants `its`. */
static void open_uneven(struct link *l, uint32_t mine, uint32_t its)
{
    struct vop_options listens = options_of(mine), connects = options_of(its);
    vop_listener *listener;
    vop_connector *connector;
    char uri[128];
    int ret = -EAGAIN;

    link_uri(uri);
    check(vop_listener_open(uri, &listens, &listener) == 0);
    check(vop_connector_open(uri, &connects, &connector) == 0);
    l->side[0] = l->side[1] = NULL;
    while (!l->side[0] || !l->side[1]) {
        if (!l->side[1])
            check((ret = vop_connector_connect(connector, 0, &l->side[1])) == 0 || ret == -EAGAIN);
        if (!l->side[0])
            check((ret = vop_listener_accept(listener, 0, &l->side[0])) == 0 || ret == -EAGAIN);
    }
    vop_connector_close(connector);
    vop_listener_close(listener);
    link_uri_remove(uri);
}

/* One message each way on each pair, and each arrives where it was sent and nowhere else. */
static void check_traffic(struct link *l, unsigned pairs)
{
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned pair = 0; pair < pairs; pair++)
            assert_int_equal(vop_channel_send(pair_of(l->side[side], pair), &pair, sizeof(pair), 0), 0);
        for (unsigned pair = pairs; pair-- > 0;) {
            vop_channel *c = pair_of(l->side[1 - side], pair);
            unsigned got = 0;

            assert_int_equal(vop_channel_recv(c, &got, sizeof(got), 1000), sizeof(got));
            assert_int_equal(got, pair);
            assert_int_equal(vop_channel_recv(c, &got, sizeof(got), 0), -EAGAIN);
        }
    }
}

static void test_agreement(void **state)
{
    static const unsigned offers[][2] = {{1, 1}, {1, 4}, {4, 1}, {3, 5}, {64, 64}};

    (void)state;
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        unsigned pairs = offers[i][0] < offers[i][1] ? offers[i][0] : offers[i][1];
        unsigned fds = test_count_fds();
        struct link l;

        open_uneven(&l, offers[i][0], offers[i][1]);
        /* One socket, which is the doorbell of pair 0, and for each other pair an end to sleep on and one to kick. */
        assert_int_equal(test_count_fds() - fds, 2 * (1 + 2 * (pairs - 1)));
        for (unsigned side = 0; side < 2; side++) {
            vop_channel *none = NULL;

            assert_ptr_equal(pair_of(l.side[side], 0), l.side[side]);
            assert_int_equal(vop_channel_pair(l.side[side], pairs, &none), -EINVAL);
            assert_non_null(strstr(vop_error_text(), "this link has"));
            assert_null(none);
            for (unsigned pair = 0; pair < pairs; pair++) {
                struct vop_channel_info info = info_of(pair_of(l.side[side], pair));

                assert_int_equal(info.queue_pairs, pairs);
                assert_int_equal(info.queue_pair, pair);
                assert_int_equal(info.queue_size, N);
                assert_true(info.contiguous);
            }
        }
        check_traffic(&l, pairs);
        link_close(&l);
        assert_int_equal(test_count_fds(), fds);
    }
}

static void test_options(void **state)
{
    struct vop_options o = options_of(65);
    vop_channel *c;

    (void)state;
    assert_int_equal(vop_channel_connect("shm:/nowhere", &o, 0, &c), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "65 queue pairs"));
    o = options_of(64);
    o.queue_size = 32768;
    o.slot_size = 2048;
    assert_int_equal(vop_channel_connect("shm:/nowhere", &o, 0, &c), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "more than 2 GiB"));
}

/* One that is full, or that nobody reads, holds up no other. Figures are each pair's own. */
static void test_independence(void **state)
{
    struct vop_options o = options_of(PAIRS);
    uint8_t bytes[S] = {0};
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(vop_channel_send(pair_of(l.side[0], 1), bytes, S, 0), 0);
    assert_int_equal(vop_channel_send(pair_of(l.side[0], 1), bytes, S, 0), -EAGAIN);
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned pair = 0; pair < PAIRS; pair += 2) {
            struct vop_buffer buffer;

            assert_int_equal(vop_channel_reserve(pair_of(l.side[0], pair), 777, 0, &buffer), 0);
            link_fill(&buffer, 10 * i + pair);
            assert_int_equal(vop_channel_commit(pair_of(l.side[0], pair), 777, 0), 0);
            assert_int_equal(vop_channel_peek(pair_of(l.side[1], pair), 0, &buffer), 1);
            assert_int_equal(buffer.length, 777);
            assert_true(link_holds(&buffer, 10 * i + pair));
            assert_int_equal(vop_channel_release(pair_of(l.side[1], pair), &buffer), 0);
        }
    }
    assert_int_equal(vop_channel_in_doubt(pair_of(l.side[0], 1)), N);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        struct vop_channel_stats stats = {.struct_size = sizeof(stats)};

        assert_int_equal(vop_channel_get_stats(pair_of(l.side[0], pair), &stats), 0);
        assert_int_equal(stats.tx_messages, pair == 1 ? N : 100);
        assert_int_equal(stats.tx_full, pair == 1);
    }
    link_close(&l);
}

/* A descriptor is readable for its own pair only. */
static void test_descriptors(void **state)
{
    struct vop_options o = options_of(PAIRS);

    (void)state;
    for (o.doorbells = 1; o.doorbells <= 2; o.doorbells++) {
        unsigned fds = test_count_fds();
        struct link l;

        link_open_shm(&l, &o);
        for (unsigned pair = 0; pair < PAIRS; pair++) {
            vop_channel *c = pair_of(l.side[1], pair);
            uint8_t byte;

            assert_int_equal(vop_channel_process(c), 0); /* a first message kicks unasked */
            assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV), 0);
            assert_false(test_readable(vop_channel_fd(c)));
            assert_int_equal(vop_channel_send(pair_of(l.side[0], (pair + 1) % PAIRS), "x", 1, 0), 0);
            assert_false(test_readable(vop_channel_fd(c)));
            assert_int_equal(vop_channel_send(pair_of(l.side[0], pair), "y", 1, 0), 0);
            assert_true(test_readable(vop_channel_fd(c)));
            assert_int_equal(vop_channel_process(c), 0);
            assert_false(test_readable(vop_channel_fd(c)));
            while (vop_channel_recv(c, &byte, 1, 0) == 1)
                continue;
            while (vop_channel_recv(pair_of(l.side[1], (pair + 1) % PAIRS), &byte, 1, 0) == 1)
                continue;
        }
        link_close(&l);
        assert_int_equal(test_count_fds(), fds);
    }
}

/* ---- Threads: two for each pair at each end ---- */

#define MESSAGES 3000u

struct worker {
    vop_channel *channel;
    unsigned pair;
    pthread_t thread;
};

static void *send_all(void *context)
{
    const struct worker *w = context;

    for (unsigned i = 0; i < MESSAGES; i++) {
        struct vop_buffer buffer;

        check(vop_channel_reserve(w->channel, 1 + i % 1000, -1, &buffer) == 0);
        link_fill(&buffer, (uint64_t)w->pair << 32 | i);
        check(vop_channel_commit(w->channel, buffer.length, i % 3 ? VOP_COMMIT_MORE : 0) == 0);
    }
    check(vop_channel_flush(w->channel) == 0);
    return NULL;
}

static void *receive_all(void *context)
{
    const struct worker *w = context;

    for (unsigned i = 0; i < MESSAGES; i++) {
        struct vop_buffer buffer;

        check(vop_channel_peek(w->channel, -1, &buffer) == 1);
        check(buffer.length == 1 + i % 1000 && link_holds(&buffer, (uint64_t)w->pair << 32 | i));
        check(vop_channel_release(w->channel, &buffer) == 0);
    }
    return NULL;
}

static void start_all(struct worker workers[2 * PAIRS], vop_channel *c, unsigned pairs)
{
    for (unsigned i = 0; i < 2 * pairs; i++) {
        workers[i] = (struct worker){.channel = pair_of(c, i / 2), .pair = i / 2};
        check(pthread_create(&workers[i].thread, NULL, i % 2 ? send_all : receive_all, &workers[i]) == 0);
    }
}

static void join_all(struct worker workers[2 * PAIRS], unsigned pairs)
{
    for (unsigned i = 0; i < 2 * pairs; i++)
        check(pthread_join(workers[i].thread, NULL) == 0);
}

static int serve(vop_channel *c, void *context)
{
    struct worker workers[2 * PAIRS];

    (void)context;
    start_all(workers, c, PAIRS);
    join_all(workers, PAIRS);
    return vop_channel_recv(c, &(uint8_t){0}, 1, -1) == 0 ? 0 : 1; /* until the parent has checked, too */
}

static void test_threads(void **state)
{
    struct vop_options o = options_of(PAIRS);

    (void)state;
    for (o.futex = 0; o.futex < 2; o.futex++) {
        struct worker workers[2][2 * PAIRS];
        struct link l;

        link_open_shm(&l, &o);
        for (unsigned side = 0; side < 2; side++)
            start_all(workers[side], l.side[side], PAIRS);
        for (unsigned side = 0; side < 2; side++)
            join_all(workers[side], PAIRS);
        link_close(&l);
    }
}

static void test_two_processes(void **state)
{
    struct vop_options o = options_of(PAIRS);
    struct worker workers[2 * PAIRS];
    vop_channel *c;
    pid_t child = link_fork(&o, &o, serve, NULL, &c);

    (void)state;
    start_all(workers, c, PAIRS);
    join_all(workers, PAIRS);
    vop_channel_close(pair_of(c, PAIRS - 1));
    assert_int_equal(link_join(child), 0);
}

/* ---- The end is common ---- */

/* The ways to wait: in a call, in an event loop, and in a call that sleeps on the index itself. */
enum way {
    CALL,
    LOOP,
    FUTEX,
    WAYS
};

/* Waits until it ends, and says how. */
struct waiter {
    vop_channel *channel;
    bool polls;
    int ret;
    pthread_t thread;
};

static void *wait_for_end(void *context)
{
    struct waiter *w = context;
    uint8_t byte;

    while (w->polls) {
        struct pollfd fd = {.fd = vop_channel_fd(w->channel), .events = POLLIN};

        if (vop_channel_arm(w->channel, VOP_ARM_RECV) == 0)
            check(poll(&fd, 1, 20000) == 1);
        w->ret = vop_channel_process(w->channel);
        if (w->ret == 0)
            w->ret = (int)vop_channel_recv(w->channel, &byte, 1, 0);
        if (w->ret != -EAGAIN)
            return NULL;
    }
    w->ret = (int)vop_channel_recv(w->channel, &byte, 1, 20000);
    return NULL;
}

static void start_waiters(struct waiter waiters[PAIRS], vop_channel *c, bool polls)
{
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        waiters[pair] = (struct waiter){.channel = pair_of(c, pair), .polls = polls};
        check(pthread_create(&waiters[pair].thread, NULL, wait_for_end, &waiters[pair]) == 0);
    }
    test_sleep_ms(30); /* they are inside by now; if not, they find out all the same */
}

static void join_waiters(struct waiter waiters[PAIRS], int ret)
{
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        check(pthread_join(waiters[pair].thread, NULL) == 0);
        assert_int_equal(waiters[pair].ret, ret);
    }
}

static int die(vop_channel *c, void *context)
{
    (void)c;
    (void)context;
    test_sleep_ms(100);
    raise(SIGKILL);
    return 0;
}

static void test_kill(void **state)
{
    struct vop_options o = options_of(PAIRS);

    (void)state;
    for (enum way way = CALL; way < WAYS; way++) {
        struct waiter waiters[PAIRS];
        vop_channel *c;
        pid_t child;

        o.futex = way == FUTEX;
        child = link_fork(&o, &o, die, NULL, &c);
        start_waiters(waiters, c, way == LOOP);
        join_waiters(waiters, -ECONNRESET);
        assert_int_equal(link_join(child), -SIGKILL);
        vop_channel_close(c);
    }
}

static void test_interrupt(void **state)
{
    struct vop_options o = options_of(PAIRS);

    (void)state;
    for (enum way way = CALL; way < WAYS; way++) {
        struct waiter waiters[PAIRS];
        struct link l;

        o.futex = way == FUTEX;
        link_open_shm(&l, &o);
        start_waiters(waiters, l.side[0], way == LOOP);
        vop_channel_interrupt(pair_of(l.side[0], 1));
        join_waiters(waiters, -ECANCELED);
        link_close(&l);
    }
}

/* Whichever handle it is: the peer's waits end on each pair, after what was sent by it has been read. */
static void test_close(void **state)
{
    struct vop_options o = options_of(PAIRS);

    (void)state;
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        for (unsigned side = 0; side < 2; side++) {
            struct waiter waiters[PAIRS];
            struct vop_buffer buffer;
            struct link l;

            link_open_shm(&l, &o);
            start_waiters(waiters, l.side[1 - side], pair % 2);
            for (unsigned i = 0; i < PAIRS; i++) /* each waiter takes one message, and is done */
                assert_int_equal(vop_channel_send(pair_of(l.side[side], i), "a", 1, 0), 0);
            join_waiters(waiters, 1);
            for (unsigned i = 0; i < PAIRS; i++) {
                assert_int_equal(vop_channel_reserve(pair_of(l.side[side], i), 3 * S, 0, &buffer), 0);
                link_fill(&buffer, i);
                assert_int_equal(vop_channel_commit(pair_of(l.side[side], i), 3 * S, VOP_COMMIT_MORE), 0);
            }
            vop_channel_close(pair_of(l.side[side], pair));
            l.side[side] = NULL;
            test_settle();
            for (unsigned i = 0; i < PAIRS; i++) {
                vop_channel *c = pair_of(l.side[1 - side], i);

                assert_int_equal(vop_channel_send(c, "x", 1, 0), -EPIPE);
                assert_int_equal(vop_channel_peek(c, 1000, &buffer), 1);
                assert_true(buffer.length == 3 * S && link_holds(&buffer, i));
                assert_int_equal(vop_channel_release(c, &buffer), 0);
                assert_int_equal(vop_channel_peek(c, 1000, &buffer), 0);
            }
            link_close(&l);
        }
    }
}

/* A child of fork() can close what it inherited, by any of the handles, and nothing else. */
static void test_fork(void **state)
{
    struct vop_options o = options_of(PAIRS);
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    assert_true(vop_channel_fd(pair_of(l.side[0], 1)) >= 0);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        vop_channel *c = pair_of(l.side[0], pair), *none;
        unsigned fds = test_count_fds();
        pid_t child = test_child();

        if (child == 0) {
            check(vop_channel_pair(c, 0, &none) == -EINVAL);
            check(vop_channel_send(c, "x", 1, 0) == -EINVAL);
            check(vop_channel_recv(c, &(uint8_t){0}, 1, 0) == -EINVAL);
            vop_channel_interrupt(c);
            vop_channel_close(c);
            check(test_count_fds() == fds - (1 + 2 * (PAIRS - 1) + 1)); /* and the epoll instance */
            _exit(0);
        }
        assert_int_equal(link_join(child), 0);
        check_traffic(&l, PAIRS);
    }
    link_close(&l);
}

/* ---- Over memory that was there before, without doorbells ---- */

static void test_ivshmem(void **state)
{
    struct vop_options o = options_of(PAIRS);

    (void)state;
    for (unsigned polls = 0; polls < 2; polls++) {
        struct waiter waiters[PAIRS];
        struct link l;

        region_open(&l, &o);
        assert_int_equal(info_of(l.side[0]).queue_pairs, PAIRS);
        check_traffic(&l, PAIRS);
        start_waiters(waiters, l.side[0], polls);
        vop_channel_interrupt(pair_of(l.side[0], 1));
        join_waiters(waiters, -ECANCELED);
        link_close(&l);
        region_open(&l, &o);
        start_waiters(waiters, l.side[1], polls);
        vop_channel_close(pair_of(l.side[0], 2));
        l.side[0] = NULL;
        join_waiters(waiters, 0);
        link_close(&l);
    }
}

/* As many as the memory holds. */
static void test_ivshmem_room(void **state)
{
    struct vop_options o = options_of(5);
    struct link l;

    (void)state;
    o.queue_size = 64;
    o.slot_size = 2048; /* a pool is a quarter of a half, and the areas take a part of another */
    region_open(&l, &o);
    assert_int_equal(info_of(l.side[0]).queue_pairs, 3);
    check_traffic(&l, 3);
    link_close(&l);
}

/* ---- Nothing is left behind ---- */

#define CONNECTS 1000u

static void test_level(void **state)
{
    unsigned fds = test_count_fds(), maps = test_count_maps("vop-half");
    size_t bytes = 0;

    (void)state;
    for (unsigned i = 0; i < CONNECTS; i++) {
        struct link l;

        open_uneven(&l, 1 + i % 4, 4);
        if (i % 2)
            link_die(&l, i / 2 % 2);
        link_close(&l);
        if (i == CONNECTS / 10) { /* what threads and libraries take once is there */
            test_settle();
            bytes = mallinfo2().uordblks;
        }
    }
    assert_int_equal(test_count_fds(), fds);
    assert_int_equal(test_count_maps("vop-half"), maps);
    /* what each thread keeps for its next malloc() counts as in use; LeakSanitizer finds what is smaller than that */
    assert_true(mallinfo2().uordblks <= bytes + 256 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_agreement, test_guard),
        cmocka_unit_test_setup(test_options, test_guard),
        cmocka_unit_test_setup(test_independence, test_guard),
        cmocka_unit_test_setup(test_descriptors, test_guard),
        cmocka_unit_test_setup(test_threads, test_guard),
        cmocka_unit_test_setup(test_two_processes, test_guard),
        cmocka_unit_test_setup(test_kill, test_guard),
        cmocka_unit_test_setup(test_interrupt, test_guard),
        cmocka_unit_test_setup(test_close, test_guard),
        cmocka_unit_test_setup(test_fork, test_guard),
        cmocka_unit_test_setup_teardown(test_ivshmem, region_setup, region_teardown),
        cmocka_unit_test_setup_teardown(test_ivshmem_room, region_setup, region_teardown),
        cmocka_unit_test_setup(test_level, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
