/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_closer.c - whoever hands descriptors over never waits for their close, and nobody else does either.
 *
 * Room: tests. pthread_create is wrapped, so that there are systems without threads.
 */
#include "support/fds.h"
#include "support/test.h"

#include "core/clock.h"
#include "sys/closer.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#define LONG_NS (20 * VOP__NS_PER_S)

static bool no_threads;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *argument)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (no_threads)
        return EAGAIN;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, fn, argument);
}

static int a_descriptor(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    check(fd >= 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void expect_soon_closed(int fd)
{
    double start = test_seconds();

    while (is_open(fd) && test_seconds() - start < 20)
        test_sleep_ms(1);
    assert_false(is_open(fd));
}

static void test_closes_all(void **state)
{
    int fds[5];

    (void)state;
    assert_true(vop__closer_wait(0)); /* of nothing */
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 5; i++)
            fds[i] = i == 2 ? -1 : a_descriptor();
        vop__closer_take(fds, 5);
        if (round % 10 == 0)
            assert_true(vop__closer_wait(LONG_NS));
    }
    assert_true(vop__closer_wait(LONG_NS));
    assert_false(vop__closer_is_behind());
    for (unsigned i = 0; i < 5; i++)
        assert_false(is_open(fds[i]));
}

#define HANGING 20

/* Closes that hang hold up neither who brings them nor what comes later. */
static void test_hanging(void **state)
{
    int other[HANGING], trap, fd;
    double start = test_seconds();

    (void)state;
    for (unsigned i = 0; i < HANGING; i++) {
        trap = fds_lingering(&other[i]);
        check(trap >= 0);
        vop__closer_take(&trap, 1);
        fd = a_descriptor();
        vop__closer_take(&fd, 1);
        expect_soon_closed(fd);
    }
    assert_true(test_seconds() - start < 100);
    assert_false(vop__closer_wait(VOP__NS_PER_MS));
    test_sleep_ms(20);
    assert_false(vop__closer_is_behind()); /* there is no hope that it is over soon */
    for (unsigned i = 0; i < HANGING; i++)
        close(other[i]);
    assert_true(vop__closer_wait(LONG_NS));
}

static void await_thread(bool there)
{
    double start = test_seconds();

    while (test_has_thread("vop-closer") != there && test_seconds() - start < 20)
        test_sleep_ms(1);
    assert_int_equal(test_has_thread("vop-closer"), there);
}

static volatile sig_atomic_t in_main; /* signals that came to the main thread */
static pthread_t main_thread;

static void on_signal(int number)
{
    (void)number;
    in_main += pthread_equal(pthread_self(), main_thread);
}

/* Threads take no signals, and go when their work is done. */
static void test_threads(void **state)
{
    struct sigaction action = {.sa_handler = on_signal};
    int other, trap = fds_lingering(&other);
    sigset_t usr1;

    (void)state;
    check(trap >= 0);
    await_thread(false);
    vop__closer_take(&trap, 1);
    await_thread(true);
    main_thread = pthread_self();
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    check(sigaction(SIGUSR1, &action, NULL) == 0 && pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
    kill(getpid(), SIGUSR1); /* another thread that does not block it would get it now */
    test_sleep_ms(20);
    check(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
    assert_int_equal(in_main, 1);
    close(other);
    assert_true(vop__closer_wait(LONG_NS));
    await_thread(false);
}

/* The child has none of the parent's threads, and makes its own. */
static void test_fork(void **state)
{
    int status, fd = a_descriptor();
    pid_t child;

    (void)state;
    vop__closer_take(&fd, 1);
    child = test_child();
    if (child == 0) {
        int mine = a_descriptor();

        vop__closer_take(&mine, 1);
        check(vop__closer_wait(LONG_NS));
        _exit(is_open(mine));
    }
    assert_true(vop__closer_wait(LONG_NS));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* What a thread of the parent is still at is closed in the child as well. */
static void test_fork_in_the_middle(void **state)
{
    int status, other, fds[4] = {fds_lingering(&other), a_descriptor(), -1, a_descriptor()};
    pid_t child;

    (void)state;
    check(fds[0] >= 0);
    vop__closer_take(fds, 4);
    await_thread(true);
    test_sleep_ms(20); /* now it hangs in the first */
    child = fork();    /* test_child() would wait for it */
    check(child >= 0);
    if (child == 0) {
        int mine = a_descriptor();

        vop__closer_take(&mine, 1);
        check(vop__closer_wait(LONG_NS));
        _exit(is_open(mine) || is_open(fds[1]) || is_open(fds[3]));
    }
    assert_true(is_open(fds[3]));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(other);
    assert_true(vop__closer_wait(LONG_NS));
    assert_false(is_open(fds[3]));
}

/* Where no thread can be made it is done at once. But where there are some, they will come to it. */
static void test_no_threads(void **state)
{
    int other, trap = fds_lingering(&other);
    int fd = a_descriptor();

    (void)state;
    check(trap >= 0);
    assert_true(vop__closer_wait(LONG_NS));
    no_threads = true;
    vop__closer_take(&fd, 1);
    assert_false(is_open(fd));
    no_threads = false;
    vop__closer_take(&trap, 1);
    no_threads = true;
    fd = a_descriptor();
    vop__closer_take(&fd, 1);
    assert_true(is_open(fd)); /* it is queued behind the one that hangs */
    close(other);
    assert_true(vop__closer_wait(LONG_NS));
    assert_false(is_open(fd));
    no_threads = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closes_all),
        cmocka_unit_test(test_hanging),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fork_in_the_middle),
        cmocka_unit_test(test_no_threads),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
