/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_doorbell.c - doorbells: a token is never lost, nothing a peer does makes a call block, its death is heard.
 *
 * Room: tests. ppoll and epoll_wait are wrapped, so that a peer can act between them and what the library does next.
 */
#include "unit/core/util_test.h"

#include "core/clock.h"
#include "wire/doorbell.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void (*after_poll)(void); /* what the peer does at the worst moment */

/* NOLINTNEXTLINE */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec copy = timeout ? *timeout : (struct timespec){0};
    int n = (int)syscall(SYS_ppoll, fds, count, timeout ? &copy : NULL, mask, _NSIG / 8);

    if (after_poll)
        after_poll();
    return n;
}

int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout)
{
    int n = (int)syscall(SYS_epoll_pwait, epoll_fd, events, max, timeout, NULL, _NSIG / 8);

    if (after_poll)
        after_poll();
    return n;
}

static struct vop_doorbells end[2];

static void open_pair(unsigned pairs0, unsigned pairs1)
{
    unsigned pairs = pairs0 < pairs1 ? pairs0 : pairs1;
    int sockets[2], fds[2 * VOP_QUEUE_PAIRS_MAX];

    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) == 0);
    check(vop_doorbells_open(&end[0], sockets[0], pairs0) == 0);
    check(vop_doorbells_open(&end[1], sockets[1], pairs1) == 0);
    for (unsigned i = 0; i < 2; i++) {
        unsigned count = vop_doorbells_give(&end[i], pairs, fds);

        check(count == 2 * pairs);
        for (unsigned j = 0; j < count; j++) {
            fds[j] = fcntl(fds[j], F_DUPFD_CLOEXEC, 0);
            check(fds[j] >= 0);
        }
        check(vop_doorbells_take(&end[1 - i], fds, pairs) == 0);
    }
}

static void close_pair(void)
{
    vop_doorbells_close(&end[0]);
    vop_doorbells_close(&end[1]);
}

static int open_epoll(struct vop_doorbells *d)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    check(fd >= 0 && vop_doorbells_watch(d, fd) == 0);
    return fd;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void test_tokens(void **state)
{
    unsigned fds = test_count_fds();

    (void)state;
    open_pair(1, 1);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 0), 0);
    vop_doorbells_kick(&end[0], 0, VOP_BELL_MESSAGES);
    vop_doorbells_kick(&end[0], 0, VOP_BELL_MESSAGES);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_SLOTS, 0), 0);
    assert_int_equal(vop_doorbells_wait(&end[0], 0, VOP_BELL_MESSAGES, 0), 0); /* not the own one */
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), 1);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 0), 0); /* it took both */
    vop_doorbells_kick(&end[1], 0, VOP_BELL_SLOTS);
    assert_int_equal(vop_doorbells_wait(&end[0], 0, VOP_BELL_MESSAGES, 0), 0);
    assert_int_equal(vop_doorbells_wait(&end[0], 0, VOP_BELL_SLOTS, 0), 1);
    assert_int_equal(vop_doorbells_alive(&end[0]), 0);
    close_pair();
    assert_int_equal(test_count_fds(), fds);
}

static void test_timeout(void **state)
{
    double start = test_seconds();

    (void)state;
    open_pair(1, 1);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 20 * VOP_NS_PER_MS), 0);
    assert_true(test_seconds() - start >= 0.02 && test_seconds() - start < 5);
    close_pair();
}

static void test_queue_pairs(void **state)
{
    unsigned fds = test_count_fds();

    (void)state;
    open_pair(5, 3);
    assert_int_equal(end[0].queue_pairs, 3);
    for (unsigned queue = 0; queue < 3; queue++) {
        for (unsigned bell = 0; bell < 2; bell++) {
            vop_doorbells_kick(&end[0], queue, bell);
            for (unsigned i = 0; i < 6; i++)
                assert_int_equal(vop_doorbells_wait(&end[1], i / 2, i % 2, 0), i == 2 * queue + bell);
        }
    }
    assert_int_equal(test_count_fds(), fds + 2 * (1 + 1 + 3 * 6)); /* what is not in force is closed */
    close_pair();
    assert_int_equal(test_count_fds(), fds);
}

