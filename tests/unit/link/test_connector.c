/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_connector.c - connecting in steps, waiting for a server, connecting again after its end; and what is final.
 *
 * Room: tests. test_connector_pauses.c has the pauses between attempts, test_connector_fork.c what a child can do.
 */
#include "support/region.h"
#include "unit/link/util_server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

static char uri[128];
static struct vop_options options;
static unsigned fds_before;

static int setup(void **state)
{
    link_uri(uri);
    options = link_options(4, 64, VOP_SPIN_NEVER);
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 20;
    check(region_setup(state) == 0);
    fds_before = test_count_fds();
    return 0;
}

static int teardown(void **state)
{
    region_teardown(state);
    server_clean(uri);
    return test_count_fds() != fds_before || test_count_maps("memfd:vop") != 0 || test_count_maps("/vop-t") != 0;
}

/* ---- In steps ---- */

/* Somebody listens, and does no more. */
static void test_mute_server(void **state)
{
    int listener = server_socket(uri, SOCK_SEQPACKET, 8);
    vop_channel *channel = (void *)uri;
    vop_connector *connector;
    double start = test_seconds();
    unsigned steps;

    (void)state;
    options.handshake_ms = 300;
    connector = opened(uri, &options);
    assert_int_equal(run_loop(connector, &channel, &steps), -ETIMEDOUT);
    assert_non_null(strstr(vop_error_text(), "did not answer in time"));
    assert_ptr_equal(channel, uri); /* untouched on failure */
    assert_true(test_seconds() - start >= 0.3);
    assert_in_range(steps, 2, 3);             /* it dials, and time is up */
    assert_false(is_readable(connector, 50)); /* nothing to do until the next call */
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_non_null(strstr(vop_error_text(), "nothing has come from the peer yet"));
    assert_int_equal(vop_connector_connect(connector, 20, &channel), -EAGAIN);
    vop_connector_close(connector);

    options.connect_wait = 1; /* then it is no more than one attempt that failed */
    connector = opened(uri, &options);
    start = test_seconds();
    do {
        assert_true(is_readable(connector, 30000));
        assert_int_equal(one_step(connector, &channel), -EAGAIN);
    } while (!strstr(vop_error_text(), "did not answer in time"));
    assert_true(test_seconds() - start >= 0.3);
    assert_int_equal(test_count_maps("memfd:vop"), 0); /* nothing is kept for the next one */
    vop_connector_close(connector);
    close(listener);
}

/* Nobody even accepts: it is tried again by a timer. */
static void test_full_backlog(void **state)
{
    int listener = server_socket(uri, SOCK_SEQPACKET, 1), sockets[20];
    unsigned count = server_fill_backlog(uri, sockets, 20), steps;
    vop_connector *connector;
    vop_channel *channel;

    (void)state;
    options.handshake_ms = 200;
    connector = opened(uri, &options);
    assert_int_equal(run_loop(connector, &channel, &steps), -ETIMEDOUT);
    assert_non_null(strstr(vop_error_text(), "does not accept connections"));
    assert_in_range(steps, 3, 250); /* one each millisecond */
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_non_null(strstr(vop_error_text(), "backlog is full"));
    close(listener); /* nobody is there any more */
    assert_int_equal(run_loop(connector, &channel, &steps), -ECONNREFUSED);
    vop_connector_close(connector);
    while (count > 0)
        close(sockets[--count]);
}

/* A server that is stopped in the middle of it, and goes on. */
static void test_stopped_server(void **state)
{
    pid_t server = server_start(uri, &options, 0);
    vop_connector *connector;
    vop_channel *channel;
    unsigned steps;

    (void)state;
    options.connect_wait = 1;
    assert_int_equal(vop_channel_connect(uri, &options, 30000, &channel), 0); /* it listens */
    vop_channel_close(channel);
    kill(server, SIGSTOP);
    options.handshake_ms = 40000;
    connector = opened(uri, &options);
    while (is_readable(connector, 200))
        assert_int_equal(one_step(connector, &channel), -EAGAIN);
    kill(server, SIGCONT);
    assert_int_equal(run_loop(connector, &channel, &steps), 0);
    assert_false(is_readable(connector, 50)); /* while there is a channel */
    server_echo(channel);
    vop_connector_close(connector);
    server_echo(channel); /* it stays */
    vop_channel_close(channel);
    server_kill(server);
}

