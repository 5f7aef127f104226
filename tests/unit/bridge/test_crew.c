/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_crew.c - whether the workers live: told without waiting, also while one of them hangs.
 *
 * Room: tests. The TAP is datagram sockets, and the port of a worker keeps its thread for as long as the test likes.
 */
#include "support/test.h"

#include "crew.h"
#include "frame.h"

#include <sys/eventfd.h>
#include <sys/socket.h>

#define WORKERS 3

static struct tap tap;
static int kernel[WORKERS]; /* the other ends of its queues */
static struct port ports[WORKERS];
static struct crew crew;
static uv_loop_t loop;
static uv_sem_t may_go_on;
static unsigned hangs; /* atomic */

static int peek(struct port *port, struct port_buffer *ret_buffer)
{
    (void)port;
    (void)ret_buffer;
    return -EAGAIN;
}

static int nothing(struct port *port)
{
    (void)port;
    return 0;
}

static int arm(struct port *port, bool for_room)
{
    (void)port;
    (void)for_room;
    return 0;
}

static int reserve(struct port *port, size_t length, struct port_buffer *ret_buffer)
{
    (void)port;
    (void)length;
    (void)ret_buffer;
    return -EAGAIN;
}

static void look(struct port *port, struct port_facts *ret_facts)
{
    (void)port;
    *ret_facts = (struct port_facts){.kicks = 0};
}

/* As one in an endless loop, or in a system call that does not return. */
static int hang(struct port *port)
{
    uint64_t value;

    check(read(port->fd, &value, sizeof(value)) == sizeof(value));
    __atomic_store_n(&hangs, 1, __ATOMIC_SEQ_CST);
    uv_sem_wait(&may_go_on);
    return 0;
}

static void on_lost(void *context, int why, const char *text)
{
    (void)context;
    (void)why;
    (void)text;
}

static void on_nothing(void *context)
{
    (void)context;
}

static int begin(void **state)
{
    static const struct port_ops ops = {.peek = peek,
                                        .release = nothing,
                                        .reserve = reserve,
                                        .arm = arm,
                                        .flush = nothing,
                                        .process = hang,
                                        .look = look};
    const struct crew_setup setup = {
        .tap = &tap, .forward = {.mtu = 1500}, .lost = on_lost, .news = on_nothing, .stuck = on_nothing};
    struct port *begun[WORKERS];

    test_guard(state);
    tap.queues = tap.queues_in_use = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        int pair[2];

        check(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
        tap.queue_fd[i] = pair[0];
        kernel[i] = pair[1];
        ports[i] = (struct port){.ops = &ops,
                                 .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                                 .header_size = FRAME_HEADER_SIZE,
                                 .message_max = FRAME_MESSAGE_MAX,
                                 .is_direct = true};
        begun[i] = &ports[i];
    }
    uv_sem_init(&may_go_on, 0);
    check(uv_loop_init(&loop) == 0);
    check(crew_open(&crew, &loop, &setup) == 0);
    return crew_begin(&crew, begun, WORKERS);
}

static int end(void **state)
{
    (void)state;
    crew_close(&crew);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < WORKERS; i++) {
        close(ports[i].fd);
        close(kernel[i]);
    }
    tap_close(&tap);
    uv_sem_destroy(&may_go_on);
    return uv_loop_close(&loop);
}

/* The guard ends the test if they never do. */
static void expect_life(void)
{
    while (!crew_is_alive(&crew))
        test_sleep_ms(1);
}

static void test_idle_workers_live(void **state)
{
    (void)state;
    expect_life();
    expect_life();
}

static void test_one_hangs(void **state)
{
    (void)state;
    expect_life();
    check(write(ports[1].fd, &(uint64_t){1}, 8) == 8);
    while (!__atomic_load_n(&hangs, __ATOMIC_SEQ_CST))
        test_sleep_ms(1);
    (void)crew_is_alive(&crew); /* it may have turned before */
    for (int i = 0; i < 20; i++) {
        test_sleep_ms(2);
        assert_false(crew_is_alive(&crew));
    }
    uv_sem_post(&may_go_on);
    expect_life();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_idle_workers_live, begin, end),
        cmocka_unit_test_setup_teardown(test_one_hangs, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
