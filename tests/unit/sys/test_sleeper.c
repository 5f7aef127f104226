/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sleeper.c - whoever sleeps on a word is woken by whoever changes it, by a signal, by time, and by a hang-up.
 *
 * Room: tests.
 */
#include "support/test.h"

#include "sys/futex.h"
#include "sys/sleeper.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static uint32_t *word;       /* shared memory, */
static const uint32_t *seen; /* as whoever sleeps has it mapped */
static int ends[2];

static int setup(void **state)
{
    int fd = memfd_create("word", MFD_CLOEXEC);

    (void)state;
    check(fd >= 0 && ftruncate(fd, 4096) == 0);
    word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    seen = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    check(word != MAP_FAILED && seen != MAP_FAILED);
    close(fd);
    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    munmap(word, 4096);
    munmap((void *)(uintptr_t)seen, 4096);
    return 0;
}

static void store(uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    vop__futex_wake_shared(word);
}

static void test_value(void **state)
{
    struct vop__sleeper s = {0};

    (void)state;
    assert_int_equal(vop__sleeper_begin(&s, seen, ends[0]), 0);
    assert_int_equal(vop__sleeper_begin(&s, seen, ends[0]), 0); /* nothing more happens */
    assert_int_equal(vop__sleeper_wait(&s, 1, VOP__NEVER), 1);
    assert_int_equal(vop__sleeper_wait(&s, 0, VOP__NS_PER_MS), 0);
    vop__sleeper_end(&s);
    vop__sleeper_end(&s);
}

#define ROUNDS 2000u

/* Each waits for the other's turn, in a word that both sleep on. */
static void take_turns(struct vop__sleeper *s, unsigned side)
{
    for (uint32_t turn = side; turn < ROUNDS; turn += 2) {
        uint32_t now;

        while ((now = __atomic_load_n(seen, __ATOMIC_SEQ_CST)) != turn)
            check(vop__sleeper_wait(s, now, VOP__NEVER) == 1);
        store(turn + 1);
    }
}

static void test_two_processes(void **state)
{
    struct vop__sleeper s = {0};
    pid_t child = test_child();
    int status;

    (void)state;
    check(vop__sleeper_begin(&s, seen, ends[child == 0]) == 0);
    take_turns(&s, child == 0);
    vop__sleeper_end(&s);
    if (child == 0)
        exit(0);
    assert_true(waitpid(child, &status, 0) == child && status == 0);
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
    struct vop__sleeper s = {0};

    (void)state;
    sigaction(SIGUSR1, &action, NULL);
    assert_int_equal(vop__sleeper_begin(&s, seen, ends[0]), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_signal, &self), 0);
    assert_int_equal(vop__sleeper_wait(&s, 0, VOP__NEVER), -EINTR);
    pthread_join(thread, NULL);
    vop__sleeper_end(&s);
}

static void *hang_up(void *unused)
{
    (void)unused;
    test_sleep_ms(20);
    shutdown(ends[1], SHUT_RDWR);
    return NULL;
}

static void *deafen(void *unused)
{
    (void)unused;
    test_sleep_ms(20);
    shutdown(ends[0], SHUT_RD);
    return NULL;
}

static void end_by(void *(*end)(void *))
{
    struct vop__sleeper s = {0}, other = {0}, late = {0};
    pthread_t thread;

    assert_int_equal(vop__sleeper_begin(&s, seen, ends[0]), 0);
    assert_int_equal(vop__sleeper_begin(&other, seen + 1, ends[0]), 0);
    assert_int_equal(pthread_create(&thread, NULL, end, NULL), 0);
    assert_int_equal(vop__sleeper_wait(&s, 0, VOP__NEVER), -ECONNRESET);
    assert_int_equal(vop__sleeper_wait(&other, 0, VOP__NEVER), -ECONNRESET);
    assert_int_equal(vop__sleeper_wait(&s, 0, VOP__NEVER), -ECONNRESET); /* from now on at once */
    pthread_join(thread, NULL);
    assert_int_equal(vop__sleeper_begin(&late, seen, ends[0]), 0);
    assert_int_equal(vop__sleeper_wait(&late, 0, VOP__NEVER), -ECONNRESET);
    vop__sleeper_end(&s);
    vop__sleeper_end(&other);
    vop__sleeper_end(&late);
}

static void test_hang_up(void **state)
{
    (void)state;
    end_by(hang_up);
}

static void test_deafen(void **state)
{
    (void)state;
    end_by(deafen);
}

/* A hang-up between the last look and the sleep: the watcher wakes until it is heard. */
static void test_hang_up_at_every_moment(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct vop__sleeper s = {0};
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(vop__sleeper_begin(&s, seen, pair[0]), 0);
        close(pair[1]);
        for (volatile unsigned pause = 0; pause < i * 100; pause++)
            continue;
        assert_int_equal(vop__sleeper_wait(&s, 0, VOP__NEVER), -ECONNRESET);
        vop__sleeper_end(&s);
        close(pair[0]);
    }
}

#define WATCHER "vop-watcher"

/* A thread that has only just begun has no name yet. */
static bool is_watched(void)
{
    for (unsigned i = 0; i < 5000 && !test_has_thread(WATCHER); i++)
        test_sleep_ms(1);
    return test_has_thread(WATCHER);
}

static void test_nothing_is_left(void **state)
{
    unsigned fds = test_count_fds();

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct vop__sleeper s[2] = {{0}, {0}};

        assert_int_equal(vop__sleeper_begin(&s[0], seen, ends[0]), 0);
        assert_int_equal(vop__sleeper_begin(&s[1], seen, ends[1]), 0);
        assert_true(is_watched());
        vop__sleeper_end(&s[i % 2]);
        assert_true(is_watched());
        vop__sleeper_end(&s[1 - i % 2]);
        assert_false(test_has_thread(WATCHER));
        assert_int_equal(test_count_fds(), fds);
    }
}

/* A child has no watcher, and makes one of its own. */
static void test_fork(void **state)
{
    struct vop__sleeper s = {0};
    pid_t child;
    int status;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it lets a child whose parent has threads make none */
#endif
    assert_int_equal(vop__sleeper_begin(&s, seen, ends[0]), 0);
    child = test_child();
    if (child == 0) {
        struct vop__sleeper own = {0};
        int pair[2];

        check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        check(vop__sleeper_begin(&own, seen, pair[0]) == 0);
        close(pair[1]);
        check(vop__sleeper_wait(&own, 0, VOP__NEVER) == -ECONNRESET);
        vop__sleeper_end(&own);
        exit(0);
    }
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    close(ends[1]);
    ends[1] = -1;
    assert_int_equal(vop__sleeper_wait(&s, 0, VOP__NEVER), -ECONNRESET);
    vop__sleeper_end(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_value),  TEST(test_two_processes),           TEST(test_signal), TEST(test_hang_up),
        TEST(test_deafen), TEST(test_hang_up_at_every_moment), TEST(test_fork),   TEST(test_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
