/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_connector_fork.c - what a child of fork() can do with the connector of its parent: close it, no harm.
 *
 * Room: tests.
 */
#include "support/region.h"
#include "unit/link/util_server.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <vopipc/abi.h>
#include <vopipc/le.h>

static char uri[128];
static struct vop_options options;
static unsigned fds_before;

static int setup(void **state)
{
    link_uri(uri);
    options = link_options(4, 64, VOP_SPIN_NEVER);
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

#define MAPS 1024
#define MAP_SIZE ((size_t)4096) /* so that they fill small gaps, too */

/* What a child maps where the parent has a half must not go with the connector. */
static void close_in_child(vop_connector *connector)
{
    unsigned fds = test_count_fds();
    uint8_t *maps[MAPS];
    vop_channel *channel;
    pid_t child = test_child();

    if (child > 0) {
        assert_int_equal(link_join(child), 0);
        return;
    }
    for (unsigned i = 0; i < MAPS; i++) {
        maps[i] = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(maps[i] != MAP_FAILED);
        memset(maps[i], (int)(i % 251), MAP_SIZE);
    }
    check(vop_connector_connect(connector, 0, &channel) == -EINVAL);
    check(strstr(vop_error_text(), "another process") != NULL);
    check(vop_connector_fd(connector) == -EINVAL);
    vop_connector_interrupt(connector);
    vop_connector_close(connector);
    for (unsigned i = 0; i < MAPS; i++)
        check(maps[i][0] == i % 251 && maps[i][MAP_SIZE - 1] == i % 251);
    check(test_count_fds() <= fds - 2);
    exit(0);
}

static void test_fork(void **state)
{
    int sockets[20];
    unsigned count, steps;
    vop_connector *connector;
    vop_listener *listener;
    vop_channel *channel, *its;
    char byte;

    (void)state;
    options.connect_wait = 1;
    options.backoff_min_ms = options.backoff_max_ms = 2000;
    options.handshake_ms = 60000; /* no timer helps a descriptor that a child has spoilt */
    connector = opened(uri, &options);
    close_in_child(connector); /* before its first step */
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_false(is_readable(connector, 0));
    close_in_child(connector); /* in a pause, which a child does not end */
    assert_false(is_readable(connector, 0));

    assert_int_equal(vop_listener_open(uri, &options, &listener), 0);
    assert_true(is_readable(connector, 20000)); /* it goes on, and ends */
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    close_in_child(connector); /* with CONNECT sent */
    assert_int_equal(vop_listener_accept(listener, 0, &its), -EAGAIN);
    assert_true(is_readable(connector, 20000)); /* the parent's socket is still in its epoll instance */
    assert_int_equal(run_loop(connector, &channel, &steps), 0);
    close_in_child(connector); /* with a channel */
    assert_int_equal(vop_listener_accept(listener, 20000, &its), 0);
    assert_int_equal(vop_channel_send(its, "a", 1, 0), 0);
    assert_int_equal(vop_channel_recv(channel, &byte, 1, 20000), 1);
    vop_channel_close(channel);
    vop_channel_close(its);
    vop_listener_close(listener);
    vop_connector_close(connector);

    /* With memory, and no place in the backlog yet. */
    sockets[19] = server_socket(uri, SOCK_SEQPACKET, 1);
    count = server_fill_backlog(uri, sockets, 19);
    connector = opened(uri, &options);
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    assert_int_equal(test_count_maps("memfd:vop"), 2);
    close_in_child(connector);
    assert_int_equal(test_count_maps("memfd:vop"), 2);
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    vop_connector_close(connector);
    close(sockets[19]);
    while (count > 0)
        close(sockets[--count]);
}

/* A child that forgot to close the connector keeps the socket of an attempt open: that is no news for ever. */
static void test_child_that_forgot(void **state)
{
    int listener = server_socket(uri, SOCK_SEQPACKET, 8), fd;
    vop_connector *connector = opened(uri, &options);
    vop_channel *channel;
    unsigned steps;
    pid_t child;

    (void)state;
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    fd = accept(listener, NULL, NULL);
    check(fd >= 0);
    child = test_child();
    if (child == 0) {
        close(fd);
        for (;;)
            pause();
    }
    test_sleep_ms(20);
    check(shutdown(fd, SHUT_RDWR) == 0);
    close(fd);
    assert_int_equal(run_loop(connector, &channel, &steps), -ECONNRESET);
    assert_false(is_readable(connector, 20));
    assert_int_equal(one_step(connector, &channel), -EAGAIN); /* the next call tries again at once */
    assert_non_null(strstr(vop_error_text(), "nothing has come from the peer yet"));
    vop_connector_close(connector);
    server_kill(child);
    close(listener);
}

static void test_fork_on_ivshmem(void **state)
{
    struct vop_announce *mine = (void *)region_map();
    vop_connector *connector;
    vop_channel *channel;
    pid_t server;

    (void)state;
    options.connect_wait = 1;
    connector = opened(region_uri[1], &options);
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    close_in_child(connector);
    vop_connector_close(connector);

    /* Whoever had the side last may live: for a second it is only watched, and there is no channel. */
    mine->state = vop_to_le32(VOP_STATE_HELLO);
    mine->incarnation = vop_to_le64(1);
    connector = opened(region_uri[1], &options);
    assert_int_equal(one_step(connector, &channel), -EAGAIN);
    close_in_child(connector);
    server = server_start(region_uri[0], &options, 0);
    channel = connected(connector);
    server_echo(channel);
    vop_channel_close(channel);
    vop_connector_close(connector);
    server_kill(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_fork),
        TEST(test_child_that_forgot),
        TEST(test_fork_on_ivshmem),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
