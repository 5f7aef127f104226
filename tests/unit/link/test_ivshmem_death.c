/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ivshmem_death.c - peers on the ivshmem wire that die, are paused, or lose their side: every wait ends, and
 * nothing of an old session is taken for new.
 *
 * Room: tests. Where the test allows five seconds it takes about one; the rest is for a machine that is busy.
 */
#include "support/geometry.h"
#include "support/region.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define WITHIN 5.0
#define N 16
#define S 256

static struct vop_options options;

static int setup(void **state)
{
    options = link_options(N, S, 50);
    return region_setup(state);
}

/* ---- Killed, or stopped, in every call ---- */

enum call {
    RECV,
    SEND,
    POLL,
    LOOK,
    PROCESS,
    ARM,
    CALLS
};

static int end_of(vop_channel *c, enum call call)
{
    uint8_t bytes[S] = {0};
    int ret;

    if (call == RECV)
        return (int)vop_channel_recv(c, bytes, sizeof(bytes), 30000);
    if (call == SEND) {
        while (ret = vop_channel_send(c, bytes, sizeof(bytes), 30000), ret == 0)
            continue;
        return ret;
    }
    if (call == LOOK) { /* only receiving finds out */
        while (ret = (int)vop_channel_recv(c, bytes, sizeof(bytes), 0), ret == -EAGAIN)
            test_sleep_ms(1);
        return ret;
    }
    if (call == PROCESS) { /* never armed */
        while (ret = vop_channel_process(c), ret == 0)
            assert_int_equal(poll(&(struct pollfd){.fd = vop_channel_fd(c), .events = POLLIN}, 1, 30000), 1);
        return ret;
    }
    if (call == ARM) { /* other descriptors keep the loop awake, and this one has no time to become readable */
        while (vop_channel_arm(c, VOP_ARM_RECV) == 0)
            test_sleep_ms(1);
        return (int)vop_channel_recv(c, bytes, sizeof(bytes), 0);
    }
    do {
        struct pollfd fd = {.fd = vop_channel_fd(c), .events = POLLIN};

        if (vop_channel_arm(c, VOP_ARM_RECV) == 0) {
            assert_int_equal(poll(&fd, 1, 30000), 1);
            (void)vop_channel_process(c);
        }
        ret = (int)vop_channel_recv(c, bytes, sizeof(bytes), 0);
    } while (ret == -EAGAIN);
    return ret;
}

static int sleeper(vop_channel *c, void *context)
{
    (void)context;
    return vop_channel_recv(c, &(uint8_t){0}, 1, 100000) > 0;
}

static void in_every_call(int signal)
{
    for (unsigned spin = 0; spin < 2; spin++) {
        for (enum call call = RECV; call < CALLS; call++) {
            pid_t child;
            vop_channel *c;
            double begin;

            options.spin_us = spin ? 50 : VOP_SPIN_NEVER;
            child = region_fork(spin, &options, sleeper, NULL);
            c = region_connect(!spin, &options);
            test_sleep_ms(20);
            begin = test_seconds();
            kill(child, signal);
            assert_int_equal(end_of(c, call), -ECONNRESET);
            assert_true(test_seconds() - begin < WITHIN);
            assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV), 1);
            for (unsigned i = 0; i < 2; i++) { /* it keeps reporting it */
                assert_int_equal(poll(&(struct pollfd){.fd = vop_channel_fd(c), .events = POLLIN}, 1, 10000), 1);
                assert_int_equal(vop_channel_process(c), -ECONNRESET);
            }
            vop_channel_close(c);
            kill(child, SIGKILL);
            assert_int_equal(link_join(child), -SIGKILL);
        }
    }
}

static void test_killed(void **state)
{
    (void)state;
    in_every_call(SIGKILL);
}

static void test_stopped(void **state)
{
    (void)state;
    in_every_call(SIGSTOP);
}

/* ---- A peer that is alive, but has little to say ---- */

enum quiet {
    TAKE,
    PEEK,
    CANCEL,
    HOLD,
    FLUSH,
    REARM,
    EVENTS,
    QUIETS
};

