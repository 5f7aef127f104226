/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_end.c - how a channel ends: the peer closes, dies, restarts or breaks the protocol. What is read first, what is
 * in doubt, what every call returns from then on.
 *
 * Room: tests. Both ends in this process, over the loop wire and over shm; a dead side is one that closed its wire
 * without a word in the announce block.
 */
#include "support/link.h"

#include <signal.h>

static bool over_shm;
static struct link l;
static vop_channel *a, *b;
static uint8_t bytes[8192];
static unsigned fds_before;

static int setup(void **state)
{
    struct vop_options o = link_options(8, 512, VOP_SPIN_NEVER);

    test_guard(state);
    fds_before = test_count_fds();
    if (over_shm)
        link_open_shm(&l, &o);
    else
        link_open_loop(&l, &o, 0);
    a = l.side[1];
    b = l.side[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    link_close(&l);
    if (test_count_fds() != fds_before || test_count_maps("memfd:vop") != 0)
        print_error("descriptors or mappings leaked\n");
    return test_count_fds() != fds_before || test_count_maps("memfd:vop") != 0;
}

static void send_all(vop_channel *c, unsigned messages)
{
    for (unsigned i = 0; i < messages; i++) {
        link_fill_bytes(bytes, 300, i);
        assert_int_equal(vop_channel_send(c, bytes, 300, 0), 0);
    }
}

static void recv_all(vop_channel *c, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        assert_int_equal(vop_channel_recv(c, bytes, sizeof(bytes), -1), 300);
        assert_true(link_holds_bytes(bytes, 300, i));
    }
}

/* Every receiving and sending call, with and without waiting. Again and again: an end does not change. */
static void assert_ended(vop_channel *c, int receiving, int sending)
{
    struct vop_buffer buffer = {.position = 12345};

    for (unsigned i = 0; i < 3; i++) {
        for (int timeout = -1; timeout < 2; timeout++) {
            assert_int_equal(vop_channel_recv(c, bytes, sizeof(bytes), timeout), receiving);
            assert_int_equal(vop_channel_peek(c, timeout, &buffer), receiving);
            assert_int_equal(vop_channel_send(c, bytes, 1, timeout), sending);
            assert_int_equal(vop_channel_reserve(c, 1, timeout, &buffer), sending);
        }
        assert_int_equal(buffer.position, 12345);
        assert_int_equal(vop_channel_flush(c), sending);
        assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV), 1);
        assert_int_equal(vop_channel_arm(c, VOP_ARM_SEND), 1);
        assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV | VOP_ARM_SEND), 1);
    }
}

static void test_close_null(void **state)
{
    (void)state;
    vop_channel_close(NULL);
}

static void test_end_of_stream_after_draining(void **state)
{
    (void)state;
    send_all(a, 5);
    vop_channel_close(a);
    l.side[1] = NULL;
    recv_all(b, 0, 5);
    assert_ended(b, 0, -EPIPE);
}

static void test_close_publishes_what_was_held_back(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vop_channel_reserve(a, 300, 0, &buffer), 0);
        link_fill(&buffer, i);
        assert_int_equal(vop_channel_commit(a, 300, VOP_COMMIT_MORE), 0);
    }
    assert_int_equal(vop_channel_reserve(a, 300, 0, &buffer), 0); /* never committed */
    vop_channel_close(a);
    l.side[1] = NULL;
    recv_all(b, 0, 3);
    assert_ended(b, 0, -EPIPE);
}

/* What this side has received is not in doubt, also where it was about to tell of several at once. */
static void test_close_tells_what_was_received(void **state)
{
    (void)state;
    send_all(a, 3);
    recv_all(b, 0, 1);
    assert_int_equal(vop_channel_in_doubt(a), 3);
    vop_channel_close(b);
    l.side[0] = NULL;
    assert_ended(a, 0, -EPIPE);
    assert_int_equal(vop_channel_in_doubt(a), 2);
}

static void test_close_while_full(void **state)
{
    (void)state;
    send_all(a, 8);
    vop_channel_close(b);
    l.side[0] = NULL;
    assert_int_equal(vop_channel_send(a, bytes, 1, -1), -EPIPE);
    assert_ended(a, 0, -EPIPE);
    assert_int_equal(vop_channel_in_doubt(a), 8);
}

/* Kicks that came before the death are taken first, one by one. */
static int hear_death(vop_channel *c)
{
    int ret = 0;

    for (unsigned kicks = 0; kicks < 8 && ret == 0; kicks++) {
        assert_true(test_readable(vop_channel_fd(c)));
        ret = vop_channel_process(c);
    }
    return ret;
}

