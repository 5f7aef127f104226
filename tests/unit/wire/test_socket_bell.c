/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_socket_bell.c - the link's socket as a doorbell: a token is never lost, nothing a peer sends makes a call block,
 * its death is heard, and this side's own waits end when they are told to.
 *
 * Room: tests.
 */
#include "support/fds.h"
#include "support/test.h"

#include "core/clock.h"
#include "wire/doorbell.h"
#include "wire/socket.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ROUNDS 3000u /* it runs in an emulated machine, too */
#define KICKS 1000u

static struct vop__doorbells end[2];

/* With doorbells of their own, as after the handshake. */
static void open_ends(void)
{
    int sockets[2], fds[VOP__BELLS];

    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) == 0);
    for (unsigned i = 0; i < 2; i++)
        check(vop__doorbells_open(&end[i], sockets[i], 1, true) == 0);
    for (unsigned i = 0; i < 2; i++) {
        vop__doorbells_give(&end[i], 1, fds);
        for (unsigned j = 0; j < VOP__BELLS; j++)
            fds[j] = fcntl(fds[j], F_DUPFD_CLOEXEC, 0);
        check(vop__doorbells_take(&end[1 - i], fds, 1) == 0);
    }
    for (unsigned i = 0; i < 2; i++)
        vop__doorbells_given(&end[i]);
}

static int setup(void **state)
{
    open_ends();
    vop__doorbells_use_socket(&end[0]);
    vop__doorbells_use_socket(&end[1]);
    return test_guard(state);
}

static int teardown(void **state)
{
    (void)state;
    vop__doorbells_close(&end[0]);
    vop__doorbells_close(&end[1]);
    return 0;
}

static void kick(unsigned from, enum vop__bell bell)
{
    assert_int_equal(vop__doorbells_kick(&end[from], 0, bell), 0);
}

static int wait_for(unsigned side, enum vop__bell bell, int64_t timeout_ns)
{
    return vop__doorbells_wait(&end[side], 0, bell, timeout_ns);
}

/* Peer's own calls, on its end. */
static void peer_sends(const void *bytes, size_t size)
{
    assert_int_equal(send(end[0].socket, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL), size);
}

static void test_one_descriptor(void **state)
{
    unsigned fds = test_count_fds();

    (void)state;
    open_ends();
    vop__doorbells_use_socket(&end[0]);
    vop__doorbells_use_socket(&end[1]);
    assert_int_equal(test_count_fds(), fds + 2);
    vop__doorbells_close(&end[0]);
    vop__doorbells_close(&end[1]);
    assert_int_equal(test_count_fds(), fds);
}

static void test_tokens(void **state)
{
    (void)state;
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, 0), 0);
    for (unsigned i = 0; i < 200; i++) { /* some of them are timed */
        kick(0, VOP__BELL_MESSAGES);
        assert_int_equal(wait_for(0, VOP__BELL_MESSAGES, 0), 0); /* not its own */
        assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), 1);
        assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, 0), 0);
        kick(1, VOP__BELL_SLOTS); /* one bell is both */
        assert_int_equal(wait_for(0, VOP__BELL_MESSAGES, VOP__NEVER), 1);
        assert_int_equal(wait_for(0, VOP__BELL_MESSAGES, VOP__NS_PER_MS / 100), 0);
    }
    assert_int_equal(vop__doorbells_alive(&end[0]), 0);
}

/* A peer that takes none has few of them, and no kick waits for it. */
static void test_nobody_takes(void **state)
{
    unsigned tokens = 0;

    (void)state;
    for (unsigned i = 0; i < KICKS; i++)
        kick(0, VOP__BELL_MESSAGES);
    while (wait_for(1, VOP__BELL_MESSAGES, 0) == 1)
        tokens++;
    assert_true(tokens >= 1 && tokens <= 16);
    kick(0, VOP__BELL_MESSAGES);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, 0), 1);
}

