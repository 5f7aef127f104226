/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_doorbell.c - doorbells: a token is never lost, nothing a peer does makes a call block, its death is heard.
 *
 * Room: tests. ppoll and epoll_wait are wrapped, so that a peer can act between them and the library's next step.
 */
#include "support/fds.h"
#include "support/test.h"

#include "core/clock.h"
#include "wire/doorbell.h"

#include <vopipc/error.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
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

#define ROUNDS 3000u /* it runs in an emulated machine, too */

static struct vop__doorbells end[2];
static bool one_bell; /* for both events of a pair, at either end */

static void open_pair(unsigned pairs0, unsigned pairs1)
{
    unsigned pairs = pairs0 < pairs1 ? pairs0 : pairs1;
    int sockets[2], fds[2 * VOP_QUEUE_PAIRS_MAX];

    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) == 0);
    check(vop__doorbells_open(&end[0], sockets[0], pairs0, one_bell) == 0);
    check(vop__doorbells_open(&end[1], sockets[1], pairs1, one_bell) == 0);
    for (unsigned i = 0; i < 2; i++) {
        unsigned count = vop__doorbells_give(&end[i], pairs, fds);

        check(count == 2 * pairs);
        for (unsigned j = 0; j < count; j++) {
            fds[j] = fcntl(fds[j], F_DUPFD_CLOEXEC, 0);
            check(fds[j] >= 0);
        }
        check(vop__doorbells_take(&end[1 - i], fds, pairs) == 0);
    }
    vop__doorbells_given(&end[0]);
    vop__doorbells_given(&end[1]);
}

static void close_pair(void)
{
    vop__doorbells_close(&end[0]);
    vop__doorbells_close(&end[1]);
}

static int open_epoll(struct vop__doorbells *d)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    check(fd >= 0 && vop__doorbells_watch(d, 0, fd) == 0);
    return fd;
}

static void test_tokens(void **state)
{
    unsigned fds = test_count_fds();

    (void)state;
    open_pair(1, 1);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 0), 0);
    vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
    vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_SLOTS, 0), 0);
    assert_int_equal(vop__doorbells_wait(&end[0], 0, VOP__BELL_MESSAGES, 0), 0); /* not its own */
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 0), 0); /* it took both */
    vop__doorbells_kick(&end[1], 0, VOP__BELL_SLOTS);
    assert_int_equal(vop__doorbells_wait(&end[0], 0, VOP__BELL_MESSAGES, 0), 0);
    assert_int_equal(vop__doorbells_wait(&end[0], 0, VOP__BELL_SLOTS, 0), 1);
    assert_int_equal(vop__doorbells_alive(&end[0]), 0);
    close_pair();
    assert_int_equal(test_count_fds(), fds);
}

static void test_timeout(void **state)
{
    double start = test_seconds();

    (void)state;
    open_pair(1, 1);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 20 * VOP__NS_PER_MS), 0);
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
            vop__doorbells_kick(&end[0], queue, bell);
            for (unsigned i = 0; i < 6; i++)
                assert_int_equal(vop__doorbells_wait(&end[1], i / 2, i % 2, 0), i == 2 * queue + bell);
        }
    }
    assert_int_equal(test_count_fds(), fds + 2 * (1 + 3 * 4)); /* those not in force are closed */
    close_pair();
    assert_int_equal(test_count_fds(), fds);
}

static void test_epoll(void **state)
{
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
    for (unsigned bell = 0; bell < 2; bell++) {
        assert_false(test_readable(fd));
        vop__doorbells_kick(&end[0], 0, bell);
        assert_true(test_readable(fd));
        assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
        assert_false(test_readable(fd));
        assert_int_equal(vop__doorbells_wait(&end[1], 0, bell, 0), 0);
    }
    close(fd);
    close_pair();
}

