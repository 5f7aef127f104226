/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_crowd.c - silence, hang-ups and crowds at the door of a listener.
 *
 * Room: tests. PROTOCOL.md, The shm wire. With VOP_LONG the crowd stays ten times as long.
 */
#include "hostile/util_stage.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Silence, hang-ups, crowds ---- */

static void test_hangup_at_each_step(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned step = 0; step < 6; step++) {
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_dial(&s, &p);
        if (step == 1)
            stage_pump(&s);
        if (step >= 2)
            assert_int_equal(peer_offer(&p), 0);
        if (step >= 3)
            stage_pump(&s);
        if (step >= 4)
            assert_int_equal(peer_take_answer(&p), 0);
        if (step >= 5)
            assert_int_equal(shutdown(p.socket, SHUT_WR), 0);
        if (step < 5)
            peer_close(&p);
        stage_pump(&s);
        peer_close(&p);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* Gone after UP: the channel is given out, reads what was sent, and says so. */
static void test_hangup_after_up(void **state)
{
    char byte;
    struct stage s;
    struct peer p;
    vop_channel *c = NULL;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_offer(&s, &p);
    assert_int_equal(peer_ready(&p), 0);
    assert_int_equal(peer_confirm(&p), 0);
    assert_int_equal(peer_push(&p, "x", 1), 0);
    peer_close(&p);
    assert_int_equal(vop_listener_accept(s.listener, 1000, &c), 0);
    assert_int_equal(vop_channel_recv(c, &byte, 1, 1000), 1);
    assert_int_equal(vop_channel_recv(c, &byte, 1, 1000), -ECONNRESET);
    vop_channel_close(c);
    stage_expect_service(&s);
    stage_close(&s);
}

static void test_silence(void **state)
{
    struct stage s;
    struct peer before, after;
    vop_channel *c = NULL;
    long start;

    (void)state;
    stage_open(&s, 200, 8);
    peer_init(&before, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &before);
    peer_init(&after, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    start = stage_ms();
    stage_offer(&s, &after);
    assert_int_equal(vop_listener_accept(s.listener, 400, &c), -EAGAIN);
    assert_true(stage_ms() - start >= 350);
    stage_expect_refusal(&s, &before, ETIMEDOUT, "the handshake took longer than 200 ms");
    stage_expect_refusal(&s, &after, ETIMEDOUT, "the handshake took longer than 200 ms");
    peer_close(&before);
    peer_close(&after);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Only so many are let in at once; the others wait outside, and cost the library nothing. */
static void test_pending_bound(void **state)
{
    struct peer p[20];
    struct stage s;

    (void)state;
    stage_open(&s, 100, 8);
    for (unsigned i = 0; i < 20; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&p[i], s.path), 0);
    }
    stage_pump(&s);
    assert_int_equal(stage_fds() - s.fds, 20 + 8);
    for (unsigned i = 0; i < 20; i++)
        peer_close(&p[i]);
    for (unsigned i = 0; i < 3; i++)
        stage_pump(&s);
    stage_expect_service(&s);
    stage_close(&s);
}

#define SILENT 100u

/* All places taken by peers that say nothing, and more of them waiting: they are told to go when others knock. */
static void test_put_out(void **state)
{
    struct peer p[SILENT];
    struct stage s;

    (void)state;
    stage_open(&s, 30000, 8);
    for (unsigned i = 0; i < SILENT; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&p[i], s.path), 0);
    }
    assert_true(stage_expect_honest(&s) < 20000);
    stage_expect_refusal(&s, &p[0], EBUSY, "others are waiting, and this peer said nothing");
    for (unsigned i = 0; i < SILENT; i++)
        peer_close(&p[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

static bool polls_readable(struct stage *s)
{
    struct pollfd fd = {.fd = vop_listener_fd(s->listener), .events = POLLIN};

    return poll(&fd, 1, 0) > 0;
}

/* The same with descriptors for two peers only: accepting is no error and does not spin while somebody can be put out.
 */
static void test_put_out_for_descriptors(void **state)
{
    struct rlimit usual, few;
    struct peer p[4];
    struct stage s;
    vop_channel *c = NULL;
    int next;

    (void)state;
    stage_open(&s, 30000, 8);
    for (unsigned i = 0; i < 4; i++) {
        peer_init(&p[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        assert_int_equal(peer_dial(&p[i], s.path), 0);
    }
    next = dup(STDIN_FILENO);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    few = usual;
    few.rlim_cur = (rlim_t)next + 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(vop_listener_accept(s.listener, 20, &c), -EAGAIN);
    assert_false(polls_readable(&s));
    assert_int_equal(vop_listener_accept(s.listener, 300, &c), -EAGAIN); /* longer than anybody's patience */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    stage_expect_refusal(&s, &p[0], EBUSY, "others are waiting, and this peer said nothing");
    for (unsigned i = 0; i < 4; i++)
        peer_close(&p[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Who was accepted is served: whatever that takes was there before. */
static void test_accepted_needs_no_descriptor(void **state)
{
    struct rlimit usual, none;
    struct stage s;
    struct peer p;
    vop_channel *c = NULL;

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_offer(&s, &p);
    assert_int_equal(peer_ready(&p), 0);
    assert_int_equal(peer_confirm(&p), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(vop_listener_accept(s.listener, 1000, &c), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    stage_expect_traffic(&p, c);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* Peers that have sent CONNECT are not put out: the others wait, and meanwhile the descriptor does not spin. */
static void test_unfinished_keep_their_place(void **state)
{
    struct peer unfinished[2], waiting;
    struct stage s;
    vop_channel *c = NULL;
    long start;

    (void)state;
    stage_open(&s, 30000, 2);
    for (unsigned i = 0; i < 2; i++) {
        peer_init(&unfinished[i], 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        stage_offer(&s, &unfinished[i]);
    }
    peer_init(&waiting, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &waiting);
    start = stage_ms();
    while (stage_ms() - start < 300) { /* longer than anybody's patience */
        assert_false(polls_readable(&s));
        assert_int_equal(vop_listener_accept(s.listener, 10, &c), -EAGAIN);
    }
    assert_int_equal(peer_ready(&unfinished[0]), 0);
    assert_int_equal(peer_confirm(&unfinished[0]), 0);
    assert_int_equal(vop_listener_accept(s.listener, 5000, &c), 0);
    vop_channel_close(c);
    c = stage_finish(&s, &waiting); /* the place that became free */
    vop_channel_close(c);
    peer_close(&waiting);
    for (unsigned i = 0; i < 2; i++)
        peer_close(&unfinished[i]);
    stage_expect_service(&s);
    stage_close(&s);
}

/* A byte now and then buys no time: a datagram is a whole message, and the first wrong one is the last. */
static void test_drip(void **state)
{
    struct stage s;
    struct peer p;

    (void)state;
    stage_open(&s, 200, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    assert_int_equal(peer_send(p.socket, "V", 1, NULL, 0), 0);
    stage_expect_refusal(&s, &p, EPROTO, "does not speak this protocol");
    assert_int_equal(peer_send(p.socket, "O", 1, NULL, 0), -1);
    peer_close(&p);
    stage_expect_service(&s);
    stage_close(&s);
}

/* Thousands who connect and say nothing, from a thread that never stops; one honest client among them. */
struct crowd {
    struct stage *stage;
    bool stop; /* atomic */
    unsigned dialled;
};

#define CROWD 2000

static void *run_crowd(void *argument)
{
    struct crowd *crowd = argument;
    static int sockets[CROWD];
    unsigned at = 0;

    memset(sockets, -1, sizeof(sockets));
    while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
        struct peer p;

        peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
        if (peer_dial(&p, crowd->stage->path) == 0) {
            if (sockets[at] >= 0)
                close(sockets[at]);
            sockets[at] = p.socket;
            at = (at + 1) % CROWD;
            crowd->dialled++;
        } else {
            peer_close(&p);
            usleep(200);
        }
    }
    for (unsigned i = 0; i < CROWD; i++) {
        if (sockets[i] >= 0)
            close(sockets[i]);
    }
    return NULL;
}

static void test_crowd(void **state)
{
    struct rlimit files = {4096, 4096};
    struct stage s;
    struct crowd crowd = {.stage = &s};
    pthread_t thread;
    long worst = 0;

    (void)state;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    stage_open(&s, 2000, 64);
    assert_int_equal(pthread_create(&thread, NULL, run_crowd, &crowd), 0);
    for (unsigned i = 0; i < (stage_long() ? 100 : 10); i++) {
        long took = stage_expect_honest(&s);

        worst = took > worst ? took : worst;
    }
    __atomic_store_n(&crowd.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    print_message("    %u silent connections; an honest client waited at most %ld ms\n", crowd.dialled, worst);
    stage_expect_service(&s);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hangup_at_each_step),
        cmocka_unit_test(test_hangup_after_up),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_pending_bound),
        cmocka_unit_test(test_put_out),
        cmocka_unit_test(test_put_out_for_descriptors),
        cmocka_unit_test(test_accepted_needs_no_descriptor),
        cmocka_unit_test(test_unfinished_keep_their_place),
        cmocka_unit_test(test_drip),
        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
