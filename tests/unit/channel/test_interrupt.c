/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_interrupt.c - a wait is ended from outside: by another thread and from a signal handler, however it waits.
 *
 * Room: tests.
 */
#include "support/region.h"

#include <pthread.h>
#include <sys/time.h>

#define TRIES 1200 /* as many as a signal was missed in a few of */

struct waiter {
    vop_channel *channel;
    bool sends;
    int ret;
    pthread_t thread;
};

static void *wait_for_ever(void *context)
{
    struct waiter *w = context;
    uint8_t byte;

    if (!w->sends) {
        w->ret = (int)vop_channel_recv(w->channel, &byte, 1, -1);
        return NULL;
    }
    do {
        w->ret = vop_channel_send(w->channel, "", 1, -1); /* the ring fills, and then it waits */
    } while (w->ret == 0);
    return NULL;
}

static void begin(struct waiter *w, vop_channel *channel, bool sends)
{
    *w = (struct waiter){.channel = channel, .sends = sends, .ret = 1};
    check(pthread_create(&w->thread, NULL, wait_for_ever, w) == 0);
}

static int end(struct waiter *w)
{
    check(pthread_join(w->thread, NULL) == 0);
    return w->ret;
}

/* Both directions at once, in each way to wait: what sleeps is woken, what spins looks. */
static void test_both_directions(void **state)
{
    static const uint32_t ways[] = {VOP_SPIN_NEVER, 50, VOP_SPIN_FOREVER};

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct vop_options o = link_options(4, 64, ways[i]);
        struct waiter receiver, sender;
        struct link l;

        link_open_shm(&l, &o);
        begin(&receiver, l.side[0], false);
        begin(&sender, l.side[0], true);
        test_sleep_ms(20);
        vop_channel_interrupt(l.side[0]);
        assert_int_equal(end(&receiver), -ECANCELED);
        assert_int_equal(end(&sender), -ECANCELED);
        link_close(&l);
    }
}

/* At any moment of a call's way to its sleep: none is missed. */
static void test_none_is_missed(void **state)
{
    struct vop_options o = link_options(2, 64, VOP_SPIN_NEVER);
    uint64_t seed = 12;

    (void)state;
    for (unsigned i = 0; i < TRIES; i++) {
        volatile uint64_t pause = test_random(&seed) % 30000;
        struct waiter w;
        struct link l;

        link_open_loop(&l, &o, 0);
        begin(&w, l.side[0], false);
        while (pause > 0)
            pause = pause - 1;
        vop_channel_interrupt(l.side[0]);
        assert_int_equal(end(&w), -ECANCELED);
        link_close(&l);
    }
}

/* What needs no wait goes on, on both sides, and the peer is not told anything. */
static void test_what_is_left(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);
    uint8_t byte = 0;
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    assert_int_equal(vop_channel_send(l.side[1], "a", 1, 0), 0);
    vop_channel_interrupt(l.side[0]);
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), -ECANCELED);
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, 0), -EAGAIN);
    assert_int_equal(vop_channel_send(l.side[1], "b", 1, 0), 0); /* its kick goes nowhere, and nobody dies of it */
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), 1);
    assert_int_equal(vop_channel_send(l.side[0], "c", 1, -1), 0);
    assert_int_equal(vop_channel_recv(l.side[1], &byte, 1, -1), 1);
    assert_int_equal(byte, 'c');
    assert_int_equal(vop_channel_process(l.side[0]), -ECANCELED);
    vop_channel_close(l.side[0]);
    l.side[0] = NULL;
    assert_int_equal(vop_channel_recv(l.side[1], &byte, 1, -1), 0); /* an orderly end */
    link_close(&l);
}

static vop_channel *volatile in_handler;

static void handle(int signal)
{
    int saved = errno;

    (void)signal;
    errno = 4711;
    vop_channel_interrupt(in_handler);
    check(errno == 4711);
    errno = saved;
}

/* From a handler that runs in the waiting thread itself, before or in its sleep. */
static void test_from_a_handler(void **state)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, before;
    struct vop_options o = link_options(2, 64, VOP_SPIN_NEVER);
    struct itimerval in_a_moment = {.it_value = {.tv_usec = 2000}};
    uint8_t byte;
    int ret;

    (void)state;
    check(sigaction(SIGALRM, &action, &before) == 0);
    for (unsigned i = 0; i < 20; i++) {
        struct link l;

        link_open_shm(&l, &o);
        in_handler = l.side[0];
        check(setitimer(ITIMER_REAL, &in_a_moment, NULL) == 0);
        do {
            ret = (int)vop_channel_recv(l.side[0], &byte, 1, -1);
        } while (ret == -EINTR); /* what a program does that has no other use for it */
        assert_int_equal(ret, -ECANCELED);
        link_close(&l);
    }
    check(sigaction(SIGALRM, &before, NULL) == 0);
}

static void *accept_for_ever(void *context)
{
    vop_channel *channel;

    return (void *)(intptr_t)vop_listener_accept(context, -1, &channel);
}

static void interrupt_listener(const char *uri, const struct vop_options *options, unsigned tries)
{
    for (unsigned i = 0; i < tries; i++) {
        vop_listener *listener;
        vop_channel *channel;
        pthread_t thread;
        void *ret;

        assert_int_equal(vop_listener_open(uri, options, &listener), 0);
        check(pthread_create(&thread, NULL, accept_for_ever, listener) == 0);
        if (i % 2)
            test_sleep_ms(1);
        vop_listener_interrupt(listener);
        check(pthread_join(thread, &ret) == 0);
        assert_int_equal((intptr_t)ret, -ECANCELED);
        assert_int_equal(vop_listener_accept(listener, -1, &channel), -ECANCELED);
        assert_int_equal(vop_listener_accept(listener, 0, &channel), -EAGAIN);
        vop_listener_close(listener);
    }
}

static void test_listeners(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);
    char uri[128];

    (void)state;
    interrupt_listener(link_uri(uri), &o, 50);
    link_uri_remove(uri);
    interrupt_listener(region_uri[0], &o, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_both_directions, test_guard),
        cmocka_unit_test_setup(test_none_is_missed, test_guard),
        cmocka_unit_test_setup(test_what_is_left, test_guard),
        cmocka_unit_test_setup(test_from_a_handler, test_guard),
        cmocka_unit_test_setup_teardown(test_listeners, region_setup, region_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
