/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_doorbells.c - what a peer can do to doorbells: nothing of it may block, spin or leak.
 *
 * Room: tests. PROTOCOL.md, Doorbells. What blocks here blocks for ever, and the guard of the stage ends it.
 */
#include "hostile/util_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A descriptor that polls readable again and again, with nothing to do, would keep a loop busy. */
static void expect_quiet(vop_channel *c)
{
    struct pollfd fd = {.fd = vop_channel_fd(c), .events = POLLIN};

    assert_int_equal(vop_channel_arm(c, VOP_ARM_RECV), 0);
    assert_int_equal(poll(&fd, 1, 5), 0);
}

static void close_bell(int *fd)
{
    close(*fd);
    *fd = -1;
}

/* The peer closes its sleeping ends, or the kicking ends that it was given. */
static void test_closed_doorbells(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned i = 0; i < 2 * ROLES; i++) {
        bool kicking = i / ROLES;
        struct peer p;
        vop_channel *c = stage_link(&s, i % ROLES, &p);
        char byte;
        long start;

        for (unsigned b = 0; b < PEER_BELLS; b++)
            close_bell(kicking ? &p.kick[b] : &p.wait[b]);
        assert_int_equal(vop_channel_send(c, "x", 1, 0), 0); /* a kick that nobody can hear */
        start = stage_ms();
        if (kicking)
            assert_int_equal(stage_soon((int)vop_channel_recv(c, &byte, 1, -1), start), -ECONNRESET);
        else
            assert_int_equal(stage_soon((int)vop_channel_recv(c, &byte, 1, 50), start), -EAGAIN);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* Half of a doorbell: what the sleeper cannot hear any more is a death, all else is the peer's own affair. */
static void test_shut_down_doorbells(void **state)
{
    static const int how[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned i = 0; i < 6; i++) {
        bool kicking = i / 3;
        bool dead = kicking && how[i % 3] != SHUT_RD;
        struct peer p;
        vop_channel *c = stage_link(&s, ROLE_ACCEPTOR, &p);
        struct vop_channel_stats stats = {.struct_size = sizeof(stats)};
        char byte;
        long start;

        for (unsigned b = 0; b < PEER_BELLS; b++)
            assert_int_equal(shutdown(kicking ? p.kick[b] : p.wait[b], how[i % 3]), 0);
        stage_expect_traffic(&p, c);
        start = stage_ms();
        assert_int_equal(stage_soon((int)vop_channel_recv(c, &byte, 1, dead ? -1 : 50), start),
                         dead ? -ECONNRESET : -EAGAIN);
        assert_int_equal(vop_channel_process(c), dead ? -ECONNRESET : 0);
        assert_int_equal(vop_channel_get_stats(c, &stats), 0);
        assert_true(stats.sleeps <= 3); /* it did not run in circles */
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* The peer takes no token and kicks without asking: full doorbells are no harm, and all is taken at once. */
static void test_full_doorbells(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum role role = 0; role < ROLES; role++) {
        struct peer p;
        vop_channel *c = stage_link(&s, role, &p);

        for (unsigned b = 0; b < PEER_BELLS; b++) {
            while (send(p.kick[b], "", 1, MSG_DONTWAIT) == 1)
                continue;
        }
        for (unsigned n = 0; n < 1000; n++)
            stage_expect_traffic(&p, c);
        assert_int_equal(vop_channel_process(c), 0);
        expect_quiet(c);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* More than kicks can leave there has one reason, to cost wake-ups: the link ends. */
static void test_stuffed_doorbells(void **state)
{
    static const int sizes[] = {0, 1 << 30};
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned i = 0; i < 2 * ROLES; i++) {
        struct peer p;
        vop_channel *c = stage_link(&s, i % ROLES, &p);
        static char junk[65536];
        char byte;

        if (sizes[i / ROLES])
            assert_int_equal(setsockopt(p.kick[1], SOL_SOCKET, SO_SNDBUF, &sizes[i / ROLES], sizeof(int)), 0);
        assert_true(send(p.kick[1], junk, sizeof(junk), MSG_DONTWAIT) > 0);
        assert_int_equal(vop_channel_process(c), -EPROTO);
        assert_int_equal(vop_channel_recv(c, &byte, 1, -1), -EPROTO);
        assert_int_equal(vop_channel_send(c, "x", 1, -1), -EPROTO);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* ---- A doorbell that many watch ---- */

#define WATCHED_FDS 400
#define WATCHED_SETS 250
#define WATCHES_MIN 20000 /* with fewer a kick, or taking a token, may take less than a millisecond */

/* Epoll instances that each watch an end of the peer's many times over. */
struct crowd {
    int copies[WATCHED_FDS], sets[WATCHED_SETS];
    unsigned copy_count, set_count, watches;
};

static void gather(struct crowd *crowd, int fd, uint32_t events)
{
    *crowd = (struct crowd){0};
    while (crowd->copy_count < WATCHED_FDS && (crowd->copies[crowd->copy_count] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        crowd->copy_count++;
    while (crowd->set_count < WATCHED_SETS && (crowd->sets[crowd->set_count] = epoll_create1(EPOLL_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = events | EPOLLET};

        for (unsigned i = 0; i < crowd->copy_count; i++)
            crowd->watches += epoll_ctl(crowd->sets[crowd->set_count], EPOLL_CTL_ADD, crowd->copies[i], &event) == 0;
        crowd->set_count++;
    }
}

static void disperse(const struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->set_count; i++)
        close(crowd->sets[i]);
    for (unsigned i = 0; i < crowd->copy_count; i++)
        close(crowd->copies[i]);
}

/* The peer watches its own end (kicks are dear), or the end that it kicks at (taking is): the link ends after a while.
 */
static void test_watched_doorbells(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (unsigned i = 0; i < 2; i++) {
        bool kicking = i == 1;
        unsigned rounds = 0;
        struct crowd crowd;
        struct peer p;
        vop_channel *c = stage_link(&s, ROLE_ACCEPTOR, &p);
        int ret = 0;
        char byte;

        gather(&crowd, kicking ? p.kick[0] : p.wait[0], kicking ? EPOLLOUT : EPOLLIN);
        for (; rounds < 100 && ret >= 0; rounds++) {
            peer_put32(&p, p.areas.used_event, p.taken); /* the very next message kicks */
            if (kicking)
                assert_int_equal(peer_push(&p, "a", 1), 0);
            else
                ret = vop_channel_send(c, "b", 1, 0);
            if (kicking && ret >= 0)
                ret = vop_channel_process(c);
            if (kicking && ret >= 0)
                ret = (int)vop_channel_recv(c, &byte, 1, 0);
            else
                (void)(recv(p.wait[0], &byte, 1, MSG_DONTWAIT) + peer_pull(&p, &byte, 1));
        }
        if (crowd.watches >= WATCHES_MIN) {
            assert_int_equal(ret, -EPROTO);
            assert_in_range(rounds, 32, 40);
        } else {
            print_message("    only %u watches can be had\n", crowd.watches);
        }
        disperse(&crowd);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

static void clear_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    assert_true(flags >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
}

static void test_cleared_nonblock(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum role role = 0; role < ROLES; role++) {
        struct peer p;
        vop_channel *c = stage_link(&s, role, &p);
        char byte;

        for (unsigned b = 0; b < PEER_BELLS; b++) {
            clear_nonblock(p.kick[b]);
            clear_nonblock(p.wait[b]);
        }
        clear_nonblock(p.half_fd[0]);
        clear_nonblock(p.half_fd[1]);
        clear_nonblock(p.socket);
        for (unsigned i = 0; i < 1000; i++)
            stage_expect_traffic(&p, c);
        assert_int_equal(vop_channel_process(c), 0);
        assert_int_equal(vop_channel_process(c), 0); /* with empty doorbells */
        assert_int_equal(vop_channel_recv(c, &byte, 1, 50), -EAGAIN);
        for (unsigned i = 0; i < STAGE_QUEUE_SIZE; i++)
            assert_int_equal(vop_channel_send(c, "x", 1, 0), 0);
        assert_int_equal(vop_channel_send(c, "x", 1, 50), -EAGAIN);
        stage_end(&s, &p, c);
    }
    stage_close(&s);
}

/* The peer keeps a duplicate of the end that the library kicks at, and reads, shrinks and shuts down what it likes. */
static void test_shared_kicking_end(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;
    int mine[PEER_BELLS], smallest = 1, offset = 0;
    char bytes[64];

    (void)state;
    stage_open(&s, 2000, 8);
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    for (unsigned b = 0; b < PEER_BELLS; b++)
        mine[b] = fcntl(p.give[b], F_DUPFD_CLOEXEC, 0);
    c = stage_finish(&s, &p);
    for (unsigned b = 0; b < PEER_BELLS; b++) {
        assert_true(mine[b] >= 0);
        clear_nonblock(mine[b]);
        (void)setsockopt(mine[b], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest));
        (void)setsockopt(mine[b], SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset));
        (void)send(p.wait[b], bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL); /* the wrong way */
    }
    for (unsigned i = 0; i < 1000; i++) {
        stage_expect_traffic(&p, c);
        (void)recv(mine[i % PEER_BELLS], bytes, 1, MSG_DONTWAIT | (i % 2 ? MSG_PEEK : 0));
    }
    for (unsigned b = 0; b < PEER_BELLS; b++)
        shutdown(mine[b], SHUT_RDWR);
    stage_expect_traffic(&p, c);
    assert_int_equal(vop_channel_recv(c, bytes, 1, 50), -EAGAIN); /* nobody is dead: the peer can still kick */
    for (unsigned b = 0; b < PEER_BELLS; b++)
        close(mine[b]);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* Descriptors instead of tokens, the doorbells' own among them: the system refuses them, or the peer is dead. */
static void test_descriptors_in_doorbells(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;
    int fds[16], before;
    bool refused = true;
    char byte;

    (void)state;
    stage_open(&s, 2000, 8);
    c = stage_link(&s, ROLE_ACCEPTOR, &p);
    assert_true(vop_channel_fd(c) >= 0);
    before = stage_fds();
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned j = 0; j < 16; j++)
            fds[j] = p.kick[j % PEER_BELLS];
        if (peer_send(p.kick[0], "x", 1, fds, 16) == 0)
            refused = false;
        assert_int_equal(vop_channel_recv(c, &byte, 1, 1), refused ? -EAGAIN : -ECONNRESET);
        assert_int_equal(vop_channel_process(c), refused ? 0 : -ECONNRESET);
    }
    assert_int_equal(stage_fds(), before);
    if (refused)
        stage_expect_traffic(&p, c);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/* A descriptor whose close waits, in the queue of the end at which the library kicks: closing the channel does not. */
static void test_trap_in_the_kicking_end(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, 2000, 8);
    for (enum role role = 0; role < ROLES; role++) {
        struct peer p;
        vop_channel *c = stage_link(&s, role, &p);
        int other, trap = fds_lingering(&other);
        long start;

        assert_true(trap >= 0);
        for (unsigned b = 0; b < PEER_BELLS; b++)
            assert_int_equal(peer_send(p.wait[b], "x", 1, &trap, 1), 0);
        close(trap);
        peer_close(&p);
        start = stage_ms();
        vop_channel_close(c);
        (void)stage_soon(0, start);
        (void)stage_expect_honest(&s);
        close(other);
        stage_expect_service(&s);
    }
    stage_close(&s);
}

/* Tokens without end: the caller's timeout counts all the same. */
struct ringer {
    struct peer *peer;
    bool stop; /* atomic */
};

static void *ring(void *argument)
{
    struct ringer *r = argument;

    while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
        peer_kick(r->peer, 0);
        peer_kick(r->peer, 1);
    }
    return NULL;
}

static void test_ringing_without_end(void **state)
{
    struct stage s;
    struct peer p;
    struct ringer r = {.peer = &p};
    vop_channel *c;
    pthread_t thread;
    char byte;
    long start;

    (void)state;
    stage_open(&s, 2000, 8);
    c = stage_link(&s, ROLE_ACCEPTOR, &p);
    assert_int_equal(pthread_create(&thread, NULL, ring, &r), 0);
    start = stage_ms();
    assert_int_equal(stage_soon((int)vop_channel_recv(c, &byte, 1, 100), start), -EAGAIN);
    for (unsigned i = 0; i < STAGE_QUEUE_SIZE; i++)
        assert_int_equal(vop_channel_send(c, "x", 1, 0), 0);
    start = stage_ms();
    assert_int_equal(stage_soon(vop_channel_send(c, "x", 1, 100), start), -EAGAIN);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(vop_channel_process(c), 0);
    __atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    stage_end(&s, &p, c);
    stage_close(&s);
}

/*
 * The kernel lets a reader fault while it holds a lock, and whoever serves the fault (userfaultfd with the right to, or
 * FUSE without any) decides how long that takes. A peer that faults in a receive at either end of a doorbell must not
 * hold up who kicks it.
 */
struct fault {
    int fd;
    char *page;
    int bell;
    bool peek;
};

static void *receive_into_fault(void *argument)
{
    const struct fault *f = argument;

    return (void *)(intptr_t)recv(f->bell, f->page, 1, f->peek ? MSG_PEEK : 0); /* NOLINT(performance-no-int-to-ptr) */
}

static bool make_fault(struct fault *f)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register r = {.mode = UFFDIO_REGISTER_MODE_MISSING};

    f->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0)
        return false;
    f->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    r.range.start = (unsigned long)f->page;
    r.range.len = 4096;
    return f->page != MAP_FAILED && ioctl(f->fd, UFFDIO_API, &api) == 0 && ioctl(f->fd, UFFDIO_REGISTER, &r) == 0;
}

/* Waits until somebody is in the fault, and stays there: from now on the lock is held. */
static void await_fault(const struct fault *f)
{
    struct pollfd fd = {.fd = f->fd, .events = POLLIN};
    struct uffd_msg msg;

    assert_int_equal(poll(&fd, 1, 5000), 1);
    assert_int_equal(read(f->fd, &msg, sizeof(msg)), sizeof(msg));
    assert_int_equal(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void serve_fault(const struct fault *f)
{
    struct uffdio_zeropage z = {.range = {(unsigned long)f->page, 4096}};

    assert_int_equal(ioctl(f->fd, UFFDIO_ZEROPAGE, &z), 0);
}

/* Kicks while a receive at `bell` hangs in a fault. */
static void kick_beside_fault(struct fault *f, struct peer *p, vop_channel *c, int bell, bool peek)
{
    pthread_t reader;
    void *received;
    char byte;

    f->bell = bell;
    f->peek = peek;
    assert_int_equal(madvise(f->page, 4096, MADV_DONTNEED), 0);
    assert_int_equal(pthread_create(&reader, NULL, receive_into_fault, f), 0);
    await_fault(f);
    for (unsigned i = 0; i < 10; i++)
        stage_expect_traffic(p, c);
    assert_int_equal(vop_channel_recv(c, &byte, 1, 10), -EAGAIN);
    assert_int_equal(vop_channel_process(c), 0);
    serve_fault(f);
    pthread_join(reader, &received);
    assert_int_equal((intptr_t)received, 1);
}

static void test_fault_under_the_lock(void **state)
{
    struct stage s;
    struct peer p;
    vop_channel *c;
    struct fault f = {0};
    int shared;

    (void)state;
    stage_open(&s, 2000, 8);
    if (!make_fault(&f)) {
        print_message("    no userfaultfd for this user: left out\n");
        stage_close(&s);
        skip();
    }
    s.fds++; /* the userfaultfd */
    peer_init(&p, 1, STAGE_QUEUE_SIZE, STAGE_SLOT_SIZE);
    stage_dial(&s, &p);
    shared = fcntl(p.give[0], F_DUPFD_CLOEXEC, 0); /* of the end that the library kicks at */
    c = stage_finish(&s, &p);
    assert_int_equal(vop_channel_send(c, "x", 1, 0), 0); /* the first publication kicks: there is a token to receive */
    assert_int_equal(peer_pull(&p, (char[1]){0}, 1), 1);
    for (unsigned i = 0; i < 4; i++) { /* receiving and peeking, at the sleeping end and at the kicking end */
        if (i >= 2)
            assert_int_equal(send(p.wait[0], "", 1, MSG_DONTWAIT), 1);
        kick_beside_fault(&f, &p, c, i < 2 ? p.wait[0] : shared, i % 2 == 0);
    }
    munmap(f.page, 4096);
    close(shared);
    stage_end(&s, &p, c);
    close(f.fd);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_doorbells),        cmocka_unit_test(test_shut_down_doorbells),
        cmocka_unit_test(test_full_doorbells),          cmocka_unit_test(test_stuffed_doorbells),
        cmocka_unit_test(test_watched_doorbells),       cmocka_unit_test(test_cleared_nonblock),
        cmocka_unit_test(test_shared_kicking_end),      cmocka_unit_test(test_descriptors_in_doorbells),
        cmocka_unit_test(test_ringing_without_end),     cmocka_unit_test(test_fault_under_the_lock),
        cmocka_unit_test(test_trap_in_the_kicking_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
