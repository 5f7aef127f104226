/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remote_message.c - messages that carry registers, and the socket on which a device waits for drivers.
 *
 * Room: transport.
 */
#include "core/error.h"
#include "sys/closer.h"
#include "sys/opener.h"
#include "transport/remote.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vopipc/le.h>

#define BACKLOG 8
#define FDS_MAX 253u /* Linux lets nobody send more beside one message */

int vop__remote_send(int socket, enum vop__remote_op op, unsigned size, uint64_t offset, uint64_t value, int fd)
{
    struct vop__remote_message m = {.magic = vop_to_le32(VOP__REMOTE_MAGIC),
                                    .op = (uint8_t)op,
                                    .size = (uint8_t)size,
                                    .offset = vop_to_le64(offset),
                                    .value = vop_to_le64(value)};
    struct iovec iov = {&m, sizeof(m)};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd >= 0) {
        h.msg_control = &control;
        h.msg_controllen = sizeof(control);
        control.align =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(fd))};
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
    }
    if (sendmsg(socket, &h, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(m))
        return 0;
    return errno == EAGAIN ? -EAGAIN : vop__error_static(EPIPE, "the other side has closed the connection");
}

/* All descriptors beside a message: how many. */
static unsigned take_fds(struct msghdr *h, int ret_fds[FDS_MAX])
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(h);
    size_t size;

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return 0;
    size = c->cmsg_len - CMSG_LEN(0);
    memcpy(ret_fds, CMSG_DATA(c), size);
    return (unsigned)(size / sizeof(ret_fds[0]));
}

/* There is room for every descriptor: the kernel would close the others here, and wait for it. */
int vop__remote_receive(int socket, struct vop__remote_message *ret_message, int *ret_fd)
{
    struct iovec iov = {ret_message, sizeof(*ret_message)};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(socket, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fds[FDS_MAX];
    unsigned count;

    *ret_fd = -1;
    if (got < 0 && errno == EAGAIN)
        return 0;
    count = got < 0 ? 0 : take_fds(&h, fds);
    if (got == (ssize_t)sizeof(*ret_message) && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
        vop_from_le32(ret_message->magic) == VOP__REMOTE_MAGIC && count <= 1) {
        *ret_fd = count == 1 ? fds[0] : -1;
        return 1;
    }
    if (count > 0)
        vop__closer_take(fds, count);
    if (got <= 0)
        return vop__error_static(EPIPE, "the other side has closed the connection");
    return vop__error(EPROTO, "a message of %zd bytes, with %u descriptors, that is none of virtio registers", got,
                      count);
}

/* ---- Listening ---- */

int vop_remote_listen(const char *path, uint32_t mode, int *ret_fd)
{
    int fd = vop__open_listening(path, SOCK_SEQPACKET, mode ? mode : 0600, BACKLOG);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}