static void test_epoll(void **state)
{
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    assert_int_equal(vop_doorbells_process(&end[1], fd), 0);
    for (unsigned bell = 0; bell < 2; bell++) {
        assert_false(readable(fd));
        vop_doorbells_kick(&end[0], 0, bell);
        assert_true(readable(fd));
        assert_int_equal(vop_doorbells_process(&end[1], fd), 0);
        assert_false(readable(fd));
        assert_int_equal(vop_doorbells_wait(&end[1], 0, bell, 0), 0);
    }
    close(fd);
    close_pair();
}

/* A peer that never takes its tokens, and does what it can with the end it has. */
static void test_kick_never_blocks(void **state)
{
    int its = end[1].bell[0][0].wait;

    (void)state;
    open_pair(1, 1);
    its = end[1].bell[0][0].wait;
    assert_int_equal(fcntl(its, F_SETFL, fcntl(its, F_GETFL) & ~O_NONBLOCK), 0);
    fcntl(its, F_SETPIPE_SZ, 4096);
    for (unsigned i = 0; i < 100000; i++)
        vop_doorbells_kick(&end[0], 0, VOP_BELL_MESSAGES);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), 1);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 0), 0);
    close_pair();
}

static void steal(void)
{
    int its = end[0].bell[0][0].give, flags = fcntl(its, F_GETFL);
    char bytes[4096];

    fcntl(its, F_SETFL, flags | O_NONBLOCK);
    while (read(its, bytes, sizeof(bytes)) > 0)
        continue;
    fcntl(its, F_SETFL, flags & ~O_NONBLOCK);
}

/* A peer that takes the token back between the sleeper's poll and its drain, and clears the O_NONBLOCK they share. */
static void test_drain_never_blocks(void **state)
{
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    after_poll = steal;
    for (unsigned i = 0; i < 10; i++) {
        vop_doorbells_kick(&end[0], 0, VOP_BELL_MESSAGES);
        assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), 1);
        vop_doorbells_kick(&end[0], 0, VOP_BELL_MESSAGES);
        assert_int_equal(vop_doorbells_process(&end[1], fd), 0);
        assert_false(readable(fd));
    }
    after_poll = NULL;
    vop_doorbells_kick(&end[0], 0, VOP_BELL_MESSAGES); /* and with the flag as the peer left it, it still drains */
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), 1);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 0), 0);
    close(fd);
    close_pair();
}

static void test_death(void **state)
{
    int fd;

    (void)state;
    for (unsigned token = 0; token < 2; token++) {
        open_pair(1, 1);
        fd = open_epoll(&end[1]);
        if (token)
            vop_doorbells_kick(&end[0], 0, VOP_BELL_MESSAGES);
        assert_int_equal(vop_doorbells_alive(&end[1]), 0);
        vop_doorbells_close(&end[0]);
        assert_true(readable(fd));
        assert_int_equal(vop_doorbells_process(&end[1], fd), -ECONNRESET);
        assert_int_equal(vop_doorbells_alive(&end[1]), -ECONNRESET);
        assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), -ECONNRESET);
        assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_SLOTS, VOP_NEVER), -ECONNRESET);
        assert_true(readable(fd));                         /* it stays so */
        vop_doorbells_kick(&end[1], 0, VOP_BELL_MESSAGES); /* no SIGPIPE, no error */
        vop_doorbells_kick(&end[1], 0, VOP_BELL_SLOTS);
        close(fd);
        vop_doorbells_close(&end[1]);
    }
}

/* Each alone is a death: the socket with all doorbells held open, and a doorbell without its writer. */
static void test_half_dead(void **state)
{
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    shutdown(end[0].socket, SHUT_WR);
    assert_true(readable(fd));
    assert_int_equal(vop_doorbells_process(&end[1], fd), -ECONNRESET);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), -ECONNRESET);
    assert_int_equal(vop_doorbells_alive(&end[1]), -ECONNRESET);
    close(fd);
    close_pair();

    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    close(end[0].bell[0][VOP_BELL_SLOTS].kick);
    end[0].bell[0][VOP_BELL_SLOTS].kick = -1;
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 0), 0);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_SLOTS, VOP_NEVER), -ECONNRESET);
    assert_int_equal(vop_doorbells_process(&end[1], fd), -ECONNRESET);
    close(fd);
    close_pair();
}

/* After UP nothing is read from the socket; what a peer sends there all the same must not keep anybody awake. */
static void test_noise_on_the_socket(void **state)
{
    double start;
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    assert_int_equal(send(end[0].socket, "noise", 5, 0), 5);
    assert_false(readable(fd));
    assert_int_equal(vop_doorbells_alive(&end[1]), 0);
    start = test_seconds();
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 20 * VOP_NS_PER_MS), 0);
    assert_true(test_seconds() - start >= 0.02);
    close(fd);
    close_pair();
}

