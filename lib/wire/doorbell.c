/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.c - doorbells made of socket pairs, and a socket whose hang-up is the peer's death.
 *
 * Room: wire.
 */
#include "wire/doorbell.h"

#include "core/clock.h"
#include "core/error.h"
#include "sys/closer.h"
#include "sys/futex.h"
#include "wire/socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TOKENS_MAX 256               /* a kick is a byte, and the buffer has room for a few of them: see make_bell() */
#define SLOW_NS (1 * VOP__NS_PER_MS) /* for a kick, which takes some microseconds */
#define SLOW_MAX 8

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/*
 * The kicking end's buffer is as small as the system allows: a few kicks fill it, and a full one wakes as well. The
 * peer can make it larger, and send in larger pieces, but has no reason to.
 */
static int make_bell(int *ret_wait, int *ret_give)
{
    const int yes = 1, smallest = 1;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return vop__error(errno, "cannot make a doorbell: socketpair: %s; raise the limit of open files (ulimit -n)",
                          strerror(errno));
    vop__socket_refuse_fds(ends[0]);
    (void)setsockopt(ends[0], SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes)); /* see drain() */
    (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest));
    *ret_wait = ends[0];
    *ret_give = ends[1];
    return 0;
}

/* The doorbells in wire order: messages and slots of pair 0, of pair 1, ... */
static struct vop__doorbell *bell_at(struct vop__doorbells *d, unsigned i)
{
    return &d->bell[i / VOP__BELLS][i % VOP__BELLS];
}

int vop__doorbells_open(struct vop__doorbells *d, int socket, unsigned queue_pairs, bool is_shared)
{
    *d = (struct vop__doorbells){.socket = -1, .queue_pairs = queue_pairs};
    for (unsigned i = 0; i < VOP_QUEUE_PAIRS_MAX * VOP__BELLS; i++)
        *bell_at(d, i) = (struct vop__doorbell){.wait = -1, .give = -1, .kick = -1};
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++) {
        int ret = 0;

        if (is_shared && i % VOP__BELLS)
            bell_at(d, i)->wait = bell_at(d, i - 1)->wait;
        else
            ret = make_bell(&bell_at(d, i)->wait, &bell_at(d, i)->give);
        if (ret < 0) {
            vop__doorbells_close(d);
            return ret;
        }
    }
    d->socket = socket;
    return 0;
}

unsigned vop__doorbells_give(struct vop__doorbells *d, unsigned queue_pairs, int *ret_fds)
{
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++)
        ret_fds[i] = bell_at(d, i)->give >= 0 ? bell_at(d, i)->give : ret_fds[i - 1];
    return queue_pairs * VOP__BELLS;
}

void vop__doorbells_given(struct vop__doorbells *d)
{
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++)
        close_fd(&bell_at(d, i)->give);
}

/*
 * One of a pair of stream sockets. Neither end has a name: a peer that is connected to some server's socket could
 * otherwise make this process ring there. Nothing here takes a lock that the peer could hold.
 */
static bool is_doorbell(int fd)
{
    struct sockaddr_un own, other;
    socklen_t own_size = sizeof(own), other_size = sizeof(other);

    return vop__socket_option(fd, SO_DOMAIN) == AF_UNIX && vop__socket_option(fd, SO_TYPE) == SOCK_STREAM &&
           getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 && own_size == sizeof(own.sun_family) &&
           getpeername(fd, (struct sockaddr *)&other, &other_size) == 0 && other_size == sizeof(other.sun_family);
}

/* An end that stands for both events is there twice. */
static void forget_copy(struct vop__doorbell pair[VOP__BELLS])
{
    if (pair[1].wait == pair[0].wait)
        pair[1].wait = -1;
    if (pair[1].kick == pair[0].kick)
        pair[1].kick = -1;
}

/* Each socket has an inode of its own. */
static bool is_same_end(int a, int b)
{
    struct stat one, other;

    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* The peer sleeps on one end for both events. The other descriptor of it stays, so that this is no last close. */
static void take_once(struct vop__doorbell pair[VOP__BELLS])
{
    if (!is_same_end(pair[0].kick, pair[1].kick))
        return;
    close(pair[1].kick);
    pair[1].kick = pair[0].kick;
}

/* The peer offers fewer queue pairs. */
static void drop_pair(struct vop__doorbell pair[VOP__BELLS])
{
    forget_copy(pair);
    for (unsigned bell = 0; bell < VOP__BELLS; bell++) {
        close_fd(&pair[bell].wait);
        close_fd(&pair[bell].give);
    }
}

int vop__doorbells_take(struct vop__doorbells *d, const int *fds, unsigned queue_pairs)
{
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++) {
        if (!is_doorbell(fds[i]))
            return vop__error(EPROTO, "doorbell %u from the peer is not one of a pair of Unix stream sockets", i);
    }
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++)
        bell_at(d, i)->kick = fds[i];
    for (unsigned queue = 0; queue < queue_pairs; queue++)
        take_once(d->bell[queue]);
    for (unsigned queue = queue_pairs; queue < d->queue_pairs; queue++)
        drop_pair(d->bell[queue]);
    d->queue_pairs = queue_pairs;
    return 0;
}

