/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_futex.c - links whose threads sleep on the indexes: nothing is lost, either way, and every end is heard.
 *
 * Room: tests. Two processes; neither ever spins.
 */
#include "support/link.h"

#include <pthread.h>
#include <sys/resource.h>

#define ROUNDS 2000u
#define MESSAGES 20000u

static struct vop_options options_of(uint32_t futex)
{
    struct vop_options o = link_options(8, 64, VOP_SPIN_NEVER);

    o.futex = futex;
    return o;
}

static bool is_in_force(vop_channel *c)
{
    return c->link->futex;
}

static int echo(vop_channel *c, void *unused)
{
    uint64_t number;
    ssize_t n;

    (void)unused;
    while ((n = vop_channel_recv(c, &number, sizeof(number), -1)) > 0)
        check(vop_channel_send(c, &number, sizeof(number), -1) == 0);
    return n != 0;
}

static void run_echo(uint32_t mine, uint32_t its)
{
    struct vop_options my_options = options_of(mine), its_options = options_of(its);
    vop_channel *c;
    pid_t child = link_fork(&my_options, &its_options, echo, NULL, &c);

    assert_int_equal(is_in_force(c), mine && its);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint64_t number = 0;

        assert_int_equal(vop_channel_send(c, &i, sizeof(i), -1), 0);
        assert_int_equal(vop_channel_recv(c, &number, sizeof(number), -1), sizeof(number));
        assert_int_equal(number, i);
    }
    vop_channel_close(c);
    assert_int_equal(link_join(child), 0);
}

static void test_echo(void **state)
{
    (void)state;
    run_echo(1, 1);
    run_echo(1, 0); /* only where both want it */
    run_echo(0, 1);
}

static int read_stream(vop_channel *c, void *unused)
{
    uint64_t number;

    (void)unused;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        check(vop_channel_recv(c, &number, sizeof(number), -1) == sizeof(number));
        check(number == i);
        if (i % 1000 == 0)
            test_sleep_ms(1); /* the sender fills the queue, and sleeps for slots */
    }
    return vop_channel_recv(c, &number, sizeof(number), -1) != 0;
}

static void test_stream(void **state)
{
    struct vop_options o = options_of(1);
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
    vop_channel *c;
    pid_t child = link_fork(&o, &o, read_stream, NULL, &c);

    (void)state;
    for (uint64_t i = 0; i < MESSAGES; i++)
        assert_int_equal(vop_channel_send(c, &i, sizeof(i), -1), 0);
    assert_int_equal(vop_channel_get_stats(c, &stats), 0);
    assert_true(stats.sleeps > 0);
    vop_channel_close(c);
    assert_int_equal(link_join(child), 0);
}

/* A thread that sends and one that receives sleep side by side, each on its own index. */
static void *receive_all(void *channel)
{
    uint64_t number;

    for (uint64_t i = 0; i < MESSAGES; i++) {
        check(vop_channel_recv(channel, &number, sizeof(number), -1) == sizeof(number));
        check(number == i);
    }
    return NULL;
}

static void test_both_directions(void **state)
{
    struct vop_options o = options_of(1);
    vop_channel *c;
    pid_t child = link_fork(&o, &o, echo, NULL, &c);
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, receive_all, c), 0);
    for (uint64_t i = 0; i < MESSAGES; i++)
        assert_int_equal(vop_channel_send(c, &i, sizeof(i), -1), 0);
    pthread_join(thread, NULL);
    vop_channel_close(c);
    assert_int_equal(link_join(child), 0);
}

static int die(vop_channel *c, void *unused)
{
    (void)c;
    (void)unused;
    test_sleep_ms(30);
    raise(SIGKILL);
    return 1;
}

static void test_death(void **state)
{
    struct vop_options o = options_of(1);
    uint8_t byte;
    vop_channel *c;
    pid_t child = link_fork(&o, &o, die, NULL, &c);

    (void)state;
    assert_int_equal(vop_channel_recv(c, &byte, 1, -1), -ECONNRESET);
    assert_int_equal(vop_channel_recv(c, &byte, 1, -1), -ECONNRESET);
    vop_channel_close(c);
    assert_int_equal(link_join(child), -SIGKILL);
}

static int close_soon(vop_channel *c, void *unused)
{
    (void)c; /* closed by whoever has called this */
    (void)unused;
    test_sleep_ms(30);
    return 0;
}

static void test_close(void **state)
{
    struct vop_options o = options_of(1);
    uint8_t byte;
    vop_channel *c;
    pid_t child = link_fork(&o, &o, close_soon, NULL, &c);

    (void)state;
    assert_int_equal(vop_channel_recv(c, &byte, 1, -1), 0);
    vop_channel_close(c);
    assert_int_equal(link_join(child), 0);
}

static void *interrupt(void *channel)
{
    test_sleep_ms(20);
    vop_channel_interrupt(channel);
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
}

static void *send_signal(void *target)
{
    test_sleep_ms(20);
    pthread_kill(*(pthread_t *)target, SIGUSR1);
    return NULL;
}

static void test_signal_and_interrupt(void **state)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct vop_options o = options_of(1);
    pthread_t self = pthread_self(), thread;
    struct link l;
    uint8_t byte;

    (void)state;
    link_open_shm(&l, &o);
    sigaction(SIGUSR1, &action, NULL);
    assert_int_equal(pthread_create(&thread, NULL, send_signal, &self), 0);
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), -EINTR);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, l.side[0]), 0);
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), -ECANCELED);
    pthread_join(thread, NULL);
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), -ECANCELED);
    assert_int_equal(vop_channel_send(l.side[1], "a", 1, 0), 0); /* the peer heard nothing of it */
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), 1);
    link_close(&l);
}

static void test_timeout(void **state)
{
    struct vop_options o = options_of(1);
    double start = test_seconds();
    struct link l;
    uint8_t byte;

    (void)state;
    link_open_shm(&l, &o);
    assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, 30), -EAGAIN);
    assert_true(test_seconds() - start >= 0.03);
    link_close(&l);
}

/* A program with an event loop at one end is kicked as ever, whatever its peer sleeps on. */
static void test_event_loop(void **state)
{
    struct vop_options o = options_of(1);
    vop_channel *c;
    pid_t child = link_fork(&o, &o, echo, NULL, &c);

    (void)state;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct pollfd fd = {.fd = vop_channel_fd(c), .events = POLLIN};
        uint64_t number = 0;
        ssize_t n;

        assert_int_equal(vop_channel_send(c, &i, sizeof(i), 0), 0);
        while ((n = vop_channel_recv(c, &number, sizeof(number), 0)) == -EAGAIN) {
            if (vop_channel_arm(c, VOP_ARM_RECV) == 0)
                assert_int_equal(poll(&fd, 1, 20000), 1);
            assert_int_equal(vop_channel_process(c), 0);
        }
        assert_int_equal(n, sizeof(number));
        assert_int_equal(number, i);
    }
    vop_channel_close(c);
    assert_int_equal(link_join(child), 0);
}

static void test_with_two_doorbells(void **state)
{
    struct vop_options o = options_of(1);
    vop_listener *listener;

    (void)state;
    o.doorbells = 2;
    assert_int_equal(vop_listener_open("shm:@none", &o, &listener), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "futex"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),    cmocka_unit_test(test_stream),     cmocka_unit_test(test_both_directions),
        cmocka_unit_test(test_death),   cmocka_unit_test(test_close),      cmocka_unit_test(test_signal_and_interrupt),
        cmocka_unit_test(test_timeout), cmocka_unit_test(test_event_loop), cmocka_unit_test(test_with_two_doorbells),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
