/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.c - doorbells out of pipes, and a socket whose hang-up is the peer's death.
 *
 * Room: wire.
 */
#include "wire/doorbell.h"

#include "core/clock.h"
#include "core/error.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int vop_doorbells_open(struct vop_doorbells *d, int socket, unsigned queue_pairs)
{
    int err;

    d->socket = -1;
    d->null_fd = -1;
    d->queue_pairs = queue_pairs;
    memset(d->bell, -1, sizeof(d->bell));

    d->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (d->null_fd < 0) {
        err = errno;
        vop__error(err, "/dev/null: %s", strerror(err));
        goto err_close;
    }
    for (unsigned i = 0; i < queue_pairs * VOP_BELLS; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
            err = errno;
            vop__error(err, "cannot make a pipe: %s; raise the limit of open files (ulimit -n)", strerror(err));
            goto err_close;
        }
        d->bell[i / VOP_BELLS][i % VOP_BELLS].give = ends[0];
        d->bell[i / VOP_BELLS][i % VOP_BELLS].kick = ends[1];
    }
    d->socket = socket;
    return 0;

err_close:
    vop_doorbells_close(d);
    return -err;
}

unsigned vop_doorbells_give(const struct vop_doorbells *d, unsigned queue_pairs, int *ret_fds)
{
    for (unsigned i = 0; i < queue_pairs * VOP_BELLS; i++)
        ret_fds[i] = d->bell[i / VOP_BELLS][i % VOP_BELLS].give;
    return queue_pairs * VOP_BELLS;
}

static bool is_readable_pipe(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && flags >= 0 && (flags & O_ACCMODE) != O_WRONLY &&
           !(flags & O_PATH);
}

int vop_doorbells_take(struct vop_doorbells *d, const int *fds, unsigned queue_pairs)
{
    for (unsigned i = 0; i < queue_pairs * VOP_BELLS; i++) {
        if (!is_readable_pipe(fds[i]))
            return vop__error(EPROTO, "doorbell %u from the peer is not a pipe open for reading", i);
    }
    for (unsigned i = 0; i < queue_pairs * VOP_BELLS; i++)
        d->bell[i / VOP_BELLS][i % VOP_BELLS].wait = fds[i];
    for (unsigned i = queue_pairs * VOP_BELLS; i < d->queue_pairs * VOP_BELLS; i++) {
        close_fd(&d->bell[i / VOP_BELLS][i % VOP_BELLS].kick);
        close_fd(&d->bell[i / VOP_BELLS][i % VOP_BELLS].give);
    }
    d->queue_pairs = queue_pairs;
    return 0;
}

void vop_doorbells_close(struct vop_doorbells *d)
{
    for (unsigned i = 0; i < VOP_QUEUE_PAIRS_MAX * VOP_BELLS; i++) {
        close_fd(&d->bell[i / VOP_BELLS][i % VOP_BELLS].kick);
        close_fd(&d->bell[i / VOP_BELLS][i % VOP_BELLS].give);
        close_fd(&d->bell[i / VOP_BELLS][i % VOP_BELLS].wait);
    }
    close_fd(&d->null_fd);
    close_fd(&d->socket);
}

void vop_doorbells_kick(struct vop_doorbells *d, unsigned queue, enum vop_bell bell)
{
    /* EAGAIN: the pipe is full of tokens, the peer will wake. No SIGPIPE: this process holds a read end itself. */
    while (write(d->bell[queue][bell].kick, "", 1) < 0 && errno == EINTR)
        continue;
}

static void drain(const struct vop_doorbells *d, int fd)
{
    /* Not read(2): the peer shares this end and could clear its O_NONBLOCK. The flag of splice(2) is ours alone. */
    while (splice(fd, NULL, d->null_fd, NULL, 65536, SPLICE_F_NONBLOCK) < 0 && errno == EINTR)
        continue;
}

int vop_doorbells_wait(struct vop_doorbells *d, unsigned queue, enum vop_bell bell, int64_t timeout_ns)
{
    struct pollfd fds[2] = {{.fd = d->bell[queue][bell].wait, .events = POLLIN},
                            {.fd = d->socket, .events = POLLRDHUP}};
    struct timespec ts = {.tv_sec = timeout_ns / VOP_NS_PER_S, .tv_nsec = timeout_ns % VOP_NS_PER_S};
    int n = ppoll(fds, 2, timeout_ns == VOP_NEVER ? NULL : &ts, NULL);

    if (n < 0)
        return errno == EINTR ? -EINTR : -ECONNRESET;
    if (fds[0].revents & POLLIN)
        drain(d, d->bell[queue][bell].wait);
    if (fds[1].revents)
        return -ECONNRESET;
    /* A doorbell without a writer: the peer is about to be dead on the socket, or closed its end to be a nuisance. */
    if (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))
        return -ECONNRESET;
    return n > 0;
}

int vop_doorbells_alive(struct vop_doorbells *d)
{
    struct pollfd fd = {.fd = d->socket, .events = POLLRDHUP};

    return poll(&fd, 1, 0) > 0 && fd.revents ? -ECONNRESET : 0;
}

int vop_doorbells_watch(struct vop_doorbells *d, int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.fd = d->socket};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->socket, &event) < 0)
        return -errno;
    for (unsigned i = 0; i < d->queue_pairs * VOP_BELLS; i++) {
        event.events = EPOLLIN;
        event.data.fd = d->bell[i / VOP_BELLS][i % VOP_BELLS].wait;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
            return -errno;
    }
    return 0;
}

int vop_doorbells_process(struct vop_doorbells *d, int epoll_fd)
{
    struct epoll_event events[8];
    int n = epoll_wait(epoll_fd, events, sizeof(events) / sizeof(events[0]), 0);
    int ret = 0;

    /* More than eight doorbells at once: the descriptor stays readable and the rest is for the next call. */
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == d->socket || (events[i].events & (EPOLLHUP | EPOLLERR)))
            ret = -ECONNRESET;
        if (events[i].events & EPOLLIN)
            drain(d, events[i].data.fd);
    }
    return ret;
}
