/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_connector_pauses.c - how long a connector waits between its attempts.
 *
 * Room: tests. Servers are in this thread, so that each attempt is seen before the pause that follows it. Bounds are
 * such that a slow machine keeps them. connect is wrapped, so that it can be counted.
 */
#include "unit/link/util_server.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static char uri[128];
static struct vop_options options;
static unsigned fds_before;

static int setup(void **state)
{
    link_uri(uri);
    options = link_options(4, 64, VOP_SPIN_NEVER);
    options.connect_wait = 1;
    fds_before = test_count_fds();
    return test_guard(state);
}

static int teardown(void **state)
{
    (void)state;
    server_clean(uri);
    return test_count_fds() != fds_before || test_count_maps("memfd:vop") != 0;
}

static vop_connector *open_connector(unsigned min_ms, unsigned max_ms)
{
    options.backoff_min_ms = min_ms;
    options.backoff_max_ms = max_ms;
    return opened(uri, &options);
}

/* Waits for the descriptor, then takes a step. */
static int next_step(vop_connector *connector, vop_channel **ret_channel)
{
    struct pollfd fd = {.fd = vop_connector_fd(connector), .events = POLLIN};

    assert_int_equal(poll(&fd, 1, 30000), 1);
    return vop_connector_connect(connector, 0, ret_channel);
}

/* Somebody hangs up at once, whenever an attempt comes: each pause is twice as long as the one before. */
static void test_growing(void **state)
{
    static const double pause[] = {0.010, 0.020, 0.040, 0.080, 0.160, 0.200, 0.200,
                                   0.200, 0.200, 0.200, 0.200, 0.200, 0.200};
    int listener = server_socket(uri, SOCK_SEQPACKET, 8);
    vop_connector *connector = open_connector(10, 200);
    double last = 0, start = test_seconds();
    unsigned attempts = 0;
    vop_channel *channel;

    (void)state;
    while (attempts <= sizeof(pause) / sizeof(pause[0])) {
        int fd;

        assert_int_equal(next_step(connector, &channel), -EAGAIN);
        fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        if (attempts > 0)
            assert_true(test_seconds() - last >= pause[attempts - 1] / 2);
        last = test_seconds();
        attempts++;
        close(fd);
    }
    assert_int_equal(next_step(connector, &channel), -EAGAIN);
    assert_non_null(strstr(vop_error_text(), "hung up during the handshake"));
    print_message("%u attempts in %.0f ms\n", attempts, (test_seconds() - start) * 1000);
    assert_true(test_seconds() - start < 20); /* two seconds; without a longest pause it would be twice this at least */
    vop_connector_close(connector);
    close(listener);
}

static vop_channel *meet(vop_connector *connector, vop_listener *listener, vop_channel **ret_its)
{
    vop_channel *channel;
    int ret;

    while ((ret = next_step(connector, &channel)) == -EAGAIN)
        assert_int_equal(vop_listener_accept(listener, 0, ret_its), -EAGAIN);
    assert_int_equal(ret, 0);
    assert_int_equal(vop_listener_accept(listener, 20000, ret_its), 0);
    return channel;
}

/* A server that takes everybody, and keeps nobody. */
static void test_lost_at_once(void **state)
{
    vop_connector *connector = open_connector(20, 200);
    double end = test_seconds() + 1;
    vop_listener *listener;
    unsigned links = 0;

    (void)state;
    assert_int_equal(vop_listener_open(uri, &options, &listener), 0);
    for (; test_seconds() < end; links++) {
        vop_channel *its, *channel = meet(connector, listener, &its);

        vop_channel_close(its);
        assert_int_equal(vop_channel_recv(channel, &(char){0}, 1, 20000), 0);
        vop_channel_close(channel);
        assert_int_equal(vop_connector_connect(connector, 0, &channel), -EAGAIN);
        assert_non_null(strstr(vop_error_text(), "the last link is over"));
    }
    print_message("%u links in a second\n", links);
    assert_in_range(links, 2, 15); /* after 10, 20, 40, 80 ms, then every 100 ms, if chance takes all it can */
    vop_connector_close(connector);
    vop_listener_close(listener);
}

/* After a link that lasted, the pauses begin with the first again. */
static void test_starting_over(void **state)
{
    vop_connector *connector = open_connector(1, 1500);
    vop_channel *its, *channel;
    vop_listener *listener;
    double start;

    (void)state;
    for (unsigned i = 0; i < 12; i++) /* 1, 2, 4, ... 1024: the next one is 1500 */
        assert_int_equal(next_step(connector, &channel), -EAGAIN);
    assert_int_equal(vop_listener_open(uri, &options, &listener), 0);
    channel = meet(connector, listener, &its);
    test_sleep_ms(1600);
    vop_channel_close(its);
    vop_channel_close(channel);
    start = test_seconds();
    assert_int_equal(vop_connector_connect(connector, 0, &channel), -EAGAIN);
    channel = meet(connector, listener, &its);
    assert_true(test_seconds() - start < 0.75); /* it would be this at least */
    vop_channel_close(its);
    vop_channel_close(channel);
    vop_connector_close(connector);
    vop_listener_close(listener);
}

