/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_wait.c - waiting: what a waiting side publishes first, signals, event loops, full queues in both directions.
 *
 * Room: tests. Limits of five seconds stand for "for ever".
 */
#include "support/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define LONG_MS 5000

static bool over_shm;
static uint32_t spin;
static struct link l;
static pthread_t main_thread;

static int setup(void **state)
{
    struct vop_options o = link_options(8, 512, spin);

    test_guard(state);
    if (over_shm)
        link_open_shm(&l, &o);
    else
        link_open_loop(&l, &o, 0);
    main_thread = pthread_self();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    link_close(&l);
    return 0;
}

static pthread_t start(void *(*fn)(void *))
{
    pthread_t thread;

    check(pthread_create(&thread, NULL, fn, NULL) == 0);
    return thread;
}

static void commit(vop_channel *c, size_t length, uint64_t number, unsigned flags)
{
    struct vop_buffer buffer;

    check(vop_channel_reserve(c, length, LONG_MS, &buffer) == 0);
    link_fill(&buffer, number);
    check(vop_channel_commit(c, length, flags) == 0);
}

static void expect(vop_channel *c, size_t length, uint64_t number)
{
    uint8_t bytes[4096];

    check(vop_channel_recv(c, bytes, sizeof(bytes), LONG_MS) == (ssize_t)length);
    check(link_holds_bytes(bytes, length, number));
}

/* ---- A side that waits holds nothing back (PROTOCOL.md, Notification, step 1) ---- */

static void *answer_one(void *arg)
{
    (void)arg;
    expect(l.side[0], 10, 1);
    expect(l.side[0], 20, 2);
    commit(l.side[0], 30, 3, 0);
    return NULL;
}

/* Both sides wait: this one for the answer, the other for requests that are held back here. */
static void test_requests_held_back(void **state)
{
    pthread_t other = start(answer_one);

    (void)state;
    commit(l.side[1], 10, 1, VOP_COMMIT_MORE);
    commit(l.side[1], 20, 2, VOP_COMMIT_MORE);
    expect(l.side[1], 30, 3);
    pthread_join(other, NULL);
}

static void *answer_all_then_drain(void *arg)
{
    (void)arg;
    commit(l.side[0], 4096, 50, 0); /* needs every slot, including the one that the peer holds back */
    for (unsigned i = 0; i < 8; i++)
        expect(l.side[0], 512, i);
    expect(l.side[0], 512, 99);
    return NULL;
}

/* This side waits for room; the other for a slot that was released here and not yet returned. */
static void test_slots_held_back(void **state)
{
    struct vop_buffer buffer;
    pthread_t other;

    (void)state;
    commit(l.side[0], 10, 1, 0);
    check(vop_channel_peek(l.side[1], LONG_MS, &buffer) == 1);
    check(vop_channel_release(l.side[1], &buffer) == 0);
    assert_int_equal(vop_channel_in_doubt(l.side[0]), 1); /* held back indeed */
    for (unsigned i = 0; i < 8; i++)
        commit(l.side[1], 512, i, 0);
    other = start(answer_all_then_drain);
    commit(l.side[1], 512, 99, 0);
    expect(l.side[1], 4096, 50);
    pthread_join(other, NULL);
}

/* The same for slots released by another thread of this side: that one publishes them before it waits itself. */
static void *release_and_wait(void *arg)
{
    (void)arg;
    expect(l.side[1], 10, 1);
    expect(l.side[1], 4096, 50);
    return NULL;
}

static void test_slots_held_back_by_a_thread(void **state)
{
    pthread_t receiver, other;

    (void)state;
    commit(l.side[0], 10, 1, 0);
    receiver = start(release_and_wait);
    for (unsigned i = 0; i < 8; i++)
        commit(l.side[1], 512, i, 0);
    other = start(answer_all_then_drain);
    commit(l.side[1], 512, 99, 0);
    pthread_join(receiver, NULL);
    pthread_join(other, NULL);
}

