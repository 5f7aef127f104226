/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ivshmem.c - channels over the ivshmem wire: who meets whom in which order, who is refused, what is carried.
 *
 * Room: tests. test_ivshmem_death.c has peers that die or are paused.
 */
#include "support/region.h"

#include <poll.h>
#include <pthread.h>

#define N 16
#define S 256

static struct vop_options options;

static int setup(void **state)
{
    options = link_options(N, S, 50);
    return region_setup(state);
}

static void *accept_thread(void *arg)
{
    vop_listener *listener = arg;
    vop_channel *channel;

    check(vop_listener_accept(listener, 20000, &channel) == 0);
    return channel;
}

static void *connect_thread(void *arg)
{
    return region_connect((unsigned)(uintptr_t)arg, &options);
}

static void exchange(vop_channel *a, vop_channel *b)
{
    uint8_t bytes[16];

    for (unsigned i = 0; i < 40; i++) {
        vop_channel *from = i % 2 ? a : b, *to = i % 2 ? b : a;

        link_fill_bytes(bytes, sizeof(bytes), i);
        assert_int_equal(vop_channel_send(from, bytes, sizeof(bytes), 1000), 0);
        memset(bytes, 0, sizeof(bytes));
        assert_int_equal(vop_channel_recv(to, bytes, sizeof(bytes), 1000), sizeof(bytes));
        assert_true(link_holds_bytes(bytes, sizeof(bytes), i));
    }
}

/* Each side listens or connects, and either is first. */
static void test_every_order(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 8; how++) {
        bool listens[2] = {how & 1, how & 2};
        unsigned first = how >> 2;
        vop_listener *listener[2] = {NULL, NULL};
        pthread_t thread[2];
        void *channel[2];

        for (unsigned i = 0; i < 2; i++) {
            unsigned side = first ^ i;

            if (listens[side])
                assert_int_equal(vop_listener_open(region_uri[side], &options, &listener[side]), 0);
            assert_int_equal(pthread_create(&thread[side], NULL, listens[side] ? accept_thread : connect_thread,
                                            listens[side] ? (void *)listener[side] : (void *)(uintptr_t)side),
                             0);
            if (i == 0)
                test_sleep_ms(50); /* it is there by now; if not, the order is reversed */
        }
        for (unsigned side = 0; side < 2; side++)
            pthread_join(thread[side], &channel[side]);
        exchange(channel[0], channel[1]);
        for (unsigned side = 0; side < 2; side++) {
            struct vop_channel_info info = {.struct_size = sizeof(info)};

            assert_int_equal(vop_channel_get_info(channel[side], &info), 0);
            assert_int_equal(info.side, side);
            assert_true(info.contiguous && info.direct_io_remote && info.direct_io_local);
            assert_int_equal(info.peer_pid, -1);
        }
        vop_channel_close(channel[how & 1]);
        assert_int_equal(vop_channel_recv(channel[!(how & 1)], &(uint8_t){0}, 1, 1000), 0);
        vop_channel_close(channel[!(how & 1)]);
        vop_listener_close(listener[0]);
        vop_listener_close(listener[1]);
    }
}

/* A listener takes one peer after the other, and keeps its side all the time. */
static void test_again_and_again(void **state)
{
    unsigned fds = test_count_fds();
    vop_listener *listener;
    vop_channel *mine;
    pthread_t thread;
    void *its;

    (void)state;
    assert_int_equal(vop_listener_open(region_uri[0], &options, &listener), 0);
    for (unsigned i = 0; i < 5; i++) {
        struct pollfd fd = {.fd = vop_listener_fd(listener), .events = POLLIN};

        assert_int_equal(pthread_create(&thread, NULL, connect_thread, (void *)(uintptr_t)1), 0);
        while (vop_listener_accept(listener, 0, &mine) == -EAGAIN)
            assert_int_equal(poll(&fd, 1, 10000), 1);
        pthread_join(thread, &its);
        exchange(mine, its);
        assert_int_equal(vop_listener_accept(listener, 60, &mine), -EAGAIN); /* one at a time */
        assert_int_equal(vop_channel_connect(region_uri[0], &options, 1000, &(vop_channel *){NULL}), -EADDRINUSE);
        assert_int_equal(vop_channel_connect(region_uri[1], &options, 1000, &(vop_channel *){NULL}), -EADDRINUSE);
        vop_channel_close(i % 2 ? mine : its);
        vop_channel_close(i % 2 ? its : mine);
    }
    vop_listener_close(listener);
    assert_int_equal(test_count_fds(), fds);
}

static void test_nobody(void **state)
{
    vop_listener *listener;
    vop_channel *channel;

    (void)state;
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 50, &channel), -ETIMEDOUT);
    assert_non_null(strstr(vop_error_text(), "side 0"));
    assert_int_equal(vop_listener_open(region_uri[0], &options, &listener), 0);
    assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    assert_int_equal(vop_listener_accept(listener, 50, &channel), -EAGAIN);
    vop_listener_close(listener);
    assert_int_equal(((struct vop_announce *)(void *)region_map())->state.le, VOP_STATE_ABSENT);
    assert_int_equal(((struct vop_announce *)(void *)(region_map() + REGION_SIZE / 2))->state.le, VOP_STATE_ABSENT);

    options.slot_size = 65536;
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 50, &channel), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "4096 KiB"));
}

