/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell_sleep.c - ringing doorbells and sleeping on them, by a thread or in an event loop.
 *
 * Room: wire. PROTOCOL.md, Doorbells and Socket bell, is the contract.
 */
#include "core/clock.h"
#include "core/error.h"
#include "sys/futex.h"
#include "sys/message.h"
#include "wire/doorbell.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define TOKENS_MAX 256 /* a kick is a byte, and the buffer has room for a few of them: doorbell.c */
#define TOKENS_LEFT_MAX 32
#define SLOW_NS (1 * VOP__NS_PER_MS) /* for a kick, which takes some microseconds */
#define SLOW_MAX 32
#define TIMED_EVERY 64 /* kicks of the socket, or sleeps on it */
#define LOOK_EVERY 4   /* kicks of a further queue pair, for the tokens of those before */
#define LISTEN_EVERY 8 /* times of taking tokens, for the socket */

/* What counts kicks is atomic: two threads may kick for the same event. A count that is lost does no harm. */
static unsigned count_of(const unsigned *n)
{
    return __atomic_load_n(n, __ATOMIC_RELAXED);
}

static unsigned set_count(unsigned *n, unsigned count)
{
    __atomic_store_n(n, count, __ATOMIC_RELAXED);
    return count;
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
    unsigned before = count_of(slow);

    if (set_count(slow, read_clock(before) - start > SLOW_NS ? before + 1 : 0) < SLOW_MAX)
        return 0;
    return vop__error(EPROTO, "peer broke the protocol: so many watch its doorbell that each kick takes milliseconds");
}