static void *answer(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < ROUNDS; i++) {
        check(wait_for(0, VOP__BELL_MESSAGES, VOP__NEVER) == 1);
        check(vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES) == 0);
    }
    return NULL;
}

static void test_no_token_is_lost(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, answer, NULL), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        kick(1, VOP__BELL_MESSAGES);
        assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    }
    pthread_join(thread, NULL);
}

static void *wait_for_slots(void *unused)
{
    (void)unused;
    check(wait_for(1, VOP__BELL_SLOTS, VOP__NEVER) == 1);
    return NULL;
}

/* Whose token it was cannot be told, so both look. */
static void test_two_sleepers(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_slots, NULL), 0);
    test_sleep_ms(5);
    kick(0, VOP__BELL_MESSAGES);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    pthread_join(thread, NULL);
}

static void on_signal(int number)
{
    (void)number;
}

static void *send_signal(void *target)
{
    test_sleep_ms(20);
    pthread_kill(*(pthread_t *)target, SIGUSR1);
    return NULL;
}

static void test_signal(void **state)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t self = pthread_self(), thread;

    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    for (unsigned timed = 0; timed < 2; timed++) {
        assert_int_equal(pthread_create(&thread, NULL, send_signal, &self), 0);
        assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, timed ? 20 * VOP__NS_PER_S : VOP__NEVER), -EINTR);
        pthread_join(thread, NULL);
    }
}

static void *interrupt(void *unused)
{
    (void)unused;
    test_sleep_ms(20);
    vop__doorbells_interrupt(&end[1]);
    return NULL;
}

/* It ends this side's waits, and is no death for either. */
static void test_interrupt(void **state)
{
    pthread_t thread;

    (void)state;
    kick(0, VOP__BELL_MESSAGES);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, NULL), 0);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET); /* for good */
    assert_int_equal(vop__doorbells_alive(&end[0]), 0);
    assert_int_equal(vop__doorbells_alive(&end[1]), 0);
    kick(0, VOP__BELL_MESSAGES); /* goes nowhere */
    kick(1, VOP__BELL_MESSAGES); /* arrives */
    assert_int_equal(wait_for(0, VOP__BELL_MESSAGES, 0), 1);
    vop__doorbells_hang_up(&end[0]);
    assert_int_equal(vop__doorbells_alive(&end[1]), 0); /* it listens no more */
}

/* Both together look like a hang-up, and are none. */
static void test_both_interrupt(void **state)
{
    (void)state;
    vop__doorbells_interrupt(&end[0]);
    vop__doorbells_interrupt(&end[1]);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(wait_for(i, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
        assert_int_equal(vop__doorbells_alive(&end[i]), 0);
    }
}

static void *die(void *unused)
{
    (void)unused;
    test_sleep_ms(20);
    vop__doorbells_hang_up(&end[0]);
    return NULL;
}

static void test_death(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, die, NULL), 0);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
    pthread_join(thread, NULL);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, 0), -ECONNRESET);
    assert_int_equal(vop__doorbells_alive(&end[1]), -ECONNRESET);
}

/* Tokens come before the hang-up. */
static void test_last_words(void **state)
{
    (void)state;
    kick(0, VOP__BELL_MESSAGES);
    vop__doorbells_hang_up(&end[0]);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
}

static int open_epoll(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    check(fd >= 0 && vop__doorbells_watch(&end[1], 0, fd) == 0);
    return fd;
}

static void test_event_loop(void **state)
{
    int fd = open_epoll();

    (void)state;
    assert_false(test_readable(fd));
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0); /* for nothing */
    for (unsigned i = 0; i < 200; i++) {
        kick(0, VOP__BELL_MESSAGES);
        assert_true(test_readable(fd));
        assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
        assert_false(test_readable(fd));
    }
    vop__doorbells_hang_up(&end[0]);
    assert_true(test_readable(fd));
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -ECONNRESET);
    assert_true(test_readable(fd));
    close(fd);
}