static void test_killed_process(void **state)
{
    double start;
    pid_t child;

    (void)state;
    open_pair(1, 1);
    child = fork();
    check(child >= 0);
    if (child == 0) {
        vop_doorbells_close(&end[1]);
        for (;;)
            pause();
    }
    vop_doorbells_close(&end[0]);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, 10 * VOP_NS_PER_MS), 0);
    start = test_seconds();
    kill(child, SIGKILL);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), -ECONNRESET);
    assert_true(test_seconds() - start < 5);
    waitpid(child, NULL, 0);
    vop_doorbells_close(&end[1]);
}

static void on_signal(int number)
{
    (void)number;
}

static void *interrupt(void *target)
{
    test_sleep_ms(20);
    pthread_kill(*(pthread_t *)target, SIGUSR1);
    return NULL;
}

static void test_interrupted(void **state)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t self = pthread_self(), thread;

    (void)state;
    open_pair(1, 1);
    sigaction(SIGUSR1, &action, NULL);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &self), 0);
    assert_int_equal(vop_doorbells_wait(&end[1], 0, VOP_BELL_MESSAGES, VOP_NEVER), -EINTR);
    pthread_join(thread, NULL);
    close_pair();
}

/* What a peer may pass instead of the read end of a pipe. Nothing is taken then. */
static void test_wrong_types(void **state)
{
    struct vop_doorbells d;
    int sockets[2], pipe_ends[2], given[2], wrong[7];
    char path[64];

    (void)state;
    check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0 && pipe2(pipe_ends, O_CLOEXEC) == 0);
    assert_int_equal(vop_doorbells_open(&d, sockets[0], 1), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", pipe_ends[0]);
    wrong[0] = eventfd(0, EFD_CLOEXEC);
    wrong[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    wrong[2] = sockets[1];
    wrong[3] = pipe_ends[1];
    wrong[4] = open(path, O_PATH | O_CLOEXEC);
    wrong[5] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    wrong[6] = 1000; /* not open */
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        unsigned fds = test_count_fds();

        for (unsigned place = 0; place < 2; place++) {
            given[place] = wrong[i];
            given[1 - place] = pipe_ends[0];
            assert_int_equal(vop_doorbells_take(&d, given, 1), -EPROTO);
            assert_int_equal(d.bell[0][0].wait, -1);
            assert_int_equal(d.bell[0][1].wait, -1);
        }
        assert_int_equal(test_count_fds(), fds);
    }
    given[0] = given[1] = pipe_ends[0];
    given[1] = dup(pipe_ends[0]);
    assert_int_equal(vop_doorbells_take(&d, given, 1), 0);
    vop_doorbells_close(&d);
    for (size_t i = 0; i < 6; i++)
        close(wrong[i]);
}

static unsigned count_inheritable(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 1000; fd++) {
        int flags = fcntl(fd, F_GETFD);

        count += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    return count;
}

static void test_all_are_cloexec(void **state)
{
    unsigned before = count_inheritable();

    (void)state;
    open_pair(2, 2);
    assert_int_equal(count_inheritable(), before);
    close_pair();
}

/* At every number of descriptors that are left, opening fails cleanly; the socket stays the caller's. */
static void test_out_of_descriptors(void **state)
{
    unsigned fds = test_count_fds();
    int sockets[2], got = -EMFILE;

    (void)state;
    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    for (int more = 0; more < 10 && got < 0; more++) {
        test_limit_fds(more);
        got = vop_doorbells_open(&end[0], sockets[0], 1);
        test_limit_fds(-1);
        assert_int_equal(got, more < 5 ? -EMFILE : 0); /* /dev/null and two pipes */
        if (got < 0)
            assert_int_equal(test_count_fds(), fds + 2);
    }
    vop_doorbells_close(&end[0]);
    close(sockets[1]);
    assert_int_equal(test_count_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_queue_pairs),
        cmocka_unit_test(test_epoll),
        cmocka_unit_test(test_kick_never_blocks),
        cmocka_unit_test(test_drain_never_blocks),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_half_dead),
        cmocka_unit_test(test_noise_on_the_socket),
        cmocka_unit_test(test_killed_process),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_all_are_cloexec),
        cmocka_unit_test(test_out_of_descriptors),
    };

    return cmocka_run_group_tests(tests, test_guard, NULL);
}