/* A batch larger than the queue: what is held back goes out when there is no room for more. */
static void *drain_batch(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 200; i++)
        expect(l.side[0], 600, i);
    return NULL;
}

static void test_batch_larger_than_the_queue(void **state)
{
    pthread_t other = start(drain_batch);

    (void)state;
    for (unsigned i = 0; i < 199; i++)
        commit(l.side[1], 600, i, VOP_COMMIT_MORE);
    commit(l.side[1], 600, 199, 0);
    pthread_join(other, NULL);
}

/* A side that waits for many slots is woken when all of them are there, not for each. */
static void *drain_slowly(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 8; i++) {
        test_sleep_ms(5);
        expect(l.side[0], 512, i);
    }
    expect(l.side[0], 4096, 9);
    return NULL;
}

static void test_woken_once(void **state)
{
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
    struct timespec before, after;
    int64_t busy_ns;
    pthread_t other;

    (void)state;
    if (spin != VOP_SPIN_NEVER)
        return;
    for (unsigned i = 0; i < 8; i++)
        commit(l.side[1], 512, i, 0);
    other = start(drain_slowly);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    commit(l.side[1], 4096, 9, 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    pthread_join(other, NULL);
    busy_ns = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
    assert_true(busy_ns < 15000000); /* of 40 ms: it slept instead of looking again and again */
    assert_int_equal(vop_channel_get_stats(l.side[1], &stats), 0);
    assert_in_range(stats.sleeps, 1, 2); /* the first return of slots kicks unasked */
}

/* Spinning is learned: it stops when it does not help, and comes back when it would have helped. */
static void *send_slowly(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 8; i++) {
        test_sleep_ms(3);
        commit(l.side[0], 10, i, 0);
    }
    return NULL;
}

static void test_spinning_is_learned(void **state)
{
    struct vop_spin *mine = &l.side[1]->rx.spin;
    struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
    bool was_tried = false;
    pthread_t other;

    (void)state;
    if (spin != 50 || mine->max_ns == 0)
        return; /* fixed, or a single processor */
    assert_int_equal(mine->window_ns, 50000);
    other = start(send_slowly);
    for (unsigned i = 0; i < 8; i++)
        expect(l.side[1], 10, i);
    pthread_join(other, NULL);
    assert_int_equal(mine->window_ns, 0); /* each wait was longer than any spin */
    mine->window_ns = mine->max_ns;
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(vop_channel_recv(l.side[1], &stats, sizeof(stats), 1), -EAGAIN);
    assert_int_equal(mine->window_ns, 0); /* and so were these, in which nothing came */
    mine->max_ns = INT64_C(10000000000);
    other = start(send_slowly);
    for (unsigned i = 0; i < 8; i++) {
        expect(l.side[1], 10, i);
        was_tried |= mine->window_ns > 50000; /* now that its length would do */
    }
    pthread_join(other, NULL);
    assert_true(was_tried);
    mine->window_ns = mine->max_ns;
    assert_int_equal(vop_channel_get_stats(l.side[1], &stats), 0);
    assert_true(stats.sleeps > 8);
    other = start(send_slowly);
    for (unsigned i = 0; i < 8; i++)
        expect(l.side[1], 10, i);
    pthread_join(other, NULL);
    assert_int_equal(mine->window_ns, mine->max_ns);
    stats.spins_hit = 0;
    assert_int_equal(vop_channel_get_stats(l.side[1], &stats), 0);
    assert_true(stats.spins_hit > 0);
}

/* ---- Largest messages, both ways ---- */

static void *largest_in_turn(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        expect(l.side[0], 4096, i);
        commit(l.side[0], 4096, 1000 + i, i % 2 ? VOP_COMMIT_MORE : 0);
    }
    check(vop_channel_flush(l.side[0]) == 0);
    return NULL;
}

static void test_largest_in_turn(void **state)
{
    pthread_t other = start(largest_in_turn);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        commit(l.side[1], 4096, i, 0);
        expect(l.side[1], 4096, 1000 + i);
    }
    pthread_join(other, NULL);
}