static void be_quiet(vop_channel *c, enum quiet quiet)
{
    struct vop_buffer buffer;
    uint8_t byte;

    if (quiet == TAKE) {
        assert_int_equal(vop_channel_recv(c, &byte, 1, -1), 1);
    } else if (quiet == PEEK) {
        assert_int_equal(vop_channel_peek(c, -1, &buffer), 1);
    } else if (quiet == CANCEL || quiet == HOLD) {
        assert_int_equal(vop_channel_reserve(c, 1, 0, &buffer), 0);
        if (quiet == CANCEL)
            vop_channel_cancel(c);
        else
            assert_int_equal(vop_channel_commit(c, 1, VOP_COMMIT_MORE), 0);
    } else if (quiet == FLUSH) {
        assert_int_equal(vop_channel_flush(c), 0);
    } else if (quiet == REARM) {
        (void)vop_channel_arm(c, VOP_ARM_RECV); /* there are messages that nobody wants now */
    } else {
        if (poll(&(struct pollfd){.fd = vop_channel_fd(c), .events = POLLIN}, 1, 300) == 1)
            assert_int_equal(vop_channel_process(c), 0);
        return;
    }
    test_sleep_ms(300);
}

static int sender_of_five(vop_channel *c, void *context)
{
    (void)context;
    for (unsigned i = 0; i < 5; i++)
        check(vop_channel_send(c, "", 1, 1000) == 0);
    return vop_channel_recv(c, &(uint8_t){0}, 1, 100000) > 0;
}

/* In each of these calls this program shows that it is alive. */
static void test_quiet(void **state)
{
    (void)state;
    for (enum quiet quiet = 0; quiet < QUIETS; quiet++) {
        double begin = test_seconds();
        pid_t child = region_fork(1, &options, sender_of_five, NULL);
        vop_channel *c = region_connect(0, &options);

        for (unsigned i = 0; quiet == EVENTS ? test_seconds() - begin < 1.7 : i < 5; i++)
            be_quiet(c, quiet);
        if (quiet == HOLD)
            assert_int_equal(vop_channel_flush(c), 0);
        else
            assert_int_equal(vop_channel_send(c, "", 1, 0), 0);
        assert_int_equal(link_join(child), 1);
        vop_channel_close(c);
    }
}

/* ---- A peer that was only paused ---- */