/* A peer that never takes its tokens, and does all it can with a duplicate of the end that it gave away. */
static void test_kick_never_blocks(void **state)
{
    int kick, smallest = 1, bytes = 0;

    (void)state;
    open_pair(1, 1);
    kick = end[0].bell[0][0].kick;
    assert_int_equal(fcntl(kick, F_SETFL, fcntl(kick, F_GETFL) & ~O_NONBLOCK), 0);
    assert_int_equal(setsockopt(kick, SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest)), 0);
    for (unsigned i = 0; i < 100000; i++)
        vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
    assert_int_equal(ioctl(end[1].bell[0][0].wait, FIONREAD, &bytes), 0);
    assert_in_range(bytes, 1, 4096);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 0), 0);
    for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
        shutdown(kick, how);
        vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES); /* no SIGPIPE */
    }
    close_pair();
}

static void take_all(void)
{
    char bytes[4096];

    while (recv(end[1].bell[0][0].wait, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

/* A token that disappears between the sleeper's poll and its receive, on a description that would block. */
static void test_drain_never_blocks(void **state)
{
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    assert_false(fcntl(end[1].bell[0][0].wait, F_GETFL) & O_NONBLOCK);
    after_poll = take_all;
    for (unsigned i = 0; i < 10; i++) {
        vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
        assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), 1);
        vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
        assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
        assert_false(test_readable(fd));
    }
    after_poll = NULL;
    close(fd);
    close_pair();
}

/* A peer that takes none has this side keep a few of them, and no more. */
static void test_few_tokens(void **state)
{
    int bytes = 0;

    (void)state;
    open_pair(2, 2);
    for (unsigned queue = 0; queue < 2; queue++) {
        for (unsigned i = 0; i < 100; i++)
            vop__doorbells_kick(&end[0], queue, VOP__BELL_MESSAGES);
        assert_int_equal(ioctl(end[1].bell[queue][0].wait, FIONREAD, &bytes), 0);
        assert_in_range(bytes, 1, queue ? 4 : 1);
        assert_int_equal(vop__doorbells_wait(&end[1], queue, VOP__BELL_MESSAGES, VOP__NEVER), 1);
        assert_int_equal(vop__doorbells_wait(&end[1], queue, VOP__BELL_MESSAGES, 0), 0);
        for (unsigned i = 0; i < 20; i++) { /* once they are taken, each rings again */
            vop__doorbells_kick(&end[0], queue, VOP__BELL_MESSAGES);
            assert_int_equal(vop__doorbells_wait(&end[1], queue, VOP__BELL_MESSAGES, VOP__NEVER), 1);
        }
    }
    close_pair();
}

/* An older peer kicks without looking whether there is a token: as many as fit are taken at once. */
static void test_many_tokens(void **state)
{
    unsigned sent = 0;
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    while (send(end[0].bell[0][0].kick, "", 1, MSG_DONTWAIT) == 1)
        sent++;
    assert_in_range(sent, 1, 64);
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
    assert_false(test_readable(fd));
    (void)send(end[0].bell[0][0].kick, "", 1, MSG_OOB | MSG_DONTWAIT); /* not every kernel supports it */
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
    assert_false(test_readable(fd));
    vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES); /* and it still rings */
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), 1);
    close(fd);
    close_pair();
}

/* What is not left there by kicks: a large piece, or a larger buffer that was filled. */
static void test_stuffed(void **state)
{
    static char bytes[65536];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        int fd, kick, large = 1 << 20;

        open_pair(1, 1);
        fd = open_epoll(&end[1]);
        kick = end[0].bell[0][0].kick;
        if (i < 2) {
            check(setsockopt(kick, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large)) == 0);
            for (unsigned n = 0; n < 256 + 33; n++)
                check(send(kick, bytes, 1, MSG_DONTWAIT) == 1);
        } else {
            check(send(kick, bytes, sizeof(bytes), MSG_DONTWAIT) > 256);
        }
        if (i % 2)
            assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), -EPROTO);
        else
            assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -EPROTO);
        assert_non_null(strstr(vop_error_text(), "it filled a doorbell"));
        close(fd);
        close_pair();
    }
}