/* In an event loop: the descriptor stays readable; the calls return what is left, then the end. */
static void in_event_loop(bool died)
{
    send_all(a, 1);
    recv_all(b, 0, 1);
    assert_int_equal(vop_channel_recv(b, bytes, sizeof(bytes), 0), -EAGAIN);
    assert_int_equal(vop_channel_process(b), 0);
    assert_int_equal(vop_channel_arm(b, VOP_ARM_RECV), 0);
    send_all(a, 3);
    if (died)
        link_die(&l, 1);
    else
        vop_channel_close(a);
    l.side[1] = NULL;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(test_readable(vop_channel_fd(b)));
        assert_int_equal(died ? hear_death(b) : vop_channel_process(b), died ? -ECONNRESET : 0);
    }
    recv_all(b, 0, 3);
    assert_ended(b, died ? -ECONNRESET : 0, died ? -ECONNRESET : -EPIPE);
    assert_true(test_readable(vop_channel_fd(b)));
}

static void test_event_loop_hears_close(void **state)
{
    (void)state;
    in_event_loop(false);
}

static void test_event_loop_hears_death(void **state)
{
    (void)state;
    in_event_loop(true);
}

static void test_death_after_draining(void **state)
{
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};

    (void)state;
    send_all(a, 5);
    link_die(&l, 1);
    recv_all(b, 0, 5);
    assert_int_equal(vop_channel_recv(b, bytes, sizeof(bytes), -1), -ECONNRESET);
    assert_int_equal(vop_channel_get_stats(b, &stats), 0);
    assert_true(stats.sleeps <= 2); /* it heard of the death, and did not find out by repeated tries */
    assert_ended(b, -ECONNRESET, -ECONNRESET);
    assert_int_equal(vop_channel_in_doubt(b), 0);
}

/* Only what was published and not released is in doubt. */
static void test_in_doubt_after_death(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    send_all(a, 7);
    recv_all(b, 0, 3); /* two returned, one held back */
    assert_int_equal(vop_channel_peek(b, 0, &buffer), 1);
    assert_int_equal(vop_channel_reserve(a, 10, 0, &buffer), 0);
    assert_int_equal(vop_channel_commit(a, 10, VOP_COMMIT_MORE), 0); /* never accepted */
    link_die(&l, 0);
    assert_int_equal(hear_death(a), -ECONNRESET);
    assert_int_equal(vop_channel_flush(a), -ECONNRESET);
    assert_ended(a, -ECONNRESET, -ECONNRESET);
    assert_int_equal(vop_channel_in_doubt(a), 5);
}

/* A link that died with a reservation open: the reservation is cancelled, and close is fine with one. */
static void test_commit_after_death(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    assert_int_equal(vop_channel_reserve(a, 100, 0, &buffer), 0);
    link_die(&l, 0);
    assert_int_equal(vop_channel_process(a), -ECONNRESET);
    link_fill(&buffer, 1); /* the memory is still there */
    assert_int_equal(vop_channel_commit(a, 100, 0), -ECONNRESET);
    assert_int_equal(vop_channel_commit(a, 100, 0), -EINVAL);
    assert_int_equal(vop_channel_in_doubt(a), 0);
}

/* Messages peeked and not released stay readable after the end, and can be released. */
static void test_held_messages_outlive_the_peer(void **state)
{
    struct vop_buffer buffer[2], none;

    (void)state;
    send_all(a, 2);
    assert_int_equal(vop_channel_peek(b, 0, &buffer[0]), 1);
    link_die(&l, 1);
    assert_int_equal(vop_channel_peek(b, 0, &buffer[1]), 1);
    assert_int_equal(vop_channel_peek(b, -1, &none), -ECONNRESET);
    assert_true(link_holds(&buffer[0], 0) && link_holds(&buffer[1], 1));
    assert_int_equal(vop_channel_release(b, &buffer[1]), 0);
    assert_int_equal(vop_channel_release(b, &buffer[1]), -EINVAL);
}

/* A side that never sleeps still finds out: calls that poll, and calls that spin for ever. */
static void test_death_while_polling(void **state)
{
    double start;
    int ret = -EAGAIN;

    (void)state;
    link_die(&l, 1);
    start = test_seconds();
    while (ret == -EAGAIN && test_seconds() - start < 5)
        ret = (int)vop_channel_recv(b, bytes, sizeof(bytes), 0);
    assert_int_equal(ret, -ECONNRESET);
    assert_true(test_seconds() - start < 5);
}

static void test_death_while_polling_for_room(void **state)
{
    double start;
    int ret = -EAGAIN;

    (void)state;
    send_all(a, 8);
    link_die(&l, 0);
    start = test_seconds();
    while (ret == -EAGAIN && test_seconds() - start < 5)
        ret = vop_channel_send(a, bytes, 1, 0);
    assert_int_equal(ret, -ECONNRESET);
    assert_int_equal(vop_channel_in_doubt(a), 8);
}

/* The block that this side reads, and the peer writes. */
static struct vop_announce *its_block(vop_channel *c)
{
    return (struct vop_announce *)(void *)l.side[c == l.side[0]]->link->wire->remote.base;
}

