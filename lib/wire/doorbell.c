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

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#if !defined(SO_PASSRIGHTS) && SO_DOMAIN == 39 /* headers before Linux 6.16; the usual numbering of socket options */
#define SO_PASSRIGHTS 83
#endif

#define TOKENS_AT_ONCE 256 /* taken by one receive: far more than honest peers ever leave */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void vop__socket_refuse_fds(int socket)
{
#ifdef SO_PASSRIGHTS
    int no = 0;

    (void)setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
#else
    (void)socket;
#endif
}

int vop__doorbells_open(struct vop__doorbells *d, int socket, unsigned queue_pairs)
{
    const int yes = 1;

    d->socket = -1;
    d->queue_pairs = queue_pairs;
    memset(d->bell, -1, sizeof(d->bell));

    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
            int err = errno;

            vop__doorbells_close(d);
            return vop__error(err, "cannot make a doorbell: socketpair: %s; raise the limit of open files (ulimit -n)",
                              strerror(err));
        }
        vop__socket_refuse_fds(ends[0]);
        (void)setsockopt(ends[0], SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes)); /* see drain() */
        d->bell[i / VOP__BELLS][i % VOP__BELLS].wait = ends[0];
        d->bell[i / VOP__BELLS][i % VOP__BELLS].give = ends[1];
    }
    d->socket = socket;
    return 0;
}

unsigned vop__doorbells_give(const struct vop__doorbells *d, unsigned queue_pairs, int *ret_fds)
{
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++)
        ret_fds[i] = d->bell[i / VOP__BELLS][i % VOP__BELLS].give;
    return queue_pairs * VOP__BELLS;
}

void vop__doorbells_given(struct vop__doorbells *d)
{
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++)
        close_fd(&d->bell[i / VOP__BELLS][i % VOP__BELLS].give);
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

/*
 * One of a pair of stream sockets. Neither end has a name: a peer that is connected to some server's socket could
 * otherwise make this process ring there. Nothing here takes a lock that the peer could hold.
 */
static bool is_doorbell(int fd)
{
    struct sockaddr_un own, other;
    socklen_t own_size = sizeof(own), other_size = sizeof(other);

    return option_of(fd, SO_DOMAIN) == AF_UNIX && option_of(fd, SO_TYPE) == SOCK_STREAM &&
           getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 && own_size == sizeof(own.sun_family) &&
           getpeername(fd, (struct sockaddr *)&other, &other_size) == 0 && other_size == sizeof(other.sun_family);
}

int vop__doorbells_take(struct vop__doorbells *d, const int *fds, unsigned queue_pairs)
{
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++) {
        if (!is_doorbell(fds[i]))
            return vop__error(EPROTO, "doorbell %u from the peer is not one of a pair of Unix stream sockets", i);
    }
    for (unsigned i = 0; i < queue_pairs * VOP__BELLS; i++)
        d->bell[i / VOP__BELLS][i % VOP__BELLS].kick = fds[i];
    for (unsigned i = queue_pairs * VOP__BELLS; i < d->queue_pairs * VOP__BELLS; i++) {
        close_fd(&d->bell[i / VOP__BELLS][i % VOP__BELLS].wait);
        close_fd(&d->bell[i / VOP__BELLS][i % VOP__BELLS].give);
    }
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
    for (unsigned i = 0; i < VOP_QUEUE_PAIRS_MAX * VOP__BELLS; i++) {
        count += give_out(&d->bell[i / VOP__BELLS][i % VOP__BELLS].wait, ret_fds + count);
        count += give_out(&d->bell[i / VOP__BELLS][i % VOP__BELLS].give, ret_fds + count);
        count += give_out(&d->bell[i / VOP__BELLS][i % VOP__BELLS].kick, ret_fds + count);
    }
    return count;
}

void vop__doorbells_close(struct vop__doorbells *d)
{
    int fds[VOP__DOORBELL_FDS];

    vop__doorbells_hang_up(d);
    vop__closer_take(fds, vop__doorbells_leave(d, fds));
}

void vop__doorbells_kick(struct vop__doorbells *d, unsigned queue, enum vop__bell bell)
{
    /* EAGAIN: the queue is full of tokens, the peer will wake. Other errors harm the peer only. */
    while (send(d->bell[queue][bell].kick, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

/*
 * Takes tokens, once: bytes left over only make the next poll return at once. A receive that throws away a descriptor
 * may wait for its last close (a TCP socket that lingers), so this looks first, and takes only what it has seen. Urgent
 * bytes are inline, or the look would miss what they carry. False: there are descriptors.
 */
static bool drain(int fd)
{
    char tokens[TOKENS_AT_ONCE];
    struct iovec iov = {.iov_base = tokens, .iov_len = sizeof(tokens)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);

    if (n > 0 && !(msg.msg_flags & MSG_CTRUNC))
        (void)!recv(fd, tokens, (size_t)n, MSG_DONTWAIT);
    return n < 0 || !(msg.msg_flags & MSG_CTRUNC);
}

int vop__doorbells_wait(struct vop__doorbells *d, unsigned queue, enum vop__bell bell, int64_t timeout_ns)
{
    struct pollfd fds[2] = {{.fd = d->bell[queue][bell].wait, .events = POLLIN | POLLRDHUP},
                            {.fd = d->socket, .events = POLLRDHUP}};
    struct timespec ts = vop__timespec(timeout_ns);
    int n = ppoll(fds, 2, timeout_ns == VOP__NEVER ? NULL : &ts, NULL);

    if (n < 0)
        return errno == EINTR ? -EINTR : -ECONNRESET;
    if ((fds[0].revents & POLLIN) && !drain(d->bell[queue][bell].wait))
        return -ECONNRESET;
    /* A doorbell that nobody can ring: the socket is about to hang up, or the peer misbehaves. */
    if (fds[1].revents || (fds[0].revents & ~POLLIN))
        return -ECONNRESET;
    return n > 0;
}

int vop__doorbells_alive(struct vop__doorbells *d)
{
    struct pollfd fd = {.fd = d->socket, .events = POLLRDHUP};

    return poll(&fd, 1, 0) > 0 && fd.revents ? -ECONNRESET : 0;
}

int vop__doorbells_watch(struct vop__doorbells *d, int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.fd = d->socket};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->socket, &event) < 0)
        return -errno;
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++) {
        event.events = EPOLLIN | EPOLLRDHUP;
        event.data.fd = d->bell[i / VOP__BELLS][i % VOP__BELLS].wait;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
            return -errno;
    }
    return 0;
}

int vop__doorbells_process(struct vop__doorbells *d, int epoll_fd)
{
    struct epoll_event events[8];
    int n = epoll_wait(epoll_fd, events, sizeof(events) / sizeof(events[0]), 0);
    int ret = 0;

    /* If there are more doorbells than fit, the descriptor stays readable and the rest is for the next call. */
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == d->socket || (events[i].events & ~(uint32_t)EPOLLIN) || !drain(events[i].data.fd))
            ret = -ECONNRESET;
    }
    return ret;
}

/* Nothing more can arrive, so each end stays readable for good. The peer's kicks go nowhere. */
void vop__doorbells_interrupt(struct vop__doorbells *d)
{
    for (unsigned i = 0; i < d->queue_pairs * VOP__BELLS; i++)
        (void)shutdown(d->bell[i / VOP__BELLS][i % VOP__BELLS].wait, SHUT_RD);
}
