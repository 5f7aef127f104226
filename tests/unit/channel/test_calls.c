/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_calls.c - every call on a channel that is up, with every error that this program can cause itself.
 *
 * Room: tests. All of it over the loop wire, where messages come in two segments, and over shm.
 */
#include "support/link.h"

#include <fcntl.h>

static bool over_shm;
static struct link l;
static vop_channel *a, *b; /* a sends, b receives */
static uint8_t bytes[1 << 16], got[1 << 16];

static int setup(void **state)
{
    struct vop_options o = link_options(8, 512, VOP_SPIN_NEVER); /* one page of slots */

    test_guard(state);
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
    return 0;
}

static void send_number(uint64_t number, size_t length)
{
    link_fill_bytes(bytes, length, number);
    assert_int_equal(vop_channel_send(a, bytes, length, 0), 0);
}

static void recv_number(uint64_t number, size_t length)
{
    memset(got, 0xee, length + 1);
    assert_int_equal(vop_channel_recv(b, got, sizeof(got), 0), length);
    assert_true(link_holds_bytes(got, length, number));
    assert_int_equal(got[length], 0xee);
}

/* There is nothing more to receive. Finding that out returns all slots that were held back. */
static void assert_empty(void)
{
    assert_int_equal(vop_channel_recv(b, got, sizeof(got), 0), -EAGAIN);
}

static void test_send_and_recv(void **state)
{
    (void)state;
    assert_int_equal(vop_channel_message_max(a), 4096);
    assert_int_equal(vop_channel_message_max(b), 4096);
    assert_empty();
    for (size_t length = 1; length <= 4096; length += length < 70 || length > 4000 ? 1 : 61) {
        send_number(length, length);
        recv_number(length, length);
    }
    assert_empty();
    assert_int_equal(vop_channel_in_doubt(a), 0);
}

static void test_other_direction(void **state)
{
    (void)state;
    a = l.side[0];
    b = l.side[1];
    for (size_t length = 1; length <= 4096; length += 97) {
        send_number(length, length);
        recv_number(length, length);
    }
}

static void test_send_errors(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    assert_int_equal(vop_channel_send(a, bytes, 0, 0), -EMSGSIZE);
    assert_int_equal(vop_channel_send(a, bytes, 4097, 0), -EMSGSIZE);
    assert_int_equal(vop_channel_send(a, bytes, SIZE_MAX, 0), -EMSGSIZE);
    assert_int_equal(vop_channel_send_more(a, bytes, 0, 0), -EMSGSIZE);
    assert_int_equal(vop_channel_send_more(a, bytes, 4097, 0), -EMSGSIZE);
    assert_int_equal(vop_channel_reserve(a, 0, 0, &buffer), -EMSGSIZE);
    assert_int_equal(vop_channel_reserve(a, 4097, 0, &buffer), -EMSGSIZE);
    assert_int_equal(vop_channel_reserve(a, 10, 0, &buffer), 0);
    assert_int_equal(vop_channel_reserve(a, 10, 0, &buffer), -EBUSY);
    assert_int_equal(vop_channel_send(a, bytes, 10, 0), -EBUSY);
    assert_int_equal(vop_channel_send_more(a, bytes, 10, 0), -EBUSY);
    vop_channel_cancel(a);
    vop_channel_cancel(a);
    for (unsigned i = 0; i < 8; i++)
        send_number(i, 512);
    assert_int_equal(vop_channel_send(a, bytes, 1, 0), -EAGAIN);
    assert_int_equal(vop_channel_reserve(a, 1, 0, &buffer), -EAGAIN);
    assert_int_equal(vop_channel_in_doubt(a), 8);
    for (unsigned i = 0; i < 8; i++)
        recv_number(i, 512);
    assert_empty();
    send_number(9, 4096);
    recv_number(9, 4096);
}

static void test_commit(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    assert_int_equal(vop_channel_commit(a, 1, 0), -EINVAL); /* no reservation */
    assert_int_equal(vop_channel_reserve(a, 1000, 0, &buffer), 0);
    assert_int_equal(buffer.length, 1000);
    assert_int_equal(vop_channel_commit(a, 0, 0), -EINVAL);
    assert_int_equal(vop_channel_commit(a, 1001, 0), -EINVAL);
    assert_empty();
    buffer.length = 0; /* the reservation stays open, and does not depend on the caller's copy */
    link_fill(&(struct vop_buffer){.segment = {buffer.segment[0], buffer.segment[1]}, .length = 1000}, 5);
    assert_int_equal(vop_channel_commit(a, 700, 0), 0);
    recv_number(5, 700);
    assert_int_equal(vop_channel_commit(a, 1, 0), -EINVAL);
    assert_empty();
    assert_int_equal(vop_channel_reserve(a, 4096, 0, &buffer), 0);
    link_fill(&buffer, 6);
    assert_int_equal(vop_channel_commit(a, 1, 0), 0);
    recv_number(6, 1);
    assert_empty();
    assert_int_equal(vop_channel_reserve(a, 4096, 0, &buffer), 0); /* the rest of the 8 slots was returned */
    vop_channel_cancel(a);
}