/* Sends a token of kind `flags` with `fd` beside it. */
static int send_with_fd(int socket, int fd, int flags)
{
    return fds_send(socket, "", 1, &fd, 1, MSG_DONTWAIT | flags) == 1 ? 0 : -1;
}

static bool has_urgent_bytes(void)
{
    int ends[2];
    bool sent;

    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    sent = send(ends[0], "", 1, MSG_OOB) == 1;
    close(ends[0]);
    close(ends[1]);
    return sent;
}

/*
 * Descriptors sent with tokens: throwing one away could mean to wait for its close for ever. So they stay where they
 * are, and the peer is taken for dead. Where the system can refuse them (SO_PASSRIGHTS), it does; here that is undone.
 */
static void test_descriptors_for_tokens(void **state)
{
    static const int flags[] = {0, MSG_OOB};
    const unsigned kinds = has_urgent_bytes() ? 2 : 1;

    (void)state;
    for (unsigned i = 0; i < 2 * kinds; i++) {
        int option = 83 /* SO_PASSRIGHTS */, yes = 1, other, trap, fd;
        unsigned fds;

        open_pair(1, 1);
        fd = open_epoll(&end[1]);
        trap = fds_lingering(&other);
        fds = test_count_fds();
        if (send_with_fd(end[0].bell[0][0].kick, trap, flags[i % kinds]) < 0) {
            assert_int_equal(errno, EPERM);
            check(setsockopt(end[1].bell[0][0].wait, SOL_SOCKET, option, &yes, sizeof(yes)) == 0);
            end[1].bell[0][0].refuses_fds = false;
            check(send_with_fd(end[0].bell[0][0].kick, trap, flags[i % kinds]) == 0);
        }
        close(trap);
        if (i / kinds == 0)
            assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
        else
            assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -ECONNRESET);
        assert_int_equal(test_count_fds(), fds - 1);
        close(other); /* nothing to linger for any more */
        close(fd);
        close_pair();
    }
}

static void test_death(void **state)
{
    int fd;

    (void)state;
    for (unsigned token = 0; token < 2; token++) {
        open_pair(1, 1);
        fd = open_epoll(&end[1]);
        if (token)
            vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
        assert_int_equal(vop__doorbells_alive(&end[1]), 0);
        vop__doorbells_close(&end[0]);
        assert_true(test_readable(fd));
        assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -ECONNRESET);
        assert_int_equal(vop__doorbells_alive(&end[1]), -ECONNRESET);
        assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
        assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_SLOTS, VOP__NEVER), -ECONNRESET);
        assert_true(test_readable(fd));                      /* it stays so */
        vop__doorbells_kick(&end[1], 0, VOP__BELL_MESSAGES); /* no SIGPIPE, no error */
        vop__doorbells_kick(&end[1], 0, VOP__BELL_SLOTS);
        close(fd);
        vop__doorbells_close(&end[1]);
    }
}

/* Each alone is a death: the socket hangs up with all doorbells open, or a doorbell cannot ring any more. */
static void test_half_dead(void **state)
{
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    shutdown(end[0].socket, SHUT_WR);
    assert_true(test_readable(fd));
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -ECONNRESET);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
    assert_int_equal(vop__doorbells_alive(&end[1]), -ECONNRESET);
    close(fd);
    close_pair();

    for (unsigned how = 0; how < 3; how++) {
        open_pair(1, 1);
        fd = open_epoll(&end[1]);
        if (how == 0)
            close(end[0].bell[0][VOP__BELL_SLOTS].kick);
        else
            shutdown(end[0].bell[0][VOP__BELL_SLOTS].kick, how == 1 ? SHUT_WR : SHUT_RDWR);
        if (how == 0)
            end[0].bell[0][VOP__BELL_SLOTS].kick = -1;
        assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 0), 0);
        assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_SLOTS, VOP__NEVER), -ECONNRESET);
        assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -ECONNRESET);
        assert_int_equal(vop__doorbells_alive(&end[1]), 0);
        close(fd);
        close_pair();
    }
}