/* Errors harm the peer only. */
static void send_token(int fd)
{
    while (vop__send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

/* It may be timed now and then, for nothing is slow yet. `turn` counts such calls. */
static bool is_timed(unsigned slow, unsigned *turn)
{
    return slow > 0 || set_count(turn, count_of(turn) + 1) % TIMED_EVERY == 0;
}

/*
 * One token is enough; a peer that never takes any could otherwise keep many, charged to this process. A look is half a
 * microsecond, so queue pairs beyond the first, which few links have, go without for some kicks; once tokens lay there,
 * none goes without. The caller's fence behind the index comes before the look, so that a sleeper which takes those
 * tokens now sees the index.
 */
static bool has_tokens(struct vop__doorbell *b, unsigned queue)
{
    unsigned unseen = count_of(&b->unseen);
    int untaken = 0;

    if (queue == 0 || unseen >= LOOK_EVERY) {
        if (ioctl(b->kick, SIOCOUTQ, &untaken) == 0 && untaken > 0)
            return true;
        unseen = 0;
    }
    set_count(&b->unseen, unseen + 1);
    return false;
}

int vop__doorbells_kick(struct vop__doorbells *d, unsigned queue, enum vop__bell bell)
{
    struct vop__doorbell *b = &d->bell[queue][bell];
    unsigned slow = count_of(&b->slow_kicks);
    bool is_socket = b->kick == d->socket;
    int64_t start;

    if (slow >= SLOW_MAX || (!is_socket && has_tokens(b, queue)))
        return 0;
    if (is_socket && !is_timed(slow, &b->kicks)) {
        send_token(b->kick);
        return 0;
    }
    start = read_clock(slow);
    send_token(b->kick);
    return judge(&b->slow_kicks, start);
}

/* TOKENS_MAX came at once. If that was not looked at first, a peer may have rung on and on meanwhile, which is no more
 * than noise: then no more are left than its buffer has room for. */
static bool is_stuffed(const struct vop__doorbell *b)
{
    int left = 0;

    return !b->refuses_fds || ioctl(b->wait, FIONREAD, &left) < 0 || left > TOKENS_LEFT_MAX;
}

/*
 * Takes all tokens. A receive that throws away a descriptor may wait for its last close (a TCP socket that lingers), so
 * where descriptors can come this looks first, and takes only what it has seen. Urgent bytes are inline, or the look
 * would miss what they carry.
 * 1 took some; 0 there was none; -ECONNRESET there are descriptors, or there will be no more tokens; -EPROTO.
 */
static int drain(struct vop__doorbell *b)
{
    char tokens[TOKENS_MAX];
    struct iovec iov = {.iov_base = tokens, .iov_len = sizeof(tokens)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int64_t start = read_clock(b->slow_takes);
    ssize_t n = TOKENS_MAX;

    if (!b->refuses_fds)
        n = recvmsg(b->wait, &msg, MSG_PEEK | MSG_DONTWAIT);
    if (msg.msg_flags & MSG_CTRUNC)
        return -ECONNRESET;
    if (n > 0)
        n = vop__recv(b->wait, tokens, (size_t)n, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 ? 0 : -ECONNRESET;
    if (n == TOKENS_MAX && is_stuffed(b))
        return vop__error(EPROTO, "peer broke the protocol: it filled a doorbell with more than kicks leave there");
    return judge(&b->slow_takes, start) < 0 ? -EPROTO : 1;
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
        int ret = drain(&d->bell[queue][bell]);

        if (ret < 0)
            return ret;
    }
    /* A doorbell that nobody can ring: the socket is about to hang up, or the peer misbehaves. */
    if (fds[1].revents || (fds[0].revents & ~POLLIN))
        return -ECONNRESET;
    return n > 0;
}

/* ---- The socket as a doorbell ---- */

/*
 * Descriptors may lie in the socket: looks at the next message, as drain() does. 1 it has none, 0 there is no message,
 * -ECONNRESET. Once the socket takes no more of them and is empty, it stays clean.
 */
static int look_at_message(struct vop__doorbells *d)
{
    struct msghdr msg = {0};

    if (recvmsg(d->socket, &msg, MSG_PEEK | MSG_DONTWAIT) >= 0)
        return msg.msg_flags & MSG_CTRUNC ? -ECONNRESET : 1;
    if (errno != EAGAIN)
        return -ECONNRESET;
    d->is_clean = d->refuses_fds;
    return 0;
}

/* A message is a token. 1 took one, 0 there was none, -EINTR, -ECONNRESET, -EPROTO. */
static int take_message(struct vop__doorbells *d, int flags)
{
    int ret = d->is_clean ? 1 : look_at_message(d);
    char token;
    ssize_t n;

    if (ret <= 0)
        return ret;
    n = vop__recv(d->socket, &token, sizeof(token), flags | MSG_TRUNC); /* this returns the whole length */
    if (n == 1)
        return 1;
    if (n > 1)
        return vop__error(EPROTO, "peer broke the protocol: a message of %zd bytes, where a kick has one", n);
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n < 0 && errno == EINTR ? -EINTR : -ECONNRESET;
}

static int take_message_timed(struct vop__doorbells *d, unsigned *slow)
{
    int64_t start = read_clock(*slow);
    int ret = take_message(d, MSG_DONTWAIT);

    return ret == 1 && judge(slow, start) < 0 ? -EPROTO : ret;
}

/*
 * Blocks in the receive itself, which is the shortest way to sleep. It cannot be timed then, so that is done now and
 * then, and while takes are slow. A peer that makes only the others slow has this side wait as long as before its turn.
 */
static int sleep_on_socket(struct vop__doorbells *d, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    unsigned *slow = &d->bell[queue][bell].slow_takes;
    struct pollfd fd = {.fd = d->socket, .events = POLLIN | POLLRDHUP};
    struct timespec ts = vop__timespec(timeout_ns);
    int n;

    if (!d->is_clean && d->refuses_fds)
        (void)look_at_message(d);
    if (timeout_ns == VOP__NEVER && d->is_clean && !is_timed(*slow, &d->sleeps))
        return take_message(d, 0);
    n = ppoll(&fd, 1, timeout_ns == VOP__NEVER ? NULL : &ts, NULL);
    if (n < 0)
        return errno == EINTR ? -EINTR : -ECONNRESET;
    if (fd.revents & POLLIN)
        return take_message_timed(d, slow);
    return fd.revents ? -ECONNRESET : 0;
}

/* ---- One for two threads ---- */

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
                int64_t left = vop__time_left(deadline);

                ret = vop__doorbells_is_socket(d, queue) ? sleep_on_socket(d, queue, bell, left)
                                                         : sleep_on(d, queue, bell, left);
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

/* ---- Life, and event loops ---- */

/* A socket that this side has shut down for receiving looks as if the peer had shut it down for sending. */
int vop__doorbells_alive(struct vop__doorbells *d)
{
    struct pollfd fd = {.fd = d->socket, .events = POLLRDHUP};

    if (poll(&fd, 1, 0) <= 0 || __atomic_load_n(&d->is_deaf, __ATOMIC_SEQ_CST)) /* in this order */
        return 0;
    return -ECONNRESET;
}

#define SOCKET_EVENT UINT32_MAX /* the others are numbers of doorbells, in wire order */

static bool has_doorbell(struct vop__doorbells *d, unsigned queue, unsigned bell)
{
    return d->bell[queue][bell].wait != d->socket && (bell == 0 || d->bell[queue][1].wait != d->bell[queue][0].wait);
}

int vop__doorbells_watch(struct vop__doorbells *d, unsigned queue, int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.u32 = SOCKET_EVENT};

    if (vop__doorbells_is_socket(d, queue))
        event.events |= EPOLLIN;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->socket, &event) < 0)
        return -errno;
    for (unsigned bell = 0; bell < VOP__BELLS; bell++) {
        if (!has_doorbell(d, queue, bell))
            continue;
        event.events = EPOLLIN | EPOLLRDHUP;
        event.data.u32 = queue * VOP__BELLS + bell;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->bell[queue][bell].wait, &event) < 0)
            return -errno;
    }
    return 0;
}