/* Goes on until the other side, which has given this one up and opened a new session, says so. */
static void open_anew(struct link *l, unsigned side, vop_listener **ret_listener)
{
    link_die(l, side);
    assert_int_equal(vop_listener_open(region_uri[side], &options, ret_listener), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(vop_listener_accept(*ret_listener, 0, &(vop_channel *){NULL}), -EAGAIN);
}

/* It was reading: indexes reset behind its back would look like new messages where they wrap. */
static void test_paused_reader(void **state)
{
    vop_listener *listener;
    uint8_t bytes[8] = {0};
    struct link l;

    (void)state;
    region_open(&l, &options);
    for (unsigned i = 0; i < 65536 - 6; i++) {
        assert_int_equal(vop_channel_send(l.side[0], bytes, sizeof(bytes), 0), 0);
        assert_int_equal(vop_channel_recv(l.side[1], bytes, sizeof(bytes), 0), sizeof(bytes));
    }
    assert_int_equal(vop_channel_send(l.side[0], bytes, 5, 0), 0); /* one more that it has not read */
    open_anew(&l, 0, &listener);
    assert_int_equal(vop_channel_recv(l.side[1], bytes, sizeof(bytes), 0), 5);
    assert_int_equal(vop_channel_recv(l.side[1], bytes, sizeof(bytes), 0), -ECONNRESET);
    assert_int_equal(vop_channel_send(l.side[1], bytes, sizeof(bytes), 0), -ECONNRESET);
    assert_int_equal(vop_channel_in_doubt(l.side[1]), 0);
    vop_channel_close(l.side[1]);
    vop_listener_close(listener);
}

static void *connect_thread(void *arg)
{
    return region_connect((unsigned)(uintptr_t)arg, &options);
}

/* It was writing, and paused in the middle of a message. When it comes back, nothing of that is in the new session. */
static void test_paused_writer(void **state)
{
    vop_listener *listener;
    struct vop_buffer buffer;
    vop_channel *fresh;
    pthread_t thread;
    struct link l;
    void *its;

    (void)state;
    for (unsigned moment = 0; moment < 4; moment++) {
        region_open(&l, &options);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(vop_channel_send(l.side[1], "old", 3, 0), 0);
        assert_int_equal(vop_channel_reserve(l.side[1], 100, 0, &buffer), 0);
        if (moment > 0)
            vop__slot_device_commit(&l.side[1]->tx.queue, 1, 100);
        if (moment > 1) { /* it stores the index last, without another look at anything */
            open_anew(&l, 0, &listener);
            memset(buffer.segment[0].iov_base, 0xaa, 100);
            (void)vop__slot_device_publish(&l.side[1]->tx.queue);
        } else {
            open_anew(&l, 0, &listener);
            memset(buffer.segment[0].iov_base, 0xaa, 100);
        }
        assert_int_equal(vop_listener_accept(listener, 100, &fresh), -EAGAIN);
        if (moment == 3)
            vop__fate_die(l.side[1]->link);
        vop_channel_close(l.side[1]);
        assert_int_equal(vop_listener_accept(listener, 100, &fresh), -EAGAIN);

        assert_int_equal(pthread_create(&thread, NULL, connect_thread, (void *)(uintptr_t)1), 0);
        assert_int_equal(vop_listener_accept(listener, 10000, &fresh), 0);
        pthread_join(thread, &its);
        assert_int_equal(vop_channel_recv(fresh, &(uint8_t){0}, 1, 50), -EAGAIN);
        assert_int_equal(vop_channel_send(its, "n", 1, 0), 0);
        assert_int_equal(vop_channel_recv(fresh, &(uint8_t){0}, 1, 10000), 1);
        vop_channel_close(its);
        vop_channel_close(fresh);
        vop_listener_close(listener);
    }
}

/* ---- Random moments, two processes ---- */

/** A message says which session it belongs to. */
struct message {
    uint64_t process, session, number;
};

/* Sends as fast as it can; when the session has ended, it opens another one. */
static _Noreturn void send_for_ever(unsigned side)
{
    struct message m = {.process = (uint64_t)getpid()};

    alarm(getenv("VOP_LONG") ? 7000 : 100);
    for (;; m.session++) {
        vop_channel *c = region_connect(side, &options);
        int ret;

        for (m.number = 0; (ret = vop_channel_send(c, &m, sizeof(m), -1)) == 0;)
            m.number++;
        check(ret == -ECONNRESET || ret == -EPIPE);
        vop_channel_close(c);
    }
}

/* Receives `count` messages, or until the end. All are of one session, in order from its first. */
static int receive(vop_channel *c, struct message *last, uint64_t count)
{
    struct message m = {0}, before = *last;
    ssize_t ret = 0;

    for (uint64_t i = 0; i < count; i++) {
        ret = vop_channel_recv(c, &m, sizeof(m), 30000);
        if (ret != sizeof(m))
            break;
        assert_int_equal(m.number, i);
        if (i > 0)
            assert_true(m.process == last->process && m.session == last->session);
        else /* what an earlier session sent does not come in this one */
            assert_true(m.process != before.process || m.session > before.session);
        *last = m;
    }
    return ret < 0 ? (int)ret : 0;
}

static pid_t fork_sender(unsigned side)
{
    pid_t child = test_child();

    if (child == 0)
        send_for_ever(side);
    return child;
}

static void survive(unsigned side, int signal, unsigned rounds)
{
    uint64_t seed = (uint64_t)time(NULL);
    struct message last = {0};
    vop_listener *listener;
    pid_t child = fork_sender(1 - side);

    print_message("seed %llu\n", (unsigned long long)seed);
    assert_int_equal(vop_listener_open(region_uri[side], &options, &listener), 0);
    for (unsigned round = 0; round < rounds; round++) {
        vop_channel *c;

        assert_int_equal(vop_listener_accept(listener, 30000, &c), 0);
        assert_int_equal(receive(c, &last, 1 + test_random(&seed) % 3000), 0);
        kill(child, signal);
        for (struct message m; vop_channel_recv(c, &m, sizeof(m), 30000) == sizeof(m);)
            assert_int_equal(m.number, ++last.number);
        assert_int_equal(vop_channel_recv(c, &last, sizeof(last), 0), -ECONNRESET);
        vop_channel_close(c);
        if (signal == SIGSTOP) {
            /* Opens a new session while the other side is paused in whatever it did. */
            assert_int_equal(vop_listener_accept(listener, (int)(test_random(&seed) % 50), &c), -EAGAIN);
            kill(child, SIGCONT);
        } else {
            assert_int_equal(link_join(child), -SIGKILL);
            child = fork_sender(1 - side);
        }
    }
    kill(child, SIGKILL);
    link_join(child);
    vop_listener_close(listener);
}

static void test_kills(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++)
        survive(side, SIGKILL, getenv("VOP_LONG") ? 500 : 20);
}