static void test_steps_on_ivshmem(void **state)
{
    vop_connector *connector;
    vop_channel *channel;
    pid_t server;
    unsigned steps;

    (void)state;
    options.handshake_ms = 200;
    connector = opened(region_uri[1], &options);
    assert_int_equal(run_loop(connector, &channel, &steps), -ETIMEDOUT);
    assert_non_null(strstr(vop_error_text(), "nobody answers on side 0"));
    assert_in_range(steps, 3, 40); /* some 20 ms apart */
    assert_false(is_readable(connector, 50));
    vop_connector_close(connector);

    options.connect_wait = 1; /* then there is no end to it */
    connector = opened(region_uri[1], &options);
    for (unsigned i = 0; i < 30; i++) {
        assert_true(is_readable(connector, 30000));
        assert_int_equal(one_step(connector, &channel), -EAGAIN);
        assert_non_null(strstr(vop_error_text(), "nobody answers on the other side"));
    }
    server = server_start(region_uri[0], &options, 0);
    assert_int_equal(run_loop(connector, &channel, &steps), 0);
    assert_false(is_readable(connector, 100)); /* while there is a channel */
    server_echo(channel);
    vop_channel_close(channel);
    vop_connector_close(connector);
    server_kill(server);
}

/* ---- A server that comes and goes ---- */

static void wait_for_server(const char *mine, const char *its, const char *missing)
{
    vop_connector *connector = opened(mine, &options);
    vop_channel *channel;
    pid_t server;

    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_non_null(strstr(vop_error_text(), missing));
    assert_int_equal(vop_connector_connect(connector, 50, &channel), -EAGAIN);
    assert_non_null(strstr(vop_error_text(), missing));
    server = server_start(its, &options, 0);
    channel = connected(connector);
    server_echo(channel);
    vop_channel_close(channel);
    vop_connector_close(connector);
    server_kill(server);
    unlink(uri + 4);
}

static void test_wait(void **state)
{
    (void)state;
    options.connect_wait = 1;
    wait_for_server(uri, uri, "start the listening side first");
    close(server_socket(uri, SOCK_SEQPACKET, 1)); /* the file of a server that is dead */
    wait_for_server(uri, uri, "no server listens there any more");
    wait_for_server(region_uri[1], region_uri[0], "nobody answers on the other side");
}

/* So does the short form, up to its timeout. */
static void test_wait_in_one_call(void **state)
{
    double start = test_seconds();
    vop_channel *channel;
    pid_t server;

    (void)state;
    options.connect_wait = 1;
    options.handshake_ms = 50; /* that is another limit */
    assert_int_equal(vop_channel_connect(uri, &options, 300, &channel), -ETIMEDOUT);
    assert_true(test_seconds() - start >= 0.3);
    assert_non_null(strstr(vop_error_text(), "within 300 ms"));
    assert_non_null(strstr(vop_error_text(), "start the listening side first"));
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 300, &channel), -ETIMEDOUT);
    assert_non_null(strstr(vop_error_text(), "nobody answers on the other side"));
    options.handshake_ms = 5000;
    server = server_start(uri, &options, 200);
    assert_int_equal(vop_channel_connect(uri, &options, -1, &channel), 0);
    server_echo(channel);
    vop_channel_close(channel);
    server_kill(server);
}

/* Steps of both sides, until this side is up and the other has its channel too. */
static vop_channel *meet(vop_connector *connector, vop_listener *listener, vop_channel **ret_its)
{
    vop_channel *channel;
    int ret;

    do {
        assert_true(is_readable(connector, 30000));
        ret = one_step(connector, &channel);
        if (ret == -EAGAIN)
            assert_int_equal(vop_listener_accept(listener, 0, ret_its), -EAGAIN);
    } while (ret == -EAGAIN);
    assert_int_equal(ret, 0);
    assert_int_equal(vop_listener_accept(listener, 20000, ret_its), 0);
    return channel;
}

