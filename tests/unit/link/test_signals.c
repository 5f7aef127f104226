/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_signals.c - a handshake comes to its end although a signal interrupts it every few milliseconds, as in programs
 * with a profiler or a language runtime.
 *
 * Room: tests.
 */
#include "support/region.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t ticks;

static void tick(int signal)
{
    (void)signal;
    ticks++;
}

/* In this process from now on. */
static void start_ticks(void)
{
    struct sigaction action = {.sa_handler = tick};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 3000000}, {0, 3000000}};
    timer_t timer;

    check(sigaction(SIGUSR1, &action, NULL) == 0);
    check(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    check(timer_settime(timer, 0, &often, NULL) == 0);
}

static vop_channel *accept_one(vop_listener *listener)
{
    vop_channel *channel;
    int ret;

    while ((ret = vop_listener_accept(listener, -1, &channel)) == -EINTR)
        continue;
    check(ret == 0);
    return channel;
}

/* A client under signals connects once; the server, under signals too, takes its time. */
static void meet(const char *uri, const char *its_uri, const struct vop_options *o, unsigned server_waits_ms)
{
    vop_listener *listener;
    vop_channel *channel;
    pid_t child;
    uint8_t byte;

    assert_int_equal(vop_listener_open(uri, o, &listener), 0);
    child = test_child();
    if (child == 0) {
        int ret;

        start_ticks();
        ret = vop_channel_connect(its_uri, o, 40000, &channel);
        check(ret == 0);
        check(ticks > 0);
        while ((ret = vop_channel_send(channel, "x", 1, -1)) == -EINTR)
            continue;
        check(ret == 0);
        while (vop_channel_recv(channel, &byte, 1, -1) == -EINTR)
            continue;
        exit(0);
    }
    start_ticks();
    for (unsigned slept = 0; slept < server_waits_ms; slept += 3)
        test_sleep_ms(3);
    channel = accept_one(listener);
    while (vop_channel_recv(channel, &byte, 1, -1) == -EINTR)
        continue;
    vop_channel_close(channel);
    assert_int_equal(link_join(child), 0);
    vop_listener_close(listener);
}

static void test_shm(void **state)
{
    struct vop_options small = link_options(4, 64, VOP_SPIN_NEVER), large = link_options(4096, 16384, VOP_SPIN_NEVER);
    char uri[128];

    (void)state;
    meet(link_uri(uri), uri, &small, 300);
    meet(uri, uri, &large, 0); /* 128 MiB take longer to allocate than a signal takes to come */
    link_uri_remove(uri);
}

static void test_ivshmem(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);

    (void)state;
    meet(region_uri[0], region_uri[1], &o, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_shm, test_guard),
        cmocka_unit_test_setup_teardown(test_ivshmem, region_setup, region_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