static void test_pauses(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++)
        survive(side, SIGSTOP, getenv("VOP_LONG") ? 60 : 4);
}

/* ---- Another program on this side ---- */

static struct vop_announce *block_of(unsigned side)
{
    return (struct vop_announce *)(void *)(region_map() + (1 - side) * (REGION_SIZE / 2));
}

static bool stop; /* atomic */

static void *beat_thread(void *arg)
{
    struct vop_announce *block = arg;

    for (uint32_t beat = 1; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); beat++) {
        __atomic_store_n(&block->heartbeat.le, beat, __ATOMIC_RELAXED);
        test_sleep_ms(50);
    }
    return NULL;
}

static void *listen_again_thread(void *arg)
{
    struct vop_announce *block = arg;

    test_sleep_ms(300);
    vop__store_le64(&block->incarnation, 0x1235);
    vop__store_release_le32(&block->state, VOP_STATE_HELLO, 'E');
    return beat_thread(block);
}

/* By a program on another machine, so that no lock shows it. */
static void test_claimed_elsewhere(void **state)
{
    struct vop_announce *block = block_of(1);
    vop_listener *listener;
    vop_channel *c;
    pthread_t thread;
    double begin;

    (void)state;
    block->incarnation.le = 0x1234;
    block->state.le = VOP_STATE_READY;
    __atomic_store_n(&stop, false, __ATOMIC_RELEASE);
    assert_int_equal(pthread_create(&thread, NULL, beat_thread, block), 0);
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 20000, &c), -EADDRINUSE);
    assert_non_null(strstr(vop_error_text(), "side 1 is in use"));
    assert_int_equal(vop_listener_open(region_uri[1], &options, &listener), 0);
    assert_int_equal(vop_listener_accept(listener, 20000, &c), -EADDRINUSE);
    vop_listener_close(listener);
    assert_int_equal(block->state.le, VOP_STATE_READY); /* untouched */
    assert_int_equal(block->incarnation.le, 0x1234);

    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    begin = test_seconds();
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 20, &c), -ETIMEDOUT); /* the side may be taken now */
    assert_true(test_seconds() - begin > 0.9);
    assert_int_equal(block->state.le, VOP_STATE_ABSENT);
}

/* A listener keeps its side between two sessions: nobody can take it by another way. */
static void test_claimed_between_sessions(void **state)
{
    struct vop_announce *block = block_of(1);
    vop_channel *c;
    pthread_t thread;

    (void)state;
    vop__store_le64(&block->incarnation, 0x1234);
    vop__store_le32(&block->state, VOP_STATE_CLOSING);
    __atomic_store_n(&stop, false, __ATOMIC_RELEASE);
    assert_int_equal(pthread_create(&thread, NULL, listen_again_thread, block), 0);
    assert_int_equal(vop_channel_connect(region_uri[1], &options, 20000, &c), -EADDRINUSE);
    assert_non_null(strstr(vop_error_text(), "side 1 is in use"));
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_int_equal(vop__load_le32(&block->state), VOP_STATE_HELLO); /* untouched */
    assert_int_equal(vop__load_le64(&block->incarnation), 0x1235);
}