/* A server that has all the links it may have is waited for. */
static void test_busy_server(void **state)
{
    vop_connector *connector[2];
    vop_channel *channel[2], *its[2];
    vop_listener *listener;

    (void)state;
    options.links_max = 1;
    options.connect_wait = 1;
    assert_int_equal(vop_listener_open(uri, &options, &listener), 0);
    for (unsigned i = 0; i < 2; i++)
        connector[i] = opened(uri, &options);
    channel[0] = meet(connector[0], listener, &its[0]);
    do {
        assert_true(is_readable(connector[1], 30000));
        assert_int_equal(one_step(connector[1], &channel[1]), -EAGAIN);
        if (!strstr(vop_error_text(), "as many as it may"))
            assert_int_equal(vop_listener_accept(listener, 0, &its[1]), -EAGAIN);
    } while (!strstr(vop_error_text(), "the server has 1 links, as many as it may"));
    vop_channel_close(channel[0]);
    vop_channel_close(its[0]);
    channel[1] = meet(connector[1], listener, &its[1]);
    vop_channel_close(channel[1]);
    vop_channel_close(its[1]);
    for (unsigned i = 0; i < 2; i++)
        vop_connector_close(connector[i]);
    vop_listener_close(listener);
}

/* So is whoever has this very side of an ivshmem memory. */
static void test_side_in_use(void **state)
{
    vop_connector *connector;
    vop_listener *listener;
    vop_channel *channel;
    pid_t server;

    (void)state;
    options.connect_wait = 1;
    assert_int_equal(vop_listener_open(region_uri[1], &options, &listener), 0);
    connector = opened(region_uri[1], &options);
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_non_null(strstr(vop_error_text(), "is in use"));
    assert_int_equal(test_count_maps("/vop-t"), 1 + 2); /* the test's own, and the listener's */
    vop_listener_close(listener);
    server = server_start(region_uri[0], &options, 0);
    channel = connected(connector);
    server_echo(channel);
    vop_channel_close(channel);
    vop_connector_close(connector);
    server_kill(server);
}

/* One connector, and one server after another: each is killed, or closes, or lives on while this side closes. */
static void again_and_again(const char *mine, const char *its, unsigned times)
{
    vop_connector *connector;
    pid_t server = server_start(its, &options, 0);
    unsigned fds;
    char byte;

    options.connect_wait = 1;
    connector = opened(mine, &options);
    fds = test_count_fds();
    for (unsigned i = 0; i < times; i++) {
        vop_channel *channel = connected(connector);

        server_echo(channel);
        assert_int_equal(vop_connector_connect(connector, -1, &(vop_channel *){NULL}), -EINVAL);
        assert_non_null(strstr(vop_error_text(), "close it first"));
        if (i % 3 == 0) {
            server_kill(server);
            assert_int_equal(vop_channel_recv(channel, &byte, 1, 30000), -ECONNRESET);
        } else if (i % 3 == 1) {
            server_quit(channel);
        }
        assert_false(is_readable(connector, 0)); /* the end of a channel is the channel's */
        vop_channel_close(channel);
        if (i % 3 == 0)
            server = server_start(its, &options, 0);
        assert_int_equal(test_count_fds(), fds); /* a connector has two, and no memory of a link */
        assert_int_equal(test_count_maps("memfd:vop"), 0);
        assert_int_equal(test_count_maps("/vop-t"), 1);
    }
    vop_connector_close(connector);
    server_kill(server);
}

static void test_again_and_again(void **state)
{
    (void)state;
    again_and_again(uri, uri, 100);
}

static void test_again_and_again_on_ivshmem(void **state)
{
    (void)state;
    again_and_again(region_uri[1], region_uri[0], 9);
}

/* ---- What is final ---- */

static void expect_final(vop_connector *connector, int expected, const char *text)
{
    vop_channel *channel;
    unsigned steps;

    for (unsigned i = 0; i < 3; i++) { /* told each time, after its pause */
        assert_int_equal(run_loop(connector, &channel, &steps), expected);
        assert_non_null(strstr(vop_error_text(), text));
    }
    vop_connector_close(connector);
}