/* From the first kick on one call takes one, where no descriptor can lie behind it. */
static void test_seen_empty(void **state)
{
    int fd = open_epoll();

    (void)state;
    kick(0, VOP__BELL_MESSAGES);
    kick(0, VOP__BELL_MESSAGES);
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
    assert_false(end[1].is_clean);
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
    assert_int_equal(end[1].is_clean, end[1].refuses_fds);
    close(fd);
}

static void test_large_message(void **state)
{
    int fd = open_epoll();

    (void)state;
    peer_sends("ab", 2);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -EPROTO);
    peer_sends("abcdefgh", 8);
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -EPROTO);
    close(fd);
}

/* No kick has no bytes: it looks like the end, and is one. */
static void test_empty_message(void **state)
{
    (void)state;
    peer_sends("", 0);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
}

static void test_half_closed(void **state)
{
    (void)state;
    shutdown(end[0].socket, SHUT_WR);
    assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
    assert_int_equal(vop__doorbells_alive(&end[1]), -ECONNRESET);
}

/* Descriptors that were sent before the socket refused them stay where they are: their last close could wait. */
static void test_descriptors(void **state)
{
    int pair[2], epoll;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        open_ends();
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        peer_sends("a", 1);
        assert_int_equal(fds_send(end[0].socket, "b", 1, pair, 1, MSG_DONTWAIT), 1);
        close(pair[0]);
        vop__doorbells_use_socket(&end[1]);
        epoll = open_epoll();
        if (i == 0) {
            assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), 1);
            assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
        } else {
            assert_int_equal(vop__doorbells_process(&end[1], 0, epoll), 0);
            assert_int_equal(vop__doorbells_process(&end[1], 0, epoll), -ECONNRESET);
        }
        assert_int_equal(write(pair[1], "x", 1), 1); /* the reading end is not closed yet */
        close(pair[1]);
        close(epoll);
        vop__doorbells_close(&end[0]);
        vop__doorbells_close(&end[1]);
    }
}

static void test_late_descriptors(void **state)
{
    bool refused = vop__socket_refuse_fds(end[1].socket);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ssize_t sent = fds_send(end[0].socket, "a", 1, &null, 1, MSG_DONTWAIT);

    (void)state;
    close(null);
    assert_true(refused ? sent < 0 : sent == 1);
    if (!refused)
        assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
}

#define WATCHES 1000u

/* Each of which is woken: no more than a nuisance, as long as it does not take a millisecond. */
static void test_some_watch(void **state)
{
    int fds[WATCHES];

    (void)state;
    for (unsigned i = 0; i < WATCHES; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};

        fds[i] = epoll_create1(EPOLL_CLOEXEC);
        if (fds[i] >= 0)
            check(epoll_ctl(fds[i], EPOLL_CTL_ADD, end[0].socket, &event) == 0);
    }
    for (unsigned i = 0; i < 300; i++) {
        kick(1, VOP__BELL_MESSAGES);
        kick(0, VOP__BELL_MESSAGES);
        assert_int_equal(wait_for(1, VOP__BELL_MESSAGES, VOP__NEVER), 1);
        assert_int_equal(wait_for(0, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    }
    for (unsigned i = 0; i < WATCHES; i++)
        close(fds[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_descriptor),
        TEST(test_tokens),
        TEST(test_nobody_takes),
        TEST(test_no_token_is_lost),
        TEST(test_two_sleepers),
        TEST(test_signal),
        TEST(test_interrupt),
        TEST(test_both_interrupt),
        TEST(test_death),
        TEST(test_last_words),
        TEST(test_event_loop),
        TEST(test_seen_empty),
        TEST(test_large_message),
        TEST(test_empty_message),
        TEST(test_half_closed),
        cmocka_unit_test(test_descriptors),
        TEST(test_late_descriptors),
        TEST(test_some_watch),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
