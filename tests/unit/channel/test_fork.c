/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_fork.c - what a child of fork() can do with the channels and listeners of its parent: close them, no harm.
 *
 * Room: tests.
 */
#include "support/region.h"

#include <sys/mman.h>

/* In a child: every call refuses, and touches nothing. */
static void try_all(vop_channel *c)
{
    uint8_t byte = 0;
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
    struct vop_buffer buffer = {.segment = {{&byte, 1}}, .length = 1, .position = 1};

    check(vop_channel_send(c, &byte, 1, -1) == -EINVAL);
    check(strstr(vop_error_text(), "another process") != NULL);
    check(vop_channel_recv(c, &byte, 1, -1) == -EINVAL);
    check(vop_channel_reserve(c, 1, -1, &buffer) == -EINVAL);
    check(vop_channel_commit(c, 1, 0) == -EINVAL);
    check(vop_channel_write(c, &buffer, 0, &byte, 1) == -EINVAL);
    check(vop_channel_read(c, &buffer, 0, &byte, 1) == -EINVAL);
    check(vop_channel_peek(c, -1, &buffer) == -EINVAL);
    check(vop_channel_release(c, &buffer) == -EINVAL);
    check(vop_channel_flush(c) == -EINVAL);
    check(vop_channel_process(c) == -EINVAL);
    check(vop_channel_arm(c, VOP_ARM_RECV | VOP_ARM_SEND) == 1);
    check(vop_channel_get_info(c, &info) == -EINVAL);
    check(vop_channel_get_stats(c, &stats) == 0);
    check(vop_channel_in_doubt(c) == 0);
    check(vop_channel_message_max(c) > 0);
    vop_channel_cancel(c);
    vop_channel_interrupt(c);
}

/* What the child maps where the parent has its halves must not go with the channel. */
#define MAPS 64
#define MAP_SIZE ((size_t)128 * 1024)

static void fill_gaps(uint8_t *ret_maps[MAPS])
{
    for (unsigned i = 0; i < MAPS; i++) {
        ret_maps[i] = mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(ret_maps[i] != MAP_FAILED);
        memset(ret_maps[i], (int)i, MAP_SIZE);
    }
}

static void check_gaps(uint8_t *maps[MAPS])
{
    for (unsigned i = 0; i < MAPS; i++)
        check(maps[i][0] == i && maps[i][MAP_SIZE - 1] == i);
}

static void run_child(vop_channel *c, unsigned fds_before)
{
    uint8_t *maps[MAPS];
    pid_t child = test_child();

    if (child == 0) {
        fill_gaps(maps);
        try_all(c);
        vop_channel_close(c);
        check_gaps(maps);
        check(fds_before == 0 || test_count_fds() <= fds_before);
        exit(0);
    }
    assert_int_equal(link_join(child), 0);
}

/* Messages of both directions, held and not, from before the fork to after the child is gone. */
static void check_undisturbed(struct link *l, unsigned fds_before)
{
    struct vop_buffer held;
    uint8_t byte = 0;

    assert_int_equal(vop_channel_send(l->side[0], "a", 1, 0), 0);
    assert_int_equal(vop_channel_send(l->side[0], "b", 1, 0), 0);
    assert_int_equal(vop_channel_peek(l->side[1], 0, &held), 1);
    run_child(l->side[0], fds_before);
    run_child(l->side[1], 0);
    assert_memory_equal(held.segment[0].iov_base, "a", 1);
    assert_int_equal(vop_channel_release(l->side[1], &held), 0);
    assert_int_equal(vop_channel_recv(l->side[1], &byte, 1, -1), 1);
    assert_int_equal(byte, 'b');
    assert_int_equal(vop_channel_send(l->side[1], "c", 1, -1), 0);
    assert_int_equal(vop_channel_recv(l->side[0], &byte, 1, -1), 1);
    assert_int_equal(vop_channel_process(l->side[0]), 0);
}

static void test_shm(void **state)
{
    struct vop_options o = link_options(4, 1024, VOP_SPIN_NEVER);
    struct link l;

    (void)state;
    link_open_shm(&l, &o);
    check_undisturbed(&l, test_count_fds() - 1); /* the socket */
    link_close(&l);
}