/* After UP nothing is read from the socket; what a peer still sends there must not keep anybody awake. */
static void test_noise_on_the_socket(void **state)
{
    double start;
    int fd;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    assert_int_equal(send(end[0].socket, "noise", 5, 0), 5);
    assert_false(test_readable(fd));
    assert_int_equal(vop__doorbells_alive(&end[1]), 0);
    start = test_seconds();
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 20 * VOP__NS_PER_MS), 0);
    assert_true(test_seconds() - start >= 0.02);
    close(fd);
    close_pair();
}

/* As the system closes them, for one process of those that have them: without a word to the peer. */
static void close_copies(const struct vop__doorbells *d)
{
    close(d->socket);
    for (unsigned bell = 0; bell < (one_bell ? 1 : VOP__BELLS); bell++) {
        close(d->bell[0][bell].wait);
        close(d->bell[0][bell].kick);
    }
}

static void test_killed_process(void **state)
{
    double start;
    pid_t child;

    (void)state;
    open_pair(1, 1);
    child = test_child();
    if (child == 0) {
        close_copies(&end[1]);
        for (;;)
            pause();
    }
    close_copies(&end[0]);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 10 * VOP__NS_PER_MS), 0);
    start = test_seconds();
    kill(child, SIGKILL);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), -ECONNRESET);
    assert_true(test_seconds() - start < 5);
    waitpid(child, NULL, 0);
    vop__doorbells_close(&end[1]);
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
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, VOP__NEVER), -EINTR);
    pthread_join(thread, NULL);
    close_pair();
}

static int named_socket(bool far_end)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(a.sun_family); /* the kernel chooses an abstract name */
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int near = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), far;

    check(bind(listener, (struct sockaddr *)&a, size) == 0 && listen(listener, 1) == 0);
    size = sizeof(a);
    check(getsockname(listener, (struct sockaddr *)&a, &size) == 0);
    check(connect(near, (struct sockaddr *)&a, size) == 0);
    far = accept(listener, NULL, NULL);
    close(listener);
    close(far_end ? near : far);
    return far_end ? far : near;
}

static int one_of_a_pair(int domain, int type)
{
    int ends[2];

    check(socketpair(domain, type | SOCK_CLOEXEC, 0, ends) == 0);
    close(ends[1]);
    return ends[0];
}

static int by_path(int fd)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_PATH | O_CLOEXEC);
}

/* What a peer may pass instead of the kicking end of a doorbell. Nothing is taken then. */
static void test_wrong_types(void **state)
{
    struct vop__doorbells d;
    int sockets[2], pipe_ends[2], good[2], given[2], wrong[12];

    (void)state;
    check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0 && pipe2(pipe_ends, O_CLOEXEC) == 0);
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, good) == 0);
    assert_int_equal(vop__doorbells_open(&d, sockets[0], 1, one_bell), 0);
    wrong[0] = eventfd(0, EFD_CLOEXEC);
    wrong[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
    wrong[2] = sockets[1];
    wrong[3] = pipe_ends[0];
    wrong[4] = pipe_ends[1];
    wrong[5] = by_path(good[0]);
    wrong[6] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    wrong[7] = one_of_a_pair(AF_UNIX, SOCK_DGRAM);
    wrong[8] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* not connected */
    wrong[9] = named_socket(false);
    wrong[10] = named_socket(true);
    wrong[11] = 1000; /* not open */
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        unsigned fds = test_count_fds();

        for (unsigned place = 0; place < 2; place++) {
            given[place] = wrong[i];
            given[1 - place] = good[0];
            assert_int_equal(vop__doorbells_take(&d, given, 1), -EPROTO);
            assert_int_equal(d.bell[0][0].kick, -1);
            assert_int_equal(d.bell[0][1].kick, -1);
        }
        assert_int_equal(test_count_fds(), fds);
    }
    assert_int_equal(vop__doorbells_take(&d, good, 1), 0);
    vop__doorbells_close(&d);
    for (size_t i = 0; i < 11; i++)
        close(wrong[i]);
}