static unsigned give_out(int *fd, int *ret_fds)
{
    if (*fd < 0)
        return 0;
    *ret_fds = *fd;
    *fd = -1;
    return 1;
}

void vop__doorbells_hang_up(const struct vop__doorbells *d)
{
    if (d->socket >= 0)
        shutdown(d->socket, SHUT_RDWR);
}

unsigned vop__doorbells_leave(struct vop__doorbells *d, int *ret_fds)
{
    unsigned count = 0;

    count += give_out(&d->socket, ret_fds);
    for (unsigned queue = 0; queue < VOP_QUEUE_PAIRS_MAX; queue++)
        forget_copy(d->bell[queue]);
    for (unsigned i = 0; i < VOP_QUEUE_PAIRS_MAX * VOP__BELLS; i++) {
        count += give_out(&bell_at(d, i)->wait, ret_fds + count);
        count += give_out(&bell_at(d, i)->give, ret_fds + count);
        count += give_out(&bell_at(d, i)->kick, ret_fds + count);
    }
    return count;
}

void vop__doorbells_close(struct vop__doorbells *d)
{
    int fds[VOP__DOORBELL_FDS];

    vop__doorbells_hang_up(d);
    vop__closer_take(fds, vop__doorbells_leave(d, fds));
}

/*
 * A send wakes each of those who watch the other end, and so does taking a token: how many there are is the peer's
 * choice, and a quarter of a million cost some 30 ms. So each is timed. Time passes for other reasons, too: once it
 * did, the time that counts is that of this thread on its processor, and only if that is too long SLOW_MAX times in a
 * row has the peer done it.
 */
static int64_t read_clock(unsigned slow)
{
    return vop__clock_read(slow > 0 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC);
}

static int judge(unsigned *slow, int64_t start)
{
    *slow = read_clock(*slow) - start > SLOW_NS ? *slow + 1 : 0;
    if (*slow < SLOW_MAX)
        return 0;
    return vop__error(EPROTO, "peer broke the protocol: so many watch its doorbell that each kick takes milliseconds");
}

