/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket.c - messages of vhost-user, with the descriptors beside them, one at a time and however they are cut.
 *
 * Room: vhost. Never reads beyond a message, so descriptors belong to the message that they came with.
 */
#include "vhost/socket.h"

#include "core/error.h"
#include "sys/closer.h"

#include <string.h>
#include <sys/socket.h>

static int ended(int err)
{
    switch (err) {
    case EAGAIN:
    case EINTR:
        return -EAGAIN;
    case EPIPE:
        return vop__error_static(EPIPE, "the front end has closed the connection");
    default:
        return vop__error(ECONNRESET, "the connection to the front end is lost: %s", strerror(err));
    }
}

ssize_t vop__vhost_read(int socket, void *at, size_t size, int ret_fds[VOP__VHOST_FDS_TAKEN], unsigned *ret_count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * VOP__VHOST_FDS_TAKEN)];
    } control;
    struct iovec iov = {.iov_base = at, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t count = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    *ret_count = 0;
    if (count < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        *ret_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(ret_fds[0]));
        memcpy(ret_fds, CMSG_DATA(c), *ret_count * sizeof(ret_fds[0])); /* all of a read are in one of these */
    }
    if (!(msg.msg_flags & MSG_CTRUNC))
        return count;
    vop__closer_take(ret_fds, *ret_count);
    *ret_count = 0;
    return -EMFILE;
}

/* The message keeps these descriptors of a read: 0, or -EPROTO if there are too many for any message. */
static int keep_fds(struct vop__vhost_message *m, const int *fds, unsigned count)
{
    unsigned room = VOP__VHOST_FDS_MAX - m->fd_count, kept = count < room ? count : room;

    if (kept > 0)
        memcpy(m->fd + m->fd_count, fds, kept * sizeof(fds[0]));
    m->fd_count += kept;
    if (kept == count)
        return 0;
    vop__closer_take(fds + kept, count - kept);
    return vop__error(EPROTO, "more than %u descriptors beside a message", VOP__VHOST_FDS_MAX);
}

static int receive_part(struct vop__vhost_socket *s, void *at, size_t size)
{
    int fds[VOP__VHOST_FDS_TAKEN];
    unsigned fd_count;
    ssize_t count = vop__vhost_read(s->fd, at, size, fds, &fd_count);

    if (count < 0)
        return ended((int)-count);
    if (count == 0)
        return ended(EPIPE);
    s->received += (size_t)count;
    return keep_fds(&s->message, fds, fd_count);
}

static int check_header(const struct vop__vhost_header *h)
{
    if ((h->flags & VOP__VHOST_VERSION_MASK) != VOP__VHOST_VERSION || h->flags & VOP__VHOST_REPLY)
        return vop__error(EPROTO, "a message with flags %#x: that is no request of version 1", h->flags);
    if (h->size > sizeof(union vop__vhost_payload))
        return vop__error(EPROTO, "request %u has %u bytes", h->request, h->size);
    return 0;
}

int vop__vhost_receive(struct vop__vhost_socket *s)
{
    struct vop__vhost_message *m = &s->message;

    for (;;) {
        size_t header = sizeof(m->header);
        int ret;

        if (s->received < header) {
            ret = receive_part(s, (uint8_t *)&m->header + s->received, header - s->received);
            if (ret == 0 && s->received == header)
                ret = check_header(&m->header);
        } else if (s->received < header + m->header.size) {
            size_t at = s->received - header;

            ret = receive_part(s, (uint8_t *)&m->payload + at, m->header.size - at);
        } else {
            return 1;
        }
        if (ret < 0)
            return ret;
    }
}

void vop__vhost_message_end(struct vop__vhost_socket *s)
{
    if (s->message.fd_count > 0)
        vop__closer_take(s->message.fd, s->message.fd_count);
    s->message.fd_count = 0;
    s->received = 0;
    memset(&s->message.payload, 0, sizeof(s->message.payload));
}

/* A stream socket with room for less than such a small message is one whose other end does not read. */
int vop__vhost_send(int socket, const struct vop__vhost_header *header, const void *payload, const int *fds,
                    unsigned count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * VOP__VHOST_FDS_MAX)];
    } control = {.bytes = {0}};
    struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof(*header)},
                           {.iov_base = (void *)(uintptr_t)payload, .iov_len = header->size}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t sent;

    if (count > 0) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
    }
    sent = sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return sent == (ssize_t)(sizeof(*header) + header->size) ? 0 : -EPROTO;
}

int vop__vhost_reply(struct vop__vhost_socket *s, const void *payload, size_t size, int fd)
{
    const struct vop__vhost_header header = {
        .request = s->message.header.request,
        .flags = VOP__VHOST_VERSION | VOP__VHOST_REPLY,
        .size = (uint32_t)size,
    };
    int ret = vop__vhost_send(s->fd, &header, payload, &fd, fd >= 0);

    if (ret == 0)
        return 0;
    if (ret != -EAGAIN && ret != -EPROTO)
        return ended(-ret);
    return vop__error_static(EPROTO, "the front end does not read the answers to its requests");
}

int vop__vhost_request(int socket, uint32_t request, const void *payload, size_t size)
{
    const struct vop__vhost_header header = {.request = request, .flags = VOP__VHOST_VERSION, .size = (uint32_t)size};
    int ret = vop__vhost_send(socket, &header, payload, NULL, 0);

    return ret == 0 || ret == -EAGAIN ? ret : -EPIPE;
}