static void test_cancel(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    vop_channel_cancel(a); /* does nothing without a reservation */
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(vop_channel_reserve(a, 4096, 0, &buffer), 0);
        link_fill(&buffer, 99);
        vop_channel_cancel(a);
        assert_empty();
        send_number(i, 100);
        recv_number(i, 100);
        assert_empty();
    }
}

static void commit_number(uint64_t number, size_t length, unsigned flags)
{
    struct vop_buffer buffer;

    assert_int_equal(vop_channel_reserve(a, length, 0, &buffer), 0);
    link_fill(&buffer, number);
    assert_int_equal(vop_channel_commit(a, length, flags), 0);
}

static void test_unknown_flag(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    assert_int_equal(vop_channel_reserve(a, 10, 0, &buffer), 0);
    link_fill(&buffer, 1);
    assert_int_equal(vop_channel_commit(a, 10, VOP_COMMIT_MORE | 2), -EINVAL);
    assert_empty();
    assert_int_equal(vop_channel_commit(a, 10, 0), 0); /* still open */
    recv_number(1, 10);
}

/* Holds a message back, by a call of each kind in turn. */
static void hold_number(uint64_t number, size_t length)
{
    static unsigned turn;

    if (turn++ % 2) {
        commit_number(number, length, VOP_COMMIT_MORE);
    } else {
        link_fill_bytes(bytes, length, number);
        assert_int_equal(vop_channel_send_more(a, bytes, length, 0), 0);
    }
}

static void test_more(void **state)
{
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};

    (void)state;
    assert_int_equal(vop_channel_flush(a), 0); /* nothing to publish */
    hold_number(1, 10);
    hold_number(2, 20);
    assert_empty();
    assert_int_equal(vop_channel_in_doubt(a), 0);
    assert_int_equal(vop_channel_flush(a), 0);
    assert_int_equal(vop_channel_in_doubt(a), 2);
    recv_number(1, 10);
    recv_number(2, 20);
    hold_number(3, 10);
    commit_number(4, 20, 0); /* publishes both */
    recv_number(3, 10);
    recv_number(4, 20);
    hold_number(5, 10);
    send_number(6, 20);
    recv_number(5, 10);
    recv_number(6, 20);
    hold_number(7, 10);
    vop_channel_arm(a, VOP_ARM_RECV); /* arming publishes */
    recv_number(7, 10);
    hold_number(8, 10);
    assert_int_equal(vop_channel_recv(a, got, sizeof(got), 1), -EAGAIN); /* and so does waiting */
    recv_number(8, 10);
    assert_empty();
    for (unsigned i = 0; i < 7; i++)
        hold_number(i, 512);
    assert_int_equal(vop_channel_send_more(a, bytes, 513, 0), -EAGAIN); /* and running out of room */
    hold_number(7, 512);
    assert_int_equal(vop_channel_send(a, bytes, 1, 0), -EAGAIN);
    for (unsigned i = 0; i < 8; i++)
        recv_number(i, 512);
    assert_int_equal(vop_channel_get_stats(a, &stats), 0);
    assert_int_equal(stats.tx_messages, 16);
    assert_int_equal(stats.tx_publishes, 7);
    assert_int_equal(stats.tx_full, 2);
}

static void test_more_of_all_lengths(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        size_t length[] = {1 + i, 512 - i, 513 + 7 * i};

        for (unsigned k = 0; k < 3; k++)
            hold_number(i + k, length[k]);
        assert_int_equal(vop_channel_flush(a), 0);
        for (unsigned k = 0; k < 3; k++)
            recv_number(i + k, length[k]);
    }
    assert_empty();
}

