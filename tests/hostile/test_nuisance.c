/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_nuisance.c - what a peer can do to the socket of a link that is up: nothing of it may block, spin or leak.
 *
 * Room: tests. PROTOCOL.md, Death.
 */
#include "hostile/util_stage.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A descriptor that polls readable again and again, with nothing to do, would keep a loop busy. */
static void expect_quiet(vop_channel *c)
{
    struct pollfd fd = {.fd = vop_channel_fd(c), .events = POLLIN};
    unsigned wakes = 0;

    for (unsigned i = 0; i < 20; i++) {
        (void)vop_channel_process(c);
        if (vop_channel_arm(c, VOP_ARM_RECV) == 0 && poll(&fd, 1, 5) > 0)
            wakes++;
    }
    assert_true(wakes <= 1);
}

static void test_data_on_the_socket(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum role role = 0; role < ROLES; role++) {
        int fds[16];
        char junk[512] = {0};
        struct peer p;
        vop_channel *c = stage_link(&s, role, &p);

        for (unsigned i = 0; i < 16; i++)
            fds[i] = STDIN_FILENO;
        while (peer_send(p.socket, junk, sizeof(junk), fds, 16) == 0) /* not where the system can refuse them */
            continue;
        while (peer_send(p.socket, junk, sizeof(junk), NULL, 0) == 0)
            continue;
        expect_quiet(c);
        stage_expect_traffic(&p, c);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

static void test_half_closed_socket(void **state)
{
    static const int how[] = {SHUT_WR, SHUT_RD, SHUT_RDWR};
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    s.options.spin_us = VOP_SPIN_NEVER; /* the sleep must hear it, not the look between two spins */
    stage_reopen(&s);
    for (unsigned i = 0; i < 3; i++) {
        struct peer p;
        vop_channel *c = stage_link(&s, ROLE_ACCEPTOR, &p);
        struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
        char bytes[8];
        long start;
        int ret;

        assert_int_equal(peer_push(&p, "last", 4), 0);
        assert_int_equal(shutdown(p.socket, how[i]), 0);
        start = stage_ms();
        assert_int_equal(vop_channel_recv(c, bytes, sizeof(bytes), 500), 4);
        ret = (int)vop_channel_recv(c, bytes, sizeof(bytes), how[i] == SHUT_RD ? 50 : -1);
        assert_int_equal(stage_soon(ret, start), how[i] == SHUT_RD ? -EAGAIN : -ECONNRESET);
        assert_int_equal(vop_channel_process(c), how[i] == SHUT_RD ? 0 : -ECONNRESET);
        assert_int_equal(vop_channel_get_stats(c, &stats), 0);
        assert_true(stats.sleeps <= 3); /* it slept until it heard it, and did not run in circles */
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* Spinning for ever must hear a death as well. */
static void test_death_of_a_spinner(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;
    char byte;
    long start;

    (void)state;
    stage_open(&s, 2000, 8);
    s.options.spin_us = VOP_SPIN_FOREVER;
    stage_reopen(&s);
    c = stage_link(&s, ROLE_ACCEPTOR, &p);
    shutdown(p.socket, SHUT_RDWR);
    start = stage_ms();
    assert_int_equal(stage_soon((int)vop_channel_recv(c, &byte, 1, -1), start), -ECONNRESET);
    stage_end(&s, &p, c);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_on_the_socket),
        cmocka_unit_test(test_half_closed_socket),
        cmocka_unit_test(test_death_of_a_spinner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