static void test_ivshmem(void **state)
{
    struct vop_options o = link_options(4, 1024, VOP_SPIN_NEVER);
    vop_listener *listener;
    struct link l;
    pid_t child;

    (void)state;
    assert_int_equal(vop_listener_open(region_uri[0], &o, &listener), 0);
    child = test_child();
    if (child == 0) { /* a listener that was inherited is only good for closing */
        vop_channel *channel;
        uint8_t *maps[MAPS];

        fill_gaps(maps);
        check(vop_listener_accept(listener, 0, &channel) == -EINVAL);
        vop_listener_close(listener);
        check_gaps(maps);
        exit(0);
    }
    assert_int_equal(link_join(child), 0);
    child = test_child();
    if (child == 0) {
        uint8_t byte;

        check(vop_channel_connect(region_uri[1], &o, 20000, &l.side[1]) == 0);
        while (vop_channel_recv(l.side[1], &byte, 1, -1) == 1)
            check(vop_channel_send(l.side[1], &byte, 1, -1) == 0);
        exit(0);
    }
    assert_int_equal(vop_listener_accept(listener, 20000, &l.side[0]), 0);
    run_child(l.side[0], 0);
    assert_int_equal(vop_channel_send(l.side[0], "a", 1, -1), 0);
    {
        uint8_t byte = 0;

        assert_int_equal(vop_channel_recv(l.side[0], &byte, 1, -1), 1);
        assert_int_equal(byte, 'a');
    }
    vop_channel_close(l.side[0]);
    assert_int_equal(link_join(child), 0);
    vop_listener_close(listener);
}

/* A child that ends, or closes what it inherited, does not take the parent's socket away. */
static void test_listener_stays(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);
    vop_channel *channel;
    vop_listener *listener;
    char uri[128];
    pid_t child;

    (void)state;
    assert_int_equal(vop_listener_open(link_uri(uri), &o, &listener), 0);
    child = test_child();
    if (child == 0) {
        vop_listener_close(listener);
        exit(0);
    }
    assert_int_equal(link_join(child), 0);
    child = test_child();
    if (child == 0) {
        check(vop_channel_connect(uri, &o, 20000, &channel) == 0);
        vop_channel_close(channel);
        exit(0);
    }
    assert_int_equal(vop_listener_accept(listener, 20000, &channel), 0);
    vop_channel_close(channel);
    assert_int_equal(link_join(child), 0);
    vop_listener_close(listener);
    link_uri_remove(uri);
}

/* A child that forgot to close the listener does not keep the next server out once the one that listened is dead. */
static void test_orphaned_listener(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);
    int ready[2], hold[2];
    vop_listener *listener;
    char uri[128];
    pid_t server;
    uint8_t byte;

    (void)state;
    (void)link_uri(uri);
    check(pipe(ready) == 0 && pipe(hold) == 0);
    server = test_child();
    if (server == 0) {
        check(vop_listener_open(uri, &o, &listener) == 0);
        if (fork() == 0) { /* holds the socket until the test is over */
            close(hold[1]);
            check(write(ready[1], "", 1) == 1);
            (void)!read(hold[0], &byte, 1);
            _exit(0);
        }
        for (;;)
            pause();
    }
    close(hold[0]);
    check(read(ready[0], &byte, 1) == 1);
    assert_int_equal(vop_listener_open(uri, &o, &listener), -EADDRINUSE);
    kill(server, SIGKILL);
    assert_int_equal(link_join(server), -SIGKILL);
    assert_int_equal(vop_listener_open(uri, &o, &listener), 0);
    vop_listener_close(listener);
    link_uri_remove(uri);
    close(hold[1]);
    close(ready[0]);
    close(ready[1]);
}

#define WORKERS 3
#define CLIENTS 20

static _Noreturn void work(vop_listener *listener)
{
    for (;;) {
        vop_channel *channel;
        uint8_t byte;
        int ret = vop_listener_accept(listener, -1, &channel);

        if (ret == -EINTR)
            continue;
        check(ret == 0);
        while (vop_channel_recv(channel, &byte, 1, -1) == 1)
            check(vop_channel_send(channel, &byte, 1, -1) == 0);
        vop_channel_close(channel);
    }
}

/* A server that forks its workers in advance: each accepts from the one listener, and all clients are served. */
static void test_workers(void **state)
{
    struct vop_options o = link_options(4, 64, VOP_SPIN_NEVER);
    pid_t worker[WORKERS], client[CLIENTS];
    vop_listener *listener;
    char uri[128];

    (void)state;
    assert_int_equal(vop_listener_open(link_uri(uri), &o, &listener), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker[i] = test_child();
        if (worker[i] == 0)
            work(listener);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        client[i] = test_child();
        if (client[i] == 0) {
            vop_channel *channel;
            uint8_t byte = 0;

            check(vop_channel_connect(uri, &o, 20000, &channel) == 0);
            for (unsigned n = 0; n < 100; n++) {
                check(vop_channel_send(channel, &i, 1, -1) == 0);
                check(vop_channel_recv(channel, &byte, 1, -1) == 1 && byte == i);
            }
            vop_channel_close(channel);
            exit(0);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(link_join(client[i]), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        kill(worker[i], SIGKILL);
        assert_int_equal(link_join(worker[i]), -SIGKILL);
    }
    vop_listener_close(listener);
    link_uri_remove(uri);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_shm, test_guard),
        cmocka_unit_test_setup_teardown(test_ivshmem, region_setup, region_teardown),
        cmocka_unit_test_setup(test_listener_stays, test_guard),
        cmocka_unit_test_setup(test_orphaned_listener, test_guard),
        cmocka_unit_test_setup(test_workers, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