static void test_recv_too_small(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    send_number(1, 1000);
    send_number(2, 30);
    for (unsigned i = 0; i < 3; i++) {
        memset(got, 0xee, 1000);
        assert_int_equal(vop_channel_recv(b, got, 999, 0), -EMSGSIZE);
        assert_int_equal(got[0], 0xee);
        assert_non_null(strstr(vop_error_text(), "1000 bytes"));
    }
    assert_int_equal(vop_channel_peek(b, 0, &buffer), 1); /* it was kept, and peek reports its length */
    assert_int_equal(buffer.length, 1000);
    assert_true(link_holds(&buffer, 1));
    assert_int_equal(vop_channel_recv(b, got, 29, 0), -EMSGSIZE); /* with one held before it */
    assert_int_equal(vop_channel_in_doubt(a), 2);
    assert_int_equal(vop_channel_recv(b, got, 30, 0), 30);
    assert_true(link_holds_bytes(got, 30, 2));
    assert_int_equal(vop_channel_recv(b, got, 30, 0), -EAGAIN);
    assert_int_equal(vop_channel_in_doubt(a), 0); /* recv released what was peeked before, too */
}

static void test_peek_and_release(void **state)
{
    struct vop_buffer buffer[4], other = {.position = 70000};

    (void)state;
    assert_int_equal(vop_channel_peek(b, 0, &buffer[0]), -EAGAIN);
    for (unsigned i = 0; i < 4; i++)
        send_number(i, 200 + 300 * i);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(vop_channel_peek(b, 0, &buffer[i]), 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(buffer[i].length, 200 + 300 * i);
        assert_true(link_holds(&buffer[i], i));
        assert_true(!over_shm || buffer[i].segment[1].iov_len == 0);
    }
    assert_int_equal(vop_channel_peek(b, 0, &other), -EAGAIN);
    assert_int_equal(other.position, 70000); /* untouched on failure */
    assert_int_equal(vop_channel_release(b, &other), -EINVAL);
    other.position = buffer[1].position + 65536;
    assert_int_equal(vop_channel_release(b, &other), -EINVAL);
    assert_int_equal(vop_channel_release(b, &buffer[1]), 0);
    assert_int_equal(vop_channel_release(b, &buffer[0]), -EINVAL); /* released along with it */
    assert_true(link_holds(&buffer[2], 2) && link_holds(&buffer[3], 3));
    assert_int_equal(vop_channel_release(b, &buffer[3]), 0);
    assert_int_equal(vop_channel_peek(b, 0, &other), -EAGAIN);
    assert_int_equal(vop_channel_in_doubt(a), 0);
    assert_int_equal(vop_channel_release(b, &buffer[2]), -EINVAL);
}

/* "Pass a buffer from peek, once": also the one released last. */
static void test_release_twice(void **state)
{
    struct vop_buffer buffer, sent;

    (void)state;
    send_number(1, 10);
    assert_int_equal(vop_channel_peek(b, 0, &buffer), 1);
    assert_int_equal(vop_channel_release(b, &buffer), 0);
    assert_int_equal(vop_channel_release(b, &buffer), -EINVAL);
    send_number(2, 10);
    assert_int_equal(vop_channel_release(b, &buffer), -EINVAL);
    recv_number(2, 10);
    assert_int_equal(vop_channel_reserve(a, 10, 0, &sent), 0);
    assert_int_equal(vop_channel_release(a, &sent), -EINVAL); /* not from peek */
    vop_channel_cancel(a);
}

/* Slots of peeked messages are not overwritten, however much the peer wants to send. */
static void test_held_messages_stay(void **state)
{
    struct vop_buffer held;

    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        send_number(round, 700);
        assert_int_equal(vop_channel_peek(b, 0, &held), 1);
        for (unsigned i = 0; i < 6; i++)
            send_number(100 + i, 512);
        assert_int_equal(vop_channel_send(a, bytes, 1, 0), -EAGAIN);
        assert_true(link_holds(&held, round));
        assert_int_equal(vop_channel_release(b, &held), 0);
        for (unsigned i = 0; i < 6; i++)
            recv_number(100 + i, 512);
    }
}