static unsigned count_inheritable(void)
{
    unsigned count = 0;

    (void)test_count_fds(); /* those of the last test are closed by now */
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

/* With any number of descriptors left, opening fails cleanly; the socket stays the caller's. */
static void test_out_of_descriptors(void **state)
{
    unsigned fds = test_count_fds();
    int sockets[2], got = -EMFILE;

    (void)state;
    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    for (int more = 0; more < 10 && got < 0; more++) {
        test_limit_fds(more);
        got = vop__doorbells_open(&end[0], sockets[0], 1, one_bell);
        test_limit_fds(-1);
        assert_int_equal(got, more < (one_bell ? 2 : 4) ? -EMFILE : 0); /* each has two ends */
        if (got < 0)
            assert_int_equal(test_count_fds(), fds + 2);
    }
    vop__doorbells_close(&end[0]);
    close(sockets[1]);
    assert_int_equal(test_count_fds(), fds);
}

/* ---- One doorbell for both events ---- */

static void test_one_for_both(void **state)
{
    unsigned fds = test_count_fds();

    (void)state;
    open_pair(2, 2);
    assert_int_equal(test_count_fds(), fds + 2 * (1 + 2 * 2)); /* the socket, and both ends for each pair */
    vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
    assert_int_equal(vop__doorbells_wait(&end[1], 1, VOP__BELL_SLOTS, 0), 0); /* another pair's */
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_SLOTS, VOP__NEVER), 1);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_SLOTS, 0), 0);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 0), 1); /* for which it may have been */
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_MESSAGES, 0), 0);
    close_pair();
    assert_int_equal(test_count_fds(), fds);
}

/* An event loop asks for tokens first. No number of them hides that the socket has hung up. */
static void test_tokens_in_a_loop(void **state)
{
    unsigned heard = 0;
    int fd, ret = 0;

    (void)state;
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    for (unsigned i = 0; i < 20; i++) {
        vop__doorbells_kick(&end[0], 0, VOP__BELL_SLOTS);
        assert_true(test_readable(fd));
        assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0);
        assert_false(test_readable(fd));
        assert_int_equal(vop__doorbells_process(&end[1], 0, fd), 0); /* for nothing */
    }
    shutdown(end[0].socket, SHUT_WR);
    while (ret == 0 && heard++ < 64) {
        vop__doorbells_kick(&end[0], 0, VOP__BELL_MESSAGES);
        ret = vop__doorbells_process(&end[1], 0, fd);
    }
    assert_int_equal(ret, -ECONNRESET);
    close(fd);
    close_pair();
    open_pair(1, 1);
    fd = open_epoll(&end[1]);
    close(end[0].bell[0][0].kick); /* nobody can ring any more */
    end[0].bell[0][0].kick = end[0].bell[0][1].kick = -1;
    assert_int_equal(vop__doorbells_process(&end[1], 0, fd), -ECONNRESET);
    close(fd);
    close_pair();
}