/* A program that was paused for long first checks whether it still has its side; if not, it writes nothing. */
static void test_ousted(void **state)
{
    uint8_t before[REGION_SIZE / 2];
    struct link l;

    (void)state;
    options.spin_us = VOP_SPIN_NEVER;
    region_open(&l, &options);
    assert_int_equal(vop_channel_send(l.side[1], "mine", 4, 0), 0);
    test_sleep_ms(600);
    block_of(1)->incarnation.le ^= 1;
    memcpy(before, region_map(), sizeof(before));
    assert_int_equal(vop_channel_recv(l.side[1], &(uint8_t){0}, 1, 0), -EAGAIN); /* this call found out */
    assert_int_equal(vop_channel_recv(l.side[1], &(uint8_t){0}, 1, 0), -ECONNRESET);
    assert_int_equal(vop_channel_send(l.side[1], "mine", 4, 0), -ECONNRESET);
    vop_channel_close(l.side[1]);
    assert_memory_equal(region_map(), before, sizeof(before));
    vop_channel_close(l.side[0]);
}

/* ---- Restarts that cross ---- */

/* Both were READY, each for the other's last incarnation: neither waits for ever. */
static void test_both_anew(void **state)
{
    static uint8_t half[2][16384];
    struct vop__window w[2] = {{half[0], sizeof(half[0]), 0}, {half[1], sizeof(half[1]), 0}};
    struct vop__hello plain = {.geometry = EVEN(1, 2, 64)};
    struct vop__session s[2];
    unsigned up = 0;

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(vop__session_open(&s[i], &w[i], &w[1 - i], &plain), 0);
    for (unsigned i = 0; i < 2; i++) {
        s[i].peer.incarnation = 77 + i;
        vop__session_ready(&s[i]);
    }
    for (unsigned i = 0; i < 20 && up != 3; i++) {
        int ret = vop__session_step(&s[i % 2]);

        if (ret == VOP__SESSION_READY)
            vop__session_ready(&s[i % 2]);
        else if (ret == VOP__SESSION_UP)
            up |= 1u << i % 2;
    }
    assert_int_equal(up, 3);
    assert_true(s[0].mine.echo == s[1].mine.incarnation && s[1].mine.echo == s[0].mine.incarnation);
}

/* What is left of another program's session is not checked, whatever it says. */
static void test_old_block(void **state)
{
    static uint8_t half[2][16384];
    struct vop__window w[2] = {{half[0], sizeof(half[0]), 0}, {half[1], sizeof(half[1]), 0}};
    struct vop__hello plain = {.geometry = EVEN(1, 2, 64)}, other = {.geometry = EVEN(1, 2, 64), .device_id = 1};
    struct vop_announce *block = (struct vop_announce *)(void *)half[0];
    struct vop__session s[2];

    (void)state;
    assert_int_equal(vop__session_open(&s[0], &w[0], &w[1], &plain), 0);
    assert_int_equal(vop__session_open(&s[1], &w[1], &w[0], &other), 0);
    assert_int_equal(vop__session_step(&s[0]), -EPROTO); /* a HELLO is meant for everybody */
    s[1].peer.incarnation = 77;
    vop__session_ready(&s[1]);
    assert_int_equal(vop__session_step(&s[0]), VOP__SESSION_WAIT);
    vop__session_close(&s[1]);
    assert_int_equal(vop__session_step(&s[0]), VOP__SESSION_WAIT);
    vop__store_le64(&block->echo, s[0].mine.incarnation); /* now it is meant for this side */
    assert_int_equal(vop__session_step(&s[0]), -EPROTO);
    vop__session_leave(&s[1]);
    assert_int_equal(vop__session_step(&s[0]), VOP__SESSION_WAIT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, region_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_killed),        TEST(test_stopped),           TEST(test_quiet),
        TEST(test_paused_reader), TEST(test_paused_writer),     TEST(test_kills),
        TEST(test_pauses),        TEST(test_claimed_elsewhere), TEST(test_claimed_between_sessions),
        TEST(test_ousted),        TEST(test_both_anew),         TEST(test_old_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