static void test_event_loop(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    assert_true(vop_channel_fd(b) >= 0);
    assert_true(fcntl(vop_channel_fd(b), F_GETFD) & FD_CLOEXEC);
    send_number(0, 10); /* the first publications kick unasked */
    recv_number(0, 10);
    assert_empty();
    assert_int_equal(vop_channel_process(a), 0);
    assert_int_equal(vop_channel_process(b), 0);
    assert_false(test_readable(vop_channel_fd(a)) || test_readable(vop_channel_fd(b)));

    send_number(1, 10);
    assert_false(test_readable(vop_channel_fd(b))); /* not armed since */
    assert_int_equal(vop_channel_arm(b, VOP_ARM_RECV), 1);
    recv_number(1, 10);
    assert_int_equal(vop_channel_arm(b, VOP_ARM_RECV), 0);
    assert_false(test_readable(vop_channel_fd(b)));
    send_number(2, 10);
    assert_true(test_readable(vop_channel_fd(b)));
    assert_int_equal(vop_channel_process(b), 0);
    assert_false(test_readable(vop_channel_fd(b)));
    recv_number(2, 10);
    assert_empty();

    assert_int_equal(vop_channel_arm(a, VOP_ARM_SEND), 1); /* there is room */
    for (unsigned i = 0; i < 8; i++)
        send_number(i, 1);
    assert_int_equal(vop_channel_arm(a, VOP_ARM_SEND), 0); /* any room */
    recv_number(0, 1);
    assert_int_equal(vop_channel_recv(b, got, sizeof(got), 0), 1);
    assert_true(test_readable(vop_channel_fd(a))); /* a quarter was returned */
    assert_int_equal(vop_channel_process(a), 0);
    assert_int_equal(vop_channel_reserve(a, 5 * 512, 0, &buffer), -EAGAIN);
    assert_int_equal(vop_channel_arm(a, VOP_ARM_SEND | VOP_ARM_RECV), 0); /* room for what was refused */
    for (unsigned i = 2; i < 8; i++) {
        assert_false(test_readable(vop_channel_fd(a)) && i < 5);
        recv_number(i, 1);
    }
    assert_true(test_readable(vop_channel_fd(a)));
    assert_int_equal(vop_channel_process(a), 0);
    assert_int_equal(vop_channel_reserve(a, 5 * 512, 0, &buffer), 0);
    vop_channel_cancel(a);
    assert_int_equal(vop_channel_arm(a, 0), 0);
}

static void test_arm_for_nothing_known(void **state)
{
    (void)state;
    assert_int_equal(vop_channel_arm(a, 4), -EINVAL);
    assert_int_equal(vop_channel_arm(a, VOP_ARM_RECV | 1u << 31), -EINVAL);
}

/* Arming publishes slots that are held back: the peer may be waiting for just these. */
static void test_arm_returns_slots(void **state)
{
    struct vop_buffer buffer;

    (void)state;
    send_number(1, 512);
    send_number(2, 512);
    assert_int_equal(vop_channel_peek(b, 0, &buffer), 1);
    assert_int_equal(vop_channel_release(b, &buffer), 0);
    assert_int_equal(vop_channel_in_doubt(a), 2); /* one of eight: held back */
    assert_int_equal(vop_channel_arm(b, VOP_ARM_SEND), 1);
    assert_int_equal(vop_channel_in_doubt(a), 1);
    recv_number(2, 512);
}

static void test_timeouts(void **state)
{
    double start = test_seconds();
    struct vop_buffer buffer;

    (void)state;
    assert_int_equal(vop_channel_recv(b, got, sizeof(got), 20), -EAGAIN);
    assert_int_equal(vop_channel_peek(b, 20, &buffer), -EAGAIN);
    assert_true(test_seconds() - start >= 0.04);
    send_number(1, 4096);
    start = test_seconds();
    assert_int_equal(vop_channel_send(a, bytes, 1, 20), -EAGAIN);
    assert_int_equal(vop_channel_reserve(a, 1, 20, &buffer), -EAGAIN);
    assert_true(test_seconds() - start >= 0.04 && test_seconds() - start < 5);
    assert_int_equal(vop_channel_commit(a, 1, 0), -EINVAL);
    recv_number(1, 4096);
}

static void test_info(void **state)
{
    struct {
        struct vop_channel_info info;
        uint8_t more[8];
    } longer;
    struct vop_channel_info info = {.struct_size = sizeof(info)};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vop_channel_get_info(l.side[i], &info), 0);
        assert_int_equal(info.struct_size, sizeof(info));
        assert_int_equal(info.side, i);
        assert_int_equal(info.queue_size, 8);
        assert_int_equal(info.slot_size, 512);
        assert_int_equal(info.peer_config_size, 0);
        assert_int_equal(info.peer_pid, over_shm ? getpid() : -1);
        assert_int_equal(info.peer_uid, over_shm ? getuid() : (uid_t)-1);
        assert_int_equal(info.peer_gid, over_shm ? getgid() : (gid_t)-1);
        assert_int_equal(info.contiguous, over_shm);
        assert_true(info.direct_io_local);
        assert_int_equal(info.direct_io_remote, over_shm);
    }
    memset(&longer, 0xff, sizeof(longer));
    longer.info.struct_size = sizeof(longer);
    assert_int_equal(vop_channel_get_info(a, &longer.info), 0);
    assert_int_equal(longer.info.struct_size, sizeof(longer));
    assert_memory_equal(longer.more, "\0\0\0\0\0\0\0\0", 8);
    info.struct_size = 8;
    assert_int_equal(vop_channel_get_info(a, &info), -EINVAL);
}