static int process_event(struct vop__doorbells *d, const struct epoll_event *event)
{
    uint32_t i = event->data.u32;
    struct vop__doorbell *b;

    if (event->events & ~(uint32_t)EPOLLIN)
        return -ECONNRESET;
    if (i == SOCKET_EVENT)
        return take_message_timed(d, &d->bell[0][0].slow_takes);
    b = &d->bell[i / VOP__BELLS][i % VOP__BELLS];
    return drain(b);
}

/*
 * The usual case of one end for both events: there are tokens, and that is all there is to hear. Now and then it is not
 * asked, so that no kicker can hide what the socket says.
 */
static int take_tokens(struct vop__doorbells *d, unsigned queue)
{
    struct vop__doorbell *b = &d->bell[queue][0];

    if (!b->refuses_fds || b->wait != d->bell[queue][1].wait || ++b->takes % LISTEN_EVERY == 0)
        return 0;
    return drain(b);
}

int vop__doorbells_process(struct vop__doorbells *d, unsigned queue, int epoll_fd)
{
    struct epoll_event events[VOP__BELLS + 1];
    int ret = 0, n;

    if (vop__doorbells_is_socket(d, queue)) { /* nothing else can be ready */
        ret = take_message_timed(d, &d->bell[0][0].slow_takes);
        if (ret == 1 && !d->is_clean && d->refuses_fds) /* if that was the last, there is no need to look any more */
            (void)look_at_message(d);
        return ret < 0 ? ret : 0;
    }
    ret = take_tokens(d, queue);
    if (ret != 0)
        return ret < 0 ? ret : 0;
    n = epoll_wait(epoll_fd, events, sizeof(events) / sizeof(events[0]), 0);
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
    if (vop__doorbells_is_socket(d, 0))
        __atomic_store_n(&d->is_deaf, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++)
        (void)shutdown(d->bell[i / VOP__BELLS][i % VOP__BELLS].wait, SHUT_RD);
}