/* Another incarnation: the peer restarted. What it had sent before is read first. */
static void test_restart(void **state)
{
    (void)state;
    send_all(a, 2);
    send_all(b, 3);
    its_block(b)->incarnation.le ^= 1;
    its_block(b)->state.le = VOP_STATE_HELLO;
    recv_all(b, 0, 2);
    assert_ended(b, -ECONNRESET, -ECONNRESET);
    assert_int_equal(vop_channel_in_doubt(b), 3);
}

/* Zeros punched into the block: 0 is another incarnation. */
static void test_block_became_zero(void **state)
{
    (void)state;
    send_all(a, 2);
    memset(its_block(b), 0, 256);
    recv_all(b, 0, 2);
    assert_ended(b, -ECONNRESET, -ECONNRESET);
}

/* A state that the protocol does not know, or that it does not allow here: broken. */
static void test_impossible_states(void **state)
{
    static const uint32_t states[] = {VOP_STATE_ABSENT, VOP_STATE_HELLO, 4, 0xffffffff};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        its_block(b)->state.le = states[i];
        assert_ended(b, -EPROTO, -EPROTO);
        its_block(b)->state.le = VOP_STATE_READY; /* and stays so */
        assert_int_equal(vop_channel_recv(b, bytes, sizeof(bytes), -1), -EPROTO);
        assert_int_equal(vop_channel_send(b, bytes, 1, -1), -EPROTO);
        teardown(NULL);
        setup(NULL);
    }
}

/* A peer that writes nonsense into the ring: the receiver stops immediately and for good. */
static void test_broken_by_the_sender(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    send_all(a, 3);
    recv_all(b, 0, 1);
    a->tx.queue.ring[1].len.le = 513;
    assert_int_equal(vop_channel_peek(b, -1, &buffer), -EPROTO);
    assert_int_equal(vop_channel_peek(b, -1, &buffer), -EPROTO);
    assert_int_equal(vop_channel_recv(b, bytes, sizeof(bytes), 0), -EPROTO);
    a->tx.queue.ring[1].len.le = 300;
    assert_int_equal(vop_channel_recv(b, bytes, sizeof(bytes), -1), -EPROTO);
    assert_int_equal(vop_channel_arm(b, VOP_ARM_RECV), 1);
    assert_non_null(strstr(vop_error_text(), "broke the protocol"));
}

static void test_broken_while_waiting(void **state)
{
    (void)state;
    a->tx.queue.used->flags_idx.le = 9 << 16; /* more than there are slots */
    assert_int_equal(vop_channel_recv(b, bytes, sizeof(bytes), -1), -EPROTO);
    assert_int_equal(vop_channel_arm(b, VOP_ARM_RECV), 1);
}

static void test_broken_by_the_receiver(void **state)
{
    (void)state;
    send_all(a, 8);
    b->rx.queue.avail->flags_idx.le = (8 + 9) << 16; /* returned more than was sent */
    assert_int_equal(vop_channel_send(a, bytes, 1, -1), -EPROTO);
    assert_int_equal(vop_channel_send(a, bytes, 1, 0), -EPROTO);
    assert_int_equal(vop_channel_arm(a, VOP_ARM_SEND), 1);
    assert_int_equal(vop_channel_flush(a), -EPROTO);
    assert_int_equal(vop_channel_in_doubt(a), 8);
}

/* No SIGPIPE, whatever is called on a channel whose peer is gone. */
static void test_no_sigpipe(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    send_all(a, 1);
    assert_int_equal(vop_channel_arm(b, VOP_ARM_SEND), 1);
    link_die(&l, 0);
    assert_int_equal(vop_channel_reserve(a, 10, 0, &buffer), 0); /* it has not heard yet */
    assert_int_equal(vop_channel_commit(a, 10, 0), 0);
    a->link->wire->ops->kick(a->link->wire, 0, VOP__BELL_MESSAGES);
    assert_int_equal(vop_channel_process(a), -ECONNRESET);
    assert_int_equal(vop_channel_in_doubt(a), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_close_null),
        TEST(test_end_of_stream_after_draining),
        TEST(test_close_publishes_what_was_held_back),
        TEST(test_close_tells_what_was_received),
        TEST(test_close_while_full),
        TEST(test_event_loop_hears_close),
        TEST(test_event_loop_hears_death),
        TEST(test_death_after_draining),
        TEST(test_in_doubt_after_death),
        TEST(test_commit_after_death),
        TEST(test_held_messages_outlive_the_peer),
        TEST(test_death_while_polling),
        TEST(test_death_while_polling_for_room),
        TEST(test_restart),
        TEST(test_block_became_zero),
        TEST(test_impossible_states),
        TEST(test_broken_by_the_sender),
        TEST(test_broken_while_waiting),
        TEST(test_broken_by_the_receiver),
        TEST(test_no_sigpipe),
    };
    int failed = cmocka_run_group_tests_name("over loop", tests, NULL, NULL);

    over_shm = true;
    return failed + cmocka_run_group_tests_name("over shm", tests, NULL, NULL);
}