/* Many clients of one server that is gone do not come back at one moment. */
#define CLIENTS 32

static void test_spread(void **state)
{
    struct pollfd fd[CLIENTS];
    vop_connector *connector[CLIENTS];
    double first = 0, start = test_seconds(), last = 0;
    vop_channel *channel;

    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++) {
        connector[i] = open_connector(400, 400);
        assert_int_equal(vop_connector_connect(connector[i], 0, &channel), -EAGAIN);
        fd[i] = (struct pollfd){.fd = vop_connector_fd(connector[i]), .events = POLLIN};
    }
    start = test_seconds();
    for (unsigned left = CLIENTS; left > 0;) {
        assert_true(poll(fd, CLIENTS, 20000) > 0);
        last = test_seconds() - start;
        if (first == 0)
            first = last;
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (fd[i].fd >= 0 && fd[i].revents) {
                fd[i].fd = -1;
                left--;
            }
        }
    }
    print_message("after %.0f to %.0f ms\n", first * 1000, last * 1000);
    assert_true(last - first > 0.1); /* 32 of 200 ms: less than half of them once in 10^8 runs */
    for (unsigned i = 0; i < CLIENTS; i++)
        vop_connector_close(connector[i]);
}

/* The name of a server that is dead does not cost the memory of a link at each attempt. */
static void test_no_memory_for_the_dead(void **state)
{
    struct rlimit before, none;
    vop_connector *connector;
    vop_channel *channel;

    (void)state;
    close(server_socket(uri, SOCK_SEQPACKET, 1));
    connector = open_connector(1, 10);
    assert_int_equal(next_step(connector, &channel), -EAGAIN);
    check(getrlimit(RLIMIT_FSIZE, &before) == 0);
    none = before;
    none.rlim_cur = 0;
    check(setrlimit(RLIMIT_FSIZE, &none) == 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(next_step(connector, &channel), -EAGAIN);
        assert_non_null(strstr(vop_error_text(), "no server listens there any more"));
    }
    check(setrlimit(RLIMIT_FSIZE, &before) == 0);
    vop_connector_close(connector);
}

static unsigned dials;

int connect(int socket, const struct sockaddr *address, socklen_t length)
{
    dials++;
    return (int)syscall(SYS_connect, socket, address, length);
}

/* A server that takes nobody is asked ever more seldom. */
static void test_full_backlog_is_asked_seldom(void **state)
{
    int sockets[20], listener = server_socket(uri, SOCK_SEQPACKET, 0);
    unsigned count = server_fill_backlog(uri, sockets, 20);
    vop_connector *connector;
    vop_channel *channel;

    (void)state;
    options.connect_wait = 0;
    options.handshake_ms = 2000;
    connector = opened(uri, &options);
    dials = 0;
    assert_int_equal(vop_connector_connect(connector, -1, &channel), -ETIMEDOUT);
    assert_non_null(strstr(vop_error_text(), "does not accept connections"));
    print_message("%u times asked\n", dials);
    assert_in_range(dials, 2, 800); /* 256 + 256 ln(2000 / 256) is 782; each ms would be 2000 */
    vop_connector_close(connector);
    for (unsigned i = 0; i < count; i++)
        close(sockets[i]);
    close(listener);
}

/* Whoever calls before it is time does not ask more often. */
static void test_early_calls_do_not_ask(void **state)
{
    int sockets[20], listener = server_socket(uri, SOCK_SEQPACKET, 0);
    unsigned count = server_fill_backlog(uri, sockets, 20), calls = 0;
    vop_connector *connector;
    vop_channel *channel;
    int ret;

    (void)state;
    options.connect_wait = 0;
    options.handshake_ms = 100;
    connector = opened(uri, &options);
    dials = 0;
    for (; (ret = vop_connector_connect(connector, 0, &channel)) == -EAGAIN; calls++)
        assert_non_null(strstr(vop_error_text(), "backlog is full"));
    assert_int_equal(ret, -ETIMEDOUT);
    print_message("%u calls, %u times asked\n", calls, dials);
    assert_in_range(dials, 2, 101); /* each ms */
    vop_connector_close(connector);
    for (unsigned i = 0; i < count; i++)
        close(sockets[i]);
    close(listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_growing),
        TEST(test_lost_at_once),
        TEST(test_starting_over),
        TEST(test_spread),
        TEST(test_no_memory_for_the_dead),
        TEST(test_full_backlog_is_asked_seldom),
        TEST(test_early_calls_do_not_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
