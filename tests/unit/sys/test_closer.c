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

/* The mask of blocked signals of each closer thread; returns how many there are. */
static unsigned count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    unsigned count = 0;

    check(dir != NULL);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char path[64], line[128] = "";
        unsigned long long blocked = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", e->d_name);
        file = fopen(path, "re");
        if (!file)
            continue;
        if (fgets(line, sizeof(line), file) && strcmp(line, "Name:\tvop-closer\n") == 0) {
            while (fgets(line, sizeof(line), file) && strncmp(line, "SigBlk:", 7) != 0)
                continue;
            blocked = strtoull(line + 7, NULL, 16);
            check(blocked & 1u << (SIGTERM - 1) && blocked & 1u << (SIGUSR1 - 1));
            count++;
        }
        fclose(file);
    }
    closedir(dir);
    return count;
}

/* Threads take no signals, and go when there is nothing to do. */
static void test_threads(void **state)
{
    double start = test_seconds();
    int fd = a_descriptor();

    (void)state;
    vop__closer_take(&fd, 1);
    assert_true(vop__closer_wait(LONG_NS));
    assert_int_equal(count_threads(), 1);
    while (count_threads() > 0 && test_seconds() - start < 20)
        test_sleep_ms(50);
    assert_int_equal(count_threads(), 0);
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

/* Without threads it is done at once; but what is there already goes on. */
static void test_no_threads(void **state)
{
    double start = test_seconds();
    int fd = a_descriptor();

    (void)state;
    while (count_threads() > 0 && test_seconds() - start < 20)
        test_sleep_ms(50);
    no_threads = true;
    vop__closer_take(&fd, 1);
    assert_false(is_open(fd));
    assert_true(vop__closer_wait(0));
    no_threads = false;
    fd = a_descriptor();
    vop__closer_take(&fd, 1);
    assert_true(vop__closer_wait(LONG_NS));
    no_threads = true;
    fd = a_descriptor();
    vop__closer_take(&fd, 1);
    assert_true(vop__closer_wait(LONG_NS));
    no_threads = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closes_all), cmocka_unit_test(test_hanging),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_fork),       cmocka_unit_test(test_no_threads),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