/* Each side decides for its own. */
static void test_one_and_two(void **state)
{
    unsigned fds = test_count_fds();
    int sockets[2], ends[2];

    (void)state;
    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    check(vop__doorbells_open(&end[0], sockets[0], 1, true) == 0 &&
          vop__doorbells_open(&end[1], sockets[1], 1, false) == 0);
    for (unsigned i = 0; i < 2; i++) {
        check(vop__doorbells_give(&end[i], 1, ends) == 2);
        for (unsigned j = 0; j < 2; j++)
            ends[j] = fcntl(ends[j], F_DUPFD_CLOEXEC, 0);
        assert_int_equal(vop__doorbells_take(&end[1 - i], ends, 1), 0);
        vop__doorbells_given(&end[i]);
    }
    assert_int_equal(test_count_fds(), fds + 2 * 1 + 2 + 4);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(end[i].bell[0][1].refuses_fds, end[i].bell[0][0].refuses_fds);
        vop__doorbells_kick(&end[1 - i], 0, VOP__BELL_MESSAGES);
        assert_int_equal(vop__doorbells_wait(&end[i], 0, VOP__BELL_SLOTS, 0), i == 0);
    }
    close_pair();
    assert_int_equal(test_count_fds(), fds);
}

struct sleeper {
    pthread_t thread;
    enum vop__bell bell;
    uint32_t published, seen; /* atomic */
    int64_t timeout_ns;
    int ret;
};

