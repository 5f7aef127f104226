/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_worker.c - a worker whose peer never stops sending: each of its ways to the end has one.
 *
 * Room: tests. The port is a table of messages, the TAP one end of a datagram socket pair that nobody reads.
 */
#include "frame.h"
#include "support/test.h"
#include "worker.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEFT_MAX 40000u /* more than any ring holds */

struct world {
    struct port port; /* first: a port is turned back into this */
    uv_loop_t loop;
    struct worker worker;
    int kernel;        /* the other end of the TAP */
    uint8_t flags;     /* of each message's header */
    bool is_sending;   /* there is always one more message */
    int arm_ret;       /* what arm() returns, and then the peer begins to send */
    unsigned received; /* messages */
    uint64_t kicks;    /* as look() says, */
    int64_t depth;     /* and this */
    int why;           /* that the worker has given up */
    struct iovec segment;
    uint8_t message[FRAME_HEADER_SIZE + 60];
};

static int peek(struct port *port, struct port_buffer *ret_buffer)
{
    struct world *w = (struct world *)port;

    if (!w->is_sending)
        return -EAGAIN;
    w->message[0] = w->flags;
    w->segment = (struct iovec){w->message, sizeof(w->message)};
    *ret_buffer = (struct port_buffer){&w->segment, 1, sizeof(w->message)};
    return 1;
}

static int release(struct port *port)
{
    struct world *w = (struct world *)port;

    if (++w->received > 2 * LEFT_MAX)
        fail_msg("it goes on and on");
    return 0;
}

static int reserve(struct port *port, size_t length, struct port_buffer *ret_buffer)
{
    (void)port;
    (void)length;
    (void)ret_buffer;
    return -EAGAIN;
}

static int arm(struct port *port, bool for_room)
{
    struct world *w = (struct world *)port;

    (void)for_room;
    w->is_sending = w->arm_ret < 0;
    return w->arm_ret;
}

static int nothing(struct port *port)
{
    (void)port;
    return 0;
}

static void look(struct port *port, struct port_facts *ret_facts)
{
    *ret_facts = (struct port_facts){.kicks = ((struct world *)port)->kicks, .depth = ((struct world *)port)->depth};
}

static void on_lost(void *context, int why)
{
    struct world *w = context;

    w->why = why;
    uv_stop(&w->loop);
}

static void on_news(void *context)
{
    (void)context;
}

static void open_world(struct world *w)
{
    static const struct port_ops ops = {.peek = peek,
                                        .release = release,
                                        .reserve = reserve,
                                        .arm = arm,
                                        .flush = nothing,
                                        .process = nothing,
                                        .look = look};
    struct forward_setup setup = {.mtu = 1500};
    int pair[2];

    memset(w, 0, sizeof(*w));
    check(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    setup.tap_fd = pair[0];
    w->kernel = pair[1];
    w->port = (struct port){.ops = &ops,
                            .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                            .header_size = FRAME_HEADER_SIZE,
                            .message_max = FRAME_MESSAGE_MAX,
                            .is_direct = true};
    check(w->port.fd >= 0 && uv_loop_init(&w->loop) == 0);
    assert_int_equal(worker_open(&w->worker, &w->loop, &setup, 0, on_lost, on_news, w), 0);
    assert_int_equal(worker_begin(&w->worker, &w->port), 0);
    worker_hold(&w->worker, false);
}

static void close_world(struct world *w)
{
    int tap = w->worker.setup.tap_fd;

    worker_close(&w->worker);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    close(w->port.fd);
    close(tap);
    close(w->kernel);
}

/* A card whose queue to send is broken may fill the other one as fast as it is emptied. */
static void test_error_while_more_comes(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    w.arm_ret = -EPROTO;
    uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_int_equal(w.why, -EPROTO);
    assert_in_range(w.received, 1, LEFT_MAX);
    close_world(&w);
}

/* Messages count that are refused, too: by us or by the kernel. */
static void test_end_while_more_comes(void **state)
{
    static const uint8_t flags[] = {0, VOP_NET_HDR_F_NEEDS_CSUM};
    struct world w;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        open_world(&w);
        w.flags = flags[i];
        w.is_sending = true;
        worker_end(&w.worker);
        assert_in_range(w.received, 32768, LEFT_MAX); /* all that a ring can hold */
        assert_true(i == 0 ? w.worker.counters.rx_errors > 0 : w.worker.counters.rx_malformed > 0);
        close_world(&w);
    }
}

/* Of the port's kicks those count that fall into a session, each once. */
static void test_figures(void **state)
{
    struct queue_figures figures;
    struct world w;

    (void)state;
    open_world(&w);
    w.kicks = 10;
    w.depth = 5;
    worker_look(&w.worker, &figures);
    assert_int_equal(figures.counters.kicks, 10);
    assert_int_equal(figures.depth, 5);
    worker_end(&w.worker);
    w.kicks = 20;
    worker_look(&w.worker, &figures);
    assert_int_equal(figures.counters.kicks, 10);
    assert_int_equal(figures.depth, -1);
    assert_int_equal(worker_begin(&w.worker, &w.port), 0);
    w.kicks = 21;
    worker_look(&w.worker, &figures);
    assert_int_equal(figures.counters.kicks, 11);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_error_while_more_comes, test_guard),
        cmocka_unit_test_setup(test_end_while_more_comes, test_guard),
        cmocka_unit_test_setup(test_figures, test_guard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