static void test_stats(void **state)
{
    struct vop_channel_stats tx = {.struct_size = sizeof(tx)}, rx = {.struct_size = sizeof(rx)};

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        send_number(i, 100);
    assert_int_equal(vop_channel_send(a, bytes, 1, 0), -EAGAIN);
    for (unsigned i = 0; i < 8; i++)
        recv_number(i, 100);
    assert_int_equal(vop_channel_process(b), 0); /* takes the token of the first kick */
    assert_int_equal(vop_channel_recv(b, got, 1, 1), -EAGAIN);
    assert_int_equal(vop_channel_get_stats(a, &tx), 0);
    assert_int_equal(vop_channel_get_stats(b, &rx), 0);
    assert_int_equal(tx.tx_messages, 8);
    assert_int_equal(tx.tx_bytes, 800);
    assert_int_equal(tx.tx_publishes, 8);
    assert_int_equal(tx.tx_kicks, 1); /* the first */
    assert_int_equal(tx.tx_full, 1);
    assert_int_equal(tx.rx_messages, 0);
    assert_int_equal(rx.rx_messages, 8);
    assert_int_equal(rx.rx_bytes, 800);
    assert_int_equal(rx.rx_publishes, 4); /* two slots, a quarter of eight, at a time */
    assert_int_equal(rx.rx_kicks, 1);
    assert_int_equal(rx.sleeps, 1);
    rx.struct_size = 8;
    assert_int_equal(vop_channel_get_stats(b, &rx), -EINVAL);
}

/* A message that is peeked and put back counts once. */
static void test_stats_of_a_message_put_back(void **state)
{
    struct vop_channel_stats rx = {.struct_size = sizeof(rx)};

    (void)state;
    send_number(1, 100);
    assert_int_equal(vop_channel_recv(b, got, 1, 0), -EMSGSIZE);
    assert_int_equal(vop_channel_recv(b, got, 1, 0), -EMSGSIZE);
    recv_number(1, 100);
    assert_int_equal(vop_channel_get_stats(b, &rx), 0);
    assert_int_equal(rx.rx_messages, 1);
    assert_int_equal(rx.rx_bytes, 100);
}

/* Random calls of all kinds against a list of what must come out. */
static void test_random_calls(void **state)
{
    uint64_t seed = 7, sent = 0, published = 0, received = 0;
    static size_t length[100000];
    struct vop_buffer buffer;

    (void)state;
    while (received < 30000) {
        unsigned what = (unsigned)test_random(&seed) % 8;

        if (what < 4) {
            length[sent] = test_random_log(&seed, 4096);
            if (vop_channel_reserve(a, length[sent], 0, &buffer) < 0) {
                published = sent; /* a refusal publishes */
            } else {
                link_fill(&buffer, sent);
                assert_int_equal(vop_channel_commit(a, length[sent], what ? VOP_COMMIT_MORE : 0), 0);
                sent++;
                published = what ? published : sent;
            }
        } else if (what < 5) {
            assert_int_equal(vop_channel_recv(b, got, sizeof(got), 0),
                             received < published ? (ssize_t)length[received] : -EAGAIN);
            if (received < published) {
                assert_true(link_holds_bytes(got, length[received], received));
                received++;
            }
        } else {
            assert_int_equal(vop_channel_peek(b, 0, &buffer), received < published ? 1 : -EAGAIN);
            if (received < published) {
                assert_int_equal(buffer.length, length[received]);
                assert_true(link_holds(&buffer, received));
                received++;
                if (what == 5)
                    assert_int_equal(vop_channel_release(b, &buffer), 0);
            } else {
                assert_empty();
                vop__slot_driver_release(&b->rx.queue, b->rx.queue.next); /* as a release of the last one would */
            }
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_send_and_recv),
        TEST(test_other_direction),
        TEST(test_send_errors),
        TEST(test_commit),
        TEST(test_cancel),
        TEST(test_unknown_flag),
        TEST(test_more),
        TEST(test_more_of_all_lengths),
        TEST(test_recv_too_small),
        TEST(test_peek_and_release),
        TEST(test_release_twice),
        TEST(test_held_messages_stay),
        TEST(test_event_loop),
        TEST(test_arm_for_nothing_known),
        TEST(test_arm_returns_slots),
        TEST(test_timeouts),
        TEST(test_info),
        TEST(test_stats),
        TEST(test_stats_of_a_message_put_back),
        TEST(test_random_calls),
    };
    int failed = cmocka_run_group_tests_name("over loop", tests, NULL, NULL);

    over_shm = true;
    return failed + cmocka_run_group_tests_name("over shm", tests, NULL, NULL);
}
