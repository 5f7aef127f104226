/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker_message.c - one message between the worker and its broker: a number, bytes, descriptors.
 *
 * Room: bridge.
 */
#include "broker_message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * BROKER_FDS_MAX)];
};

/* A loop that watches the socket has made it non-blocking. False: there is nothing to wait for. */
static bool await(int socket, short events)
{
    struct pollfd fd = {.fd = socket, .events = events};

    if (errno != EAGAIN)
        return errno == EINTR;
    (void)poll(&fd, 1, -1);
    return true;
}

int broker_message_send(int socket, const struct broker_message *message, const struct broker_fds *fds)
{
    size_t size = sizeof(message->head) + message->head.size + message->head.lines_size;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = size};
    union control control = {.space = {0}};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    if (fds && fds->count > 0) {
        size_t length = sizeof(int) * fds->count;

        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(length);
        control.align =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(length)};
        memcpy(CMSG_DATA(&control.align), fds->fd, length);
    }
    do {
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    } while (sent < 0 && await(socket, POLLOUT));
    if (sent < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return (size_t)sent == size ? 0 : -EPROTO;
}

/* The kernel puts no more of them there than there is room for. */
static void take_fds(struct msghdr *header, struct broker_fds *ret_fds)
{
    ret_fds->count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        ret_fds->count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(ret_fds->fd, CMSG_DATA(c), ret_fds->count * sizeof(int));
    }
}

static bool is_whole(const struct broker_message *message, size_t size)
{
    const struct broker_head *head = &message->head;

    return size >= sizeof(*head) && head->size <= BROKER_BYTES_MAX && head->lines_size <= BROKER_LINES_MAX &&
           size == sizeof(*head) + head->size + head->lines_size;
}

int broker_message_receive(int socket, struct broker_message *ret_message, struct broker_fds *ret_fds)
{
    struct iovec iov = {.iov_base = ret_message, .iov_len = sizeof(*ret_message)};
    union control control;
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t size;

    do {
        size = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    } while (size < 0 && await(socket, POLLIN));
    if (size <= 0)
        return size == 0 || errno == ECONNRESET ? -EPIPE : -errno;
    take_fds(&header, ret_fds);
    if (!(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && is_whole(ret_message, (size_t)size))
        return 0;
    while (ret_fds->count > 0)
        close(ret_fds->fd[--ret_fds->count]);
    return -EPROTO;
}