static void test_final_errors(void **state)
{
    char longest[200] = "shm:/";
    vop_channel *channel;
    vop_connector *connector;
    struct vop_options plain = options;
    pid_t server = server_start(uri, &options, 0);
    int other;

    (void)state;
    options.connect_wait = 1;
    assert_int_equal(vop_channel_connect(uri, &options, 30000, &channel), 0); /* it is there */
    vop_channel_close(channel);
    options.device_id = 1;
    expect_final(opened(uri, &options), -EPROTO, "device");
    options.device_id = 0;
    options.queue_size = 8;
    options.message_min = 8 * 64;
    expect_final(opened(uri, &options), -EMSGSIZE, "message_min 512, ");
    options = plain;
    options.connect_wait = 1;
    server_kill(server);
    unlink(uri + 4);

    other = server_socket(uri, SOCK_STREAM, 1);
    expect_final(opened(uri, &options), -EPROTO, "of another type");
    close(other);
    unlink(uri + 4);
    memset(longest + 5, 'x', sizeof(longest) - 6);
    expect_final(opened(longest, &options), -ENAMETOOLONG, "at most 107 bytes");
    expect_final(opened("shm:@abstract", &options), -EINVAL, "abstract");
    expect_final(opened("ivshmem:relative", &options), -EINVAL, "whole path");
    if (geteuid() != 0) {
        other = server_socket(uri, SOCK_SEQPACKET, 1);
        check(chmod(uri + 4, 0) == 0);
        expect_final(opened(uri, &options), -EACCES, "no permission");
        close(other);
        unlink(uri + 4);
    }

    /* Without connect_wait they all are, and each call tries at once. */
    options.connect_wait = 0;
    connector = opened(uri, &options);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vop_connector_connect(connector, -1, &channel), -ENOENT);
        assert_false(is_readable(connector, 10));
    }
    close(server_socket(uri, SOCK_SEQPACKET, 1));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(vop_connector_connect(connector, -1, &channel), -ECONNREFUSED);
    vop_connector_close(connector);
}

static void test_open(void **state)
{
    vop_connector *connector = (void *)uri;

    (void)state;
    assert_int_equal(vop_connector_open(NULL, NULL, &connector), -EINVAL);
    assert_int_equal(vop_connector_open("tcp:x", NULL, &connector), -EPROTONOSUPPORT);
    options.queue_size = 3;
    assert_int_equal(vop_connector_open(uri, &options, &connector), -EINVAL);
    options.queue_size = 4;
    options.backoff_max_ms = 0x80000000u;
    assert_int_equal(vop_connector_open(uri, &options, &connector), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "backoff_max_ms"));
    options.backoff_max_ms = 9;
    options.backoff_min_ms = 10;
    assert_int_equal(vop_connector_open(uri, &options, &connector), -EINVAL);
    assert_non_null(strstr(vop_error_text(), "backoff_min_ms 10"));
    assert_ptr_equal(connector, uri); /* untouched on failure */
    options.backoff_min_ms = 9;
    test_limit_fds(1);
    assert_int_equal(vop_connector_open(uri, &options, &connector), -EMFILE);
    test_limit_fds(2);
    assert_int_equal(vop_connector_open(uri, &options, &connector), 0);
    test_limit_fds(-1);
    vop_connector_close(connector);
    vop_connector_close(NULL);
}

/* ---- Interrupted, and under signals ---- */

static void *connect_for_ever(void *context)
{
    vop_channel *channel;

    return (void *)(intptr_t)vop_connector_connect(context, -1, &channel);
}

/* At any moment of its way: none is missed. */
static void interrupt_from_a_thread(const char *to, unsigned tries)
{
    for (unsigned i = 0; i < tries; i++) {
        vop_connector *connector = opened(to, &options);
        vop_channel *channel;
        pthread_t thread;
        void *ret;

        check(pthread_create(&thread, NULL, connect_for_ever, connector) == 0);
        if (i % 2)
            test_sleep_ms(1);
        vop_connector_interrupt(connector);
        check(pthread_join(thread, &ret) == 0);
        assert_int_equal((intptr_t)ret, -ECANCELED);
        assert_int_equal(vop_connector_connect(connector, -1, &channel), -ECANCELED);
        assert_int_equal(vop_connector_connect(connector, 0, &channel), -EAGAIN);
        vop_connector_close(connector);
    }
}