static void *largest_against_each_other(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 100; i++) {
        commit(l.side[0], 4096, 1000 + i, 0);
        expect(l.side[0], 4096, i);
    }
    return NULL;
}

static void test_largest_against_each_other(void **state)
{
    pthread_t other = start(largest_against_each_other);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        commit(l.side[1], 4096, i, 0);
        expect(l.side[1], 4096, 1000 + i);
    }
    pthread_join(other, NULL);
}

/* ---- Signals ---- */

static volatile sig_atomic_t signals;
static int stop_signals; /* atomic */

static void on_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

static void *send_signals(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&stop_signals, __ATOMIC_ACQUIRE)) {
        test_sleep_ms(10);
        pthread_kill(main_thread, SIGUSR1);
    }
    return NULL;
}

/* A sleeping call ends with -EINTR, although the handler asks for restarts, and can be repeated. */
static void test_interrupted(void **state)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct vop_buffer buffer;
    uint8_t byte = 1;
    pthread_t other;

    (void)state;
    if (spin != VOP_SPIN_NEVER)
        return; /* promised only for calls that sleep */
    sigaction(SIGUSR1, &action, NULL);
    for (unsigned i = 0; i < 8; i++)
        commit(l.side[1], 512, i, 0);
    stop_signals = 0;
    other = start(send_signals);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vop_channel_recv(l.side[1], &byte, 1, -1), -EINTR);
        assert_int_equal(vop_channel_peek(l.side[1], -1, &buffer), -EINTR);
        assert_int_equal(vop_channel_send(l.side[1], &byte, 1, -1), -EINTR);
        assert_int_equal(vop_channel_reserve(l.side[1], 1, -1, &buffer), -EINTR);
    }
    __atomic_store_n(&stop_signals, 1, __ATOMIC_RELEASE);
    pthread_join(other, NULL);
    assert_true(signals >= 12);
    for (unsigned i = 0; i < 8; i++)
        expect(l.side[0], 512, i);
    commit(l.side[1], 10, 77, 0);
    expect(l.side[0], 10, 77); /* nothing was sent by the interrupted calls */
}

/* ---- Event loops ---- */

/* Works until nothing is left to do, arms, polls. Echoes, or sends its own numbers and expects them back. */
struct loop {
    vop_channel *c;
    bool echo;
    uint64_t sent, received, count;
    uint64_t owed; /* echo: received and not yet sent back */
    uint8_t held[4096];
    size_t held_length;
    bool full;
};

static size_t loop_length(uint64_t number)
{
    uint64_t seed = number;

    return test_random_log(&seed, 4096);
}

static bool loop_send(struct loop *p)
{
    uint8_t bytes[4096];
    size_t length = p->echo ? p->held_length : loop_length(p->sent);
    int ret;

    p->full = false;
    if (p->echo ? p->held_length == 0 : p->sent == p->count)
        return false;
    if (!p->echo)
        link_fill_bytes(bytes, length, p->sent);
    ret = vop_channel_send(p->c, p->echo ? p->held : bytes, length, 0);
    if (ret == -EAGAIN) {
        p->full = true;
        return false;
    }
    check(ret == 0);
    p->sent++;
    p->held_length = 0;
    return true;
}

static bool loop_recv(struct loop *p)
{
    ssize_t length;

    if (p->held_length || p->received == p->count)
        return false;
    length = vop_channel_recv(p->c, p->held, sizeof(p->held), 0);
    if (length == -EAGAIN)
        return false;
    check(length == (ssize_t)loop_length(p->received));
    check(link_holds_bytes(p->held, (size_t)length, p->received));
    p->received++;
    p->held_length = p->echo ? (size_t)length : 0;
    return true;
}

static void *run_loop(void *arg)
{
    struct loop *p = arg;

    for (;;) {
        struct pollfd fd = {.fd = vop_channel_fd(p->c), .events = POLLIN};
        bool some;

        do {
            some = loop_send(p);
            some |= loop_recv(p);
        } while (some);
        if (p->sent == p->count && p->received == p->count)
            return NULL;
        if (vop_channel_arm(p->c, (p->held_length ? 0 : VOP_ARM_RECV) | (p->full ? VOP_ARM_SEND : 0)) == 0) {
            check(poll(&fd, 1, LONG_MS) == 1);
            check(vop_channel_process(p->c) == 0);
        }
    }
}