/* As a channel does: arms, which is to look once more, and sleeps. */
static void *sleep_for_all(void *arg)
{
    struct sleeper *s = arg;
    uint32_t seen = 0;

    while (seen < ROUNDS) {
        uint32_t now = __atomic_load_n(&s->published, __ATOMIC_SEQ_CST);

        if (now == seen)
            check(vop__doorbells_wait(&end[1], 0, s->bell, VOP__NEVER) == 1);
        seen = now;
        __atomic_store_n(&s->seen, seen, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* Two threads sleep on it at once, and neither misses a kick. */
static void test_two_sleepers(void **state)
{
    struct sleeper s[2] = {{.bell = VOP__BELL_MESSAGES}, {.bell = VOP__BELL_SLOTS}};
    uint64_t seed = 7;

    (void)state;
    open_pair(1, 1);
    for (unsigned i = 0; i < 2; i++)
        check(pthread_create(&s[i].thread, NULL, sleep_for_all, &s[i]) == 0);
    while (s[0].published + s[1].published < 2 * ROUNDS) {
        unsigned i = s[0].published == ROUNDS || (s[1].published < ROUNDS && test_random(&seed) % 2);

        __atomic_store_n(&s[i].published, s[i].published + 1, __ATOMIC_SEQ_CST);
        vop__doorbells_kick(&end[0], 0, s[i].bell);
        /* Often until it was seen, so that both sleep; the other may be anywhere. */
        while (test_random(&seed) % 8 && __atomic_load_n(&s[i].seen, __ATOMIC_SEQ_CST) < s[i].published)
            sched_yield();
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(s[i].thread, NULL);
    close_pair();
}

static void *sleep_once(void *arg)
{
    struct sleeper *s = arg;

    s->ret = vop__doorbells_wait(&end[1], 0, s->bell, s->timeout_ns);
    return NULL;
}

/* Two threads sleep, the first on the doorbell and the second on the first. */
static void start_two(struct sleeper s[2], int64_t timeout_ns)
{
    struct vop__turns *t = &end[1].turns[0];

    for (unsigned i = 0; i < 2; i++) {
        s[i] = (struct sleeper){.bell = i ? VOP__BELL_SLOTS : VOP__BELL_MESSAGES,
                                .timeout_ns = i ? timeout_ns : VOP__NEVER};
        check(pthread_create(&s[i].thread, NULL, sleep_once, &s[i]) == 0);
        while (i ? __atomic_load_n(&t->waiting, __ATOMIC_SEQ_CST) == 0
                 : __atomic_load_n(&t->is_taken, __ATOMIC_SEQ_CST) == 0)
            test_sleep_ms(1);
        test_sleep_ms(5);
    }
}

/* At the latest at the second wait: before that there may be a token. */
static void expect_end(enum vop__bell bell)
{
    int ret = vop__doorbells_wait(&end[1], 0, bell, VOP__NEVER);

    assert_int_equal(ret == 1 ? vop__doorbells_wait(&end[1], 0, bell, VOP__NEVER) : ret, -ECONNRESET);
}

static void test_end_of_both_sleeps(void **state)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sleeper s[2];

    (void)state;
    open_pair(1, 1);
    sigaction(SIGUSR1, &action, NULL);

    start_two(s, 20 * VOP__NS_PER_MS); /* the second only */
    pthread_join(s[1].thread, NULL);
    assert_int_equal(s[1].ret, 0);
    vop__doorbells_kick(&end[0], 0, VOP__BELL_SLOTS);
    pthread_join(s[0].thread, NULL);
    assert_int_equal(s[0].ret, 1);
    assert_int_equal(vop__doorbells_wait(&end[1], 0, VOP__BELL_SLOTS, 0), 1);

    start_two(s, VOP__NEVER);
    pthread_kill(s[1].thread, SIGUSR1);
    pthread_join(s[1].thread, NULL);
    assert_int_equal(s[1].ret, -EINTR);
    pthread_kill(s[0].thread, SIGUSR1);
    pthread_join(s[0].thread, NULL);
    assert_int_equal(s[0].ret, -EINTR);
    end[1].bell[0][VOP__BELL_SLOTS].has_token = 0;

    start_two(s, VOP__NEVER); /* the first leaves, and the second takes its place */
    pthread_kill(s[0].thread, SIGUSR1);
    pthread_join(s[0].thread, NULL);
    pthread_join(s[1].thread, NULL);
    assert_int_equal(s[0].ret, -EINTR);
    assert_int_equal(s[1].ret, 1); /* it looks whether that was for it */

    start_two(s, VOP__NEVER);
    vop__doorbells_close(&end[0]);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(s[i].thread, NULL);
        assert_int_equal(s[i].ret, i ? 1 : -ECONNRESET);
        expect_end(s[i].bell);
    }
    vop__doorbells_close(&end[1]);
}

/* Every wait of this side ends, now and from now on, though the peer lives. */
static void test_interrupt_both(void **state)
{
    struct sleeper s[2];

    (void)state;
    open_pair(1, 1);
    start_two(s, VOP__NEVER);
    vop__doorbells_interrupt(&end[1]);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(s[i].thread, NULL);
        assert_int_not_equal(s[i].ret, 0);
        expect_end(s[i].bell);
    }
    close_pair();
}

static int one_for_both(void **state)
{
    one_bell = true;
    return test_guard(state);
}

int main(void)
{
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_queue_pairs),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_half_dead),
    };
    const struct CMUnitTest shared[] = {
        cmocka_unit_test(test_one_for_both),       cmocka_unit_test(test_one_and_two),
        cmocka_unit_test(test_tokens_in_a_loop),   cmocka_unit_test(test_two_sleepers),
        cmocka_unit_test(test_end_of_both_sleeps), cmocka_unit_test(test_interrupt_both),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_epoll),
        cmocka_unit_test(test_kick_never_blocks),
        cmocka_unit_test(test_drain_never_blocks),
        cmocka_unit_test(test_few_tokens),
        cmocka_unit_test(test_many_tokens),
        cmocka_unit_test(test_stuffed),
        cmocka_unit_test(test_descriptors_for_tokens),
        cmocka_unit_test(test_noise_on_the_socket),
        cmocka_unit_test(test_killed_process),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_all_are_cloexec),
        cmocka_unit_test(test_out_of_descriptors),
    };

    int failed = cmocka_run_group_tests_name("a doorbell for each event", alone, test_guard, NULL);

    failed += cmocka_run_group_tests_name("the same", tests, test_guard, NULL);
    failed += cmocka_run_group_tests_name("one for both", tests, one_for_both, NULL);
    failed += cmocka_run_group_tests_name("one for both, shared", shared, one_for_both, NULL);
    return failed;
}