static void test_interrupt(void **state)
{
    int listener;

    (void)state;
    options.connect_wait = 1;
    options.backoff_min_ms = options.backoff_max_ms = 50000;
    interrupt_from_a_thread(uri, 50); /* in a pause */
    interrupt_from_a_thread(region_uri[1], 4);
    listener = server_socket(uri, SOCK_SEQPACKET, 100);
    interrupt_from_a_thread(uri, 50); /* in a handshake */
    close(listener);
}

/* Whoever polls the descriptor hears it, once. */
static void test_interrupt_wakes_the_loop(void **state)
{
    vop_connector *connector;
    vop_channel *channel;

    (void)state;
    options.connect_wait = 1;
    options.backoff_min_ms = options.backoff_max_ms = 50000;
    connector = opened(uri, &options);
    assert_true(is_readable(connector, 0));
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_false(is_readable(connector, 20));
    vop_connector_interrupt(connector);
    assert_true(is_readable(connector, 20000));
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_false(is_readable(connector, 20));
    vop_connector_close(connector);
}

static vop_connector *volatile in_handler;

static void handle(int signal)
{
    int saved = errno;

    (void)signal;
    errno = 4711;
    if (in_handler)
        vop_connector_interrupt(in_handler);
    check(errno == 4711);
    errno = saved;
}

/* From a handler that runs in the waiting thread itself. */
static void test_interrupt_from_a_handler(void **state)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, before;
    struct itimerval in_a_moment = {.it_value = {.tv_usec = 2000}};
    vop_channel *channel;
    int ret;

    (void)state;
    options.connect_wait = 1;
    options.backoff_min_ms = options.backoff_max_ms = 50000;
    check(sigaction(SIGALRM, &action, &before) == 0);
    for (unsigned i = 0; i < 20; i++) {
        vop_connector *connector = opened(uri, &options);

        in_handler = connector;
        check(setitimer(ITIMER_REAL, &in_a_moment, NULL) == 0);
        do {
            ret = vop_connector_connect(connector, -1, &channel);
        } while (ret == -EINTR); /* what a program does that has no other use for it */
        assert_int_equal(ret, -ECANCELED);
        in_handler = NULL;
        vop_connector_close(connector);
    }
    check(sigaction(SIGALRM, &before, NULL) == 0);
    (void)test_guard(state);
}

/* A timer of 10 ms: connect says so, and what it does comes to its end all the same. */
static void test_signals(void **state)
{
    struct sigaction action = {.sa_handler = handle}, before;
    struct itimerval often = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
    const char *const to[] = {uri, region_uri[1]}, *const at[] = {uri, region_uri[0]};
    unsigned interrupted = 0;
    vop_channel *channel;
    int ret;

    (void)state;
    options.connect_wait = 1;
    for (unsigned i = 0; i < 2; i++) {
        vop_connector *connector = opened(to[i], &options);
        pid_t server = server_start(at[i], &options, 300);

        check(sigaction(SIGALRM, &action, &before) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0);
        while ((ret = vop_connector_connect(connector, -1, &channel)) == -EINTR)
            interrupted++;
        check(setitimer(ITIMER_REAL, &never, NULL) == 0 && sigaction(SIGALRM, &before, NULL) == 0);
        assert_int_equal(ret, 0);
        assert_true(interrupted > 0);
        vop_channel_close(channel);
        vop_connector_close(connector);
        server_kill(server);
    }
    (void)test_guard(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_mute_server),
        TEST(test_full_backlog),
        TEST(test_stopped_server),
        TEST(test_steps_on_ivshmem),
        TEST(test_wait),
        TEST(test_wait_in_one_call),
        TEST(test_busy_server),
        TEST(test_side_in_use),
        TEST(test_again_and_again),
        TEST(test_again_and_again_on_ivshmem),
        TEST(test_final_errors),
        TEST(test_open),
        TEST(test_interrupt),
        TEST(test_interrupt_wakes_the_loop),
        TEST(test_interrupt_from_a_handler),
        TEST(test_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