/* What programs long dead have left behind is ignored; what a live program says is not. */
static void test_other_programs(void **state)
{
    struct vop_options other = options;
    vop_listener *listener;
    vop_channel *channel, *wrong;
    pthread_t thread;
    void *its;

    (void)state;
    other.device_id = 1;
    assert_int_equal(vop_listener_open(region_uri[0], &other, &listener), 0);
    assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 50, &channel), -ETIMEDOUT); /* it says no more */
    assert_int_equal(pthread_create(&thread, NULL, accept_thread, listener), 0);
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 10000, &wrong), -EPROTO);
    assert_non_null(strstr(vop_error_text(), "device type 1"));
    assert_int_equal(vop_channel_connect(region_uri[1], &other, 10000, &channel), 0); /* it still listens */
    pthread_join(thread, &its);
    exchange(channel, its);
    vop_channel_close(channel);
    vop_channel_close(its);
    vop_listener_close(listener);
}

/* ---- What is carried ---- */

static const struct stream stream = {.seed = 4, .count = 50000, .longest = 3000};

static int stream_child(vop_channel *c, void *context)
{
    (void)context;
    stream_recv(c, &stream);
    stream_send(c, &stream);
    return 0;
}

static void test_stream(void **state)
{
    (void)state;
    for (unsigned spin = 0; spin < 2; spin++) {
        options = link_options(64, 1024, spin ? 50 : VOP_SPIN_NEVER);
        pid_t child = region_fork(1, &options, stream_child, NULL);
        vop_channel *c = region_connect(0, &options);

        stream_send(c, &stream);
        stream_recv(c, &stream);
        assert_int_equal(vop_channel_recv(c, &(uint8_t){0}, 1, 10000), 0);
        vop_channel_close(c);
        assert_int_equal(link_join(child), 0);
    }
}

/* Naps grow, so a wait in vain has room for a known number of them. */
static void test_idle(void **state)
{
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
    struct link l;
    pthread_t thread;

    (void)state;
    options.spin_us = VOP_SPIN_NEVER;
    region_open(&l, &options);
    assert_int_equal(pthread_create(&thread, NULL, (void *(*)(void *))(void *)stream_echo, l.side[1]), 0);
    assert_int_equal(vop_channel_recv(l.side[0], &(uint8_t){0}, 1, 2000), -EAGAIN);
    assert_int_equal(vop_channel_get_stats(l.side[0], &stats), 0);
    assert_in_range(stats.sleeps, 1, 2000 / 4 + 10);
    assert_int_equal(stats.rescues, 0);
    vop_channel_close(l.side[0]);
    pthread_join(thread, NULL);
    vop_channel_close(l.side[1]);
}

/* An event loop: only the descriptor says when to look. */
static void *loop_thread(void *arg)
{
    vop_channel *c = arg;
    uint8_t bytes[S];
    ssize_t length = -EAGAIN;

    while (length > 0 || length == -EAGAIN) {
        length = vop_channel_recv(c, bytes, sizeof(bytes), 0);
        if (length > 0) {
            check(vop_channel_send(c, bytes, (size_t)length, 0) == 0);
        } else if (length == -EAGAIN && vop_channel_arm(c, VOP_ARM_RECV) == 0) {
            struct pollfd fd = {.fd = vop_channel_fd(c), .events = POLLIN};

            int ret;

            check(poll(&fd, 1, 10000) == 1);
            ret = vop_channel_process(c);
            check(ret == 0 || ret == -ECONNRESET); /* the receiving call reports the end of stream */
        }
    }
    check(length == 0);
    return NULL;
}

static void test_event_loop(void **state)
{
    struct link l;
    pthread_t thread;
    uint8_t bytes[16];

    (void)state;
    region_open(&l, &options);
    assert_int_equal(pthread_create(&thread, NULL, loop_thread, l.side[1]), 0);
    for (unsigned i = 0; i < 2000; i++) {
        link_fill_bytes(bytes, sizeof(bytes), i);
        assert_int_equal(vop_channel_send(l.side[0], bytes, sizeof(bytes), 10000), 0);
        assert_int_equal(vop_channel_recv(l.side[0], bytes, sizeof(bytes), 10000), sizeof(bytes));
        assert_true(link_holds_bytes(bytes, sizeof(bytes), i));
    }
    /* Long enough that both would be dead if only traffic made their hearts beat. */
    assert_int_equal(vop_channel_recv(l.side[0], bytes, sizeof(bytes), 2500), -EAGAIN);
    assert_int_equal(vop_channel_send(l.side[0], bytes, sizeof(bytes), 10000), 0);
    assert_int_equal(vop_channel_recv(l.side[0], bytes, sizeof(bytes), 10000), sizeof(bytes));
    vop_channel_close(l.side[0]);
    pthread_join(thread, NULL);
    vop_channel_close(l.side[1]);
}

/* Work is no heartbeat: a side whose every send succeeds must beat, too. */
static void *diligent_thread(void *arg)
{
    for (unsigned i = 0; i < 50; i++) {
        check(vop_channel_send(arg, "work", 4, 0) == 0);
        test_sleep_ms(50);
    }
    return NULL;
}

static void test_diligent_sender(void **state)
{
    struct link l;
    pthread_t thread;
    uint8_t bytes[4];

    (void)state;
    region_open(&l, &options);
    assert_int_equal(pthread_create(&thread, NULL, diligent_thread, l.side[1]), 0);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(vop_channel_recv(l.side[0], bytes, sizeof(bytes), 10000), sizeof(bytes));
    pthread_join(thread, NULL);
    link_close(&l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, region_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_every_order),    TEST(test_again_and_again), TEST(test_nobody),
        TEST(test_other_programs), TEST(test_stream),          TEST(test_idle),
        TEST(test_event_loop),     TEST(test_diligent_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