static void test_two_event_loops(void **state)
{
    struct loop client = {.c = l.side[1], .count = 3000}, server = {.c = l.side[0], .count = 3000, .echo = true};
    pthread_t other;

    (void)state;
    check(pthread_create(&other, NULL, run_loop, &server) == 0);
    run_loop(&client);
    pthread_join(other, NULL);
}

/* One side in an event loop, the other in blocking calls. */
static void *blocking_echo(void *arg)
{
    (void)arg;
    stream_echo(l.side[0]);
    return NULL;
}

static void test_event_loop_against_blocking(void **state)
{
    struct loop client = {.c = l.side[1], .count = 3000};
    pthread_t other = start(blocking_echo);

    (void)state;
    run_loop(&client);
    vop_channel_close(l.side[1]);
    l.side[1] = NULL;
    pthread_join(other, NULL);
}

/* ---- A peer that breaks the protocol without a kick ---- */

static void *recv_breach(void *arg)
{
    uint8_t byte;

    (void)arg;
    check(vop_channel_recv(l.side[0], &byte, 1, -1) == -EPROTO);
    return NULL;
}

static void test_breach_ends_other_waits(void **state)
{
    struct vop_announce *block = (void *)l.side[1]->link->wire->remote.base;
    pthread_t receiver = start(recv_breach);

    (void)state;
    test_sleep_ms(20); /* most likely it sleeps by now */
    vop__store_le32(&block->state, 77);
    assert_int_equal(vop_channel_send(l.side[0], "", 1, 0), -EPROTO);
    pthread_join(receiver, NULL);
    assert_int_equal(poll(&(struct pollfd){.fd = vop_channel_fd(l.side[0]), .events = POLLIN}, 1, 10000), 1);
    assert_int_equal(vop_channel_process(l.side[0]), -EPROTO);
}

/* ---- What does not survive fork and exec ---- */

static void test_fork(void **state)
{
    volatile uint8_t *its;
    pid_t child;
    int status;

    (void)state;
    if (!over_shm)
        return; /* ordinary memory */
    its = l.side[0]->link->wire->remote.base;
    child = test_child();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        if (test_count_maps("memfd:vop") != 0)
            _exit(1);
        *its = 1; /* a second writer without knowing it */
        _exit(2);
    }
    check(waitpid(child, &status, 0) == child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    commit(l.side[1], 10, 1, 0);
    expect(l.side[0], 10, 1);
}

static void test_exec(void **state)
{
    (void)state;
    for (int fd = 0; fd < 200; fd++) {
        char path[64], target[256];
        ssize_t n;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
            continue;
        target[n] = 0;
        if (strstr(target, "memfd:vop") || fd == vop_channel_fd(l.side[0]) || fd == vop_channel_fd(l.side[1]))
            assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_requests_held_back),
        TEST(test_slots_held_back),
        TEST(test_slots_held_back_by_a_thread),
        TEST(test_batch_larger_than_the_queue),
        TEST(test_woken_once),
        TEST(test_spinning_is_learned),
        TEST(test_largest_in_turn),
        TEST(test_largest_against_each_other),
        TEST(test_interrupted),
        TEST(test_two_event_loops),
        TEST(test_event_loop_against_blocking),
        TEST(test_breach_ends_other_waits),
        TEST(test_fork),
        TEST(test_exec),
    };
    static const uint32_t spins[] = {VOP_SPIN_NEVER, 50, VOP_SPIN_FOREVER};
    int failed = 0;

    for (unsigned i = 0; i < 6; i++) {
        over_shm = i % 2;
        spin = spins[i / 2];
        failed += cmocka_run_group_tests_name(over_shm ? "over shm" : "over loop", tests, NULL, NULL);
    }
    return failed;
}
