/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test.h - what all unit tests share: cmocka with its headers, random numbers with a seed, time, hang guards.
 *
 * Room: tests. Header only, so that the tests of every room can use it.
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sys/closer.h"

#pragma weak vop__closer_wait /* there are tests that are not linked with it */

/** For children and threads, where cmocka cannot catch a failure: says what was wrong and ends the process. */
#define check(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, #condition))

static inline _Noreturn void test_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not true: %s (errno %d)\n", file, line, what, errno);
    _exit(1);
}

/** A reproducible sequence: splitmix64. */
static inline uint64_t test_random(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/** 1 to `max`, with as many values between 1 and 2 as between max/2 and max. */
static inline size_t test_random_log(uint64_t *seed, size_t max)
{
    unsigned octaves = 64u - (unsigned)__builtin_clzll((uint64_t)max);
    size_t low = (size_t)1 << test_random(seed) % octaves;
    size_t value = low + test_random(seed) % low;

    return value < max ? value : max;
}

static inline double test_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static inline void test_sleep_ms(long ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
        continue;
}

/** Does this descriptor poll readable now? */
static inline bool test_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/** Is there a thread of this name in this process? */
static inline bool test_has_thread(const char *name)
{
    DIR *dir = opendir("/proc/self/task");
    bool found = false;

    check(dir != NULL);
    for (struct dirent *e = readdir(dir); e && !found; e = readdir(dir)) {
        char path[64], line[32] = "";
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", e->d_name);
        file = fopen(path, "re");
        if (!file)
            continue;
        found = fgets(line, sizeof(line), file) && strncmp(line, name, strlen(name)) == 0;
        fclose(file);
    }
    closedir(dir);
    return found;
}

/**
 * fork(), and a child that ends with this process, stopped or not: a test that fails leaves none behind. Threads of the
 * library end before, since qemu-user makes none in a child whose parent has some.
 */
static inline pid_t test_child(void)
{
    pid_t child;

    fflush(stdout);
    if (vop__closer_wait) /* a thread that has only just begun has no name yet, */
        (void)vop__closer_wait(5000000000);
    for (unsigned i = 0; i < 5000 && test_has_thread("vop-closer"); i++) /* and one that is done has not ended */
        test_sleep_ms(1);
    child = fork();
    check(child >= 0);
    if (child == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/** What the library has done with is closed and unmapped. */
static inline void test_settle(void)
{
    if (vop__closer_wait)
        check(vop__closer_wait(5000000000));
}

/** Open descriptors of this process, once those that the library has done with are closed. */
static inline unsigned test_count_fds(void)
{
    DIR *dir;
    unsigned count = 0;

    test_settle();
    dir = opendir("/proc/self/fd");
    check(dir != NULL);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/** Lets this process open so many more descriptors, whatever it has inherited; -1: as many as before. */
static inline void test_limit_fds(int more)
{
    static struct rlimit before;
    struct rlimit limit;
    rlim_t end = 0;

    if (before.rlim_cur == 0)
        check(getrlimit(RLIMIT_NOFILE, &before) == 0);
    limit = before;
    for (; more >= 0; end++) {
        if (fcntl((int)end, F_GETFD) < 0 && more-- == 0)
            limit.rlim_cur = end;
    }
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/** Lines of /proc/self/maps that contain `what`, once what the library has done with is unmapped. */
static inline unsigned test_count_maps(const char *what)
{
    FILE *file;
    char line[512];
    unsigned count = 0;

    test_settle();
    file = fopen("/proc/self/maps", "re");
    check(file != NULL);
    while (fgets(line, sizeof(line), file)) {
        if (strstr(line, what))
            count++;
    }
    fclose(file);
    return count;
}

/** Ends the process with SIGALRM if a test hangs. Setup function of a cmocka test. */
static inline int test_guard(void **state)
{
    (void)state;
    alarm(getenv("VOP_LONG") ? 7000 : 100);
    return 0;
}

/** A new directory with a short path, for sockets. */
static inline void test_directory(char path[64])
{
    const char *parent = getenv("TMPDIR");

    snprintf(path, 64, "%.40s/vop-t.XXXXXX", parent ? parent : "/tmp");
    check(mkdtemp(path) != NULL);
}

#endif