int vop__doorbells_kick(struct vop__doorbells *d, unsigned queue, enum vop__bell bell)
{
    unsigned *slow = &d->bell[queue][bell].slow_kicks;
    int fd = d->bell[queue][bell].kick;
    int64_t start = read_clock(*slow);
    int untaken = 0;

    /*
     * One token is enough; a peer that never takes any could otherwise keep many, charged to this process. The caller's
     * fence behind the index comes before this look, so that a sleeper which takes that token now sees the index.
     */
    if (*slow >= SLOW_MAX || (ioctl(fd, SIOCOUTQ, &untaken) == 0 && untaken > 0))
        return 0;
    /* Errors harm the peer only. */
    while (send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
    return judge(slow, start);
}

/*
 * Takes all tokens. A receive that throws away a descriptor may wait for its last close (a TCP socket that lingers), so
 * this looks first, and takes only what it has seen. Urgent bytes are inline, or the look would miss what they carry.
 * 0; -ECONNRESET there are descriptors; -EPROTO.
 */
static int drain(int fd, unsigned *slow)
{
    char tokens[TOKENS_MAX];
    struct iovec iov = {.iov_base = tokens, .iov_len = sizeof(tokens)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
    int64_t start;

    if (n < 0)
        return 0;
    if (msg.msg_flags & MSG_CTRUNC)
        return -ECONNRESET;
    if (n == TOKENS_MAX)
        return vop__error(EPROTO, "peer broke the protocol: it filled a doorbell with more than kicks leave there");
    start = read_clock(*slow);
    (void)!recv(fd, tokens, (size_t)n, MSG_DONTWAIT);
    return judge(slow, start);
}

static int sleep_on(struct vop__doorbells *d, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    struct pollfd fds[2] = {{.fd = d->bell[queue][bell].wait, .events = POLLIN | POLLRDHUP},
                            {.fd = d->socket, .events = POLLRDHUP}};
    struct timespec ts = vop__timespec(timeout_ns);
    int n = ppoll(fds, 2, timeout_ns == VOP__NEVER ? NULL : &ts, NULL);

    if (n < 0)
        return errno == EINTR ? -EINTR : -ECONNRESET;
    if (fds[0].revents & POLLIN) {
        int ret = drain(fds[0].fd, &d->bell[queue][bell].slow_takes);

        if (ret < 0)
            return ret;
    }
    /* A doorbell that nobody can ring: the socket is about to hang up, or the peer misbehaves. */
    if (fds[1].revents || (fds[0].revents & ~POLLIN))
        return -ECONNRESET;
    return n > 0;
}

/* Ends a turn. Whatever ended it may be for the other thread as well, or for that alone: it looks again. */
static void end_turn(struct vop__turns *t)
{
    __atomic_store_n(&t->is_taken, 0, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&t->turn, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&t->waiting, __ATOMIC_SEQ_CST) > 0)
        vop__futex_wake(&t->turn);
}

static int await_turn(struct vop__turns *t, uint32_t turn, int64_t timeout_ns)
{
    int ret;

    __atomic_fetch_add(&t->waiting, 1, __ATOMIC_SEQ_CST);
    ret = vop__futex_wait(&t->turn, turn, timeout_ns);
    __atomic_fetch_sub(&t->waiting, 1, __ATOMIC_SEQ_CST);
    return ret;
}

static bool take_token(int *has_token)
{
    return __atomic_exchange_n(has_token, 0, __ATOMIC_SEQ_CST);
}

/*
 * One end for both events of a pair, and perhaps a thread that waits for each. One of them sleeps on the end, and the
 * other on the first: whose token it was cannot be told, so a token that one took is one for the other, too.
 *
 * None is lost. Whoever takes a token leaves the other its own before the turn ends. So the other finds that after it
 * got the turn; or it did not get the turn, and then `turn`, which it has read before, changes only after that.
 */
static int take_turns(struct vop__doorbells *d, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    struct vop__turns *t = &d->turns[queue];
    int *mine = &d->bell[queue][bell].has_token, *others = &d->bell[queue][1 - bell].has_token;
    int64_t deadline = timeout_ns == VOP__NEVER ? VOP__NEVER : vop__clock_ns() + timeout_ns;
    int ret = 0;

    while (ret == 0) {
        uint32_t turn = __atomic_load_n(&t->turn, __ATOMIC_SEQ_CST);

        if (__atomic_exchange_n(&t->is_taken, 1, __ATOMIC_SEQ_CST) == 0) {
            if (take_token(mine)) {
                ret = 1;
            } else {
                ret = sleep_on(d, queue, bell, vop__time_left(deadline));
                if (ret != 0)
                    __atomic_store_n(others, 1, __ATOMIC_SEQ_CST);
            }
            end_turn(t);
            return ret;
        }
        if (take_token(mine))
            return 1;
        ret = await_turn(t, turn, vop__time_left(deadline));
    }
    return ret == -ETIMEDOUT ? 0 : ret;
}

int vop__doorbells_wait(struct vop__doorbells *d, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    const struct vop__doorbell *pair = d->bell[queue];

    return pair[0].wait == pair[1].wait ? take_turns(d, queue, bell, timeout_ns) : sleep_on(d, queue, bell, timeout_ns);
}

int vop__doorbells_alive(struct vop__doorbells *d)
{
    struct pollfd fd = {.fd = d->socket, .events = POLLRDHUP};

    return poll(&fd, 1, 0) > 0 && fd.revents ? -ECONNRESET : 0;
}

#define SOCKET_EVENT UINT32_MAX /* the others are numbers of doorbells, in wire order */

int vop__doorbells_watch(struct vop__doorbells *d, int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.u32 = SOCKET_EVENT};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->socket, &event) < 0)
        return -errno;
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++) {
        event.events = EPOLLIN | EPOLLRDHUP;
        event.data.u32 = i;
        if (i % VOP__BELLS && bell_at(d, i)->wait == bell_at(d, i - 1)->wait)
            continue;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, bell_at(d, i)->wait, &event) < 0)
            return -errno;
    }
    return 0;
}

static int process_event(struct vop__doorbells *d, const struct epoll_event *event)
{
    uint32_t i = event->data.u32;

    if (i == SOCKET_EVENT || (event->events & ~(uint32_t)EPOLLIN))
        return -ECONNRESET;
    return drain(bell_at(d, i)->wait, &bell_at(d, i)->slow_takes);
}

int vop__doorbells_process(struct vop__doorbells *d, int epoll_fd)
{
    struct epoll_event events[8];
    int n = epoll_wait(epoll_fd, events, sizeof(events) / sizeof(events[0]), 0);
    int ret = 0;

    /* If there are more doorbells than fit, the descriptor stays readable and the rest is for the next call. */
    for (int i = 0; i < n && ret != -EPROTO; i++) {
        int end = process_event(d, &events[i]);

        if (end < 0)
            ret = end;
    }
    return ret;
}

/* Nothing more can arrive, so each end stays readable for good. The peer's kicks go nowhere. */
void vop__doorbells_interrupt(struct vop__doorbells *d)
{
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++)
        (void)shutdown(bell_at(d, i)->wait, SHUT_RD);
}
