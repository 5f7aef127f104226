/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front_ask.c - what a front end says to a back end, and its answers, which are waited for.
 *
 * Room: vhost.
 */
#include "vhost/front_ask.h"

#include "core/clock.h"
#include "core/error.h"
#include "sys/closer.h"
#include "vhost/socket.h"

#include <linux/fs.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int lost(int err)
{
    if (err == EPIPE)
        return vop__error_static(EPIPE, "the back end has closed the connection");
    return vop__error(ECONNRESET, "the connection to the back end is lost: %s", strerror(err));
}

/* Waits until the socket is ready, or until `end`: 0 or -ETIMEDOUT. */
static int wait_until(int fd, short events, int64_t end)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        int64_t left = vop__time_left(end);

        if (poll(&p, 1, vop__poll_ms(left)) > 0)
            return 0;
        if (left == 0)
            return vop__error_static(ETIMEDOUT, "the back end does not answer");
    }
}

static int64_t end_of(const struct vop__vhost_ask *a)
{
    return a->end != 0 ? a->end : vop__deadline(a->timeout_ms);
}

/* No answer that is waited for has descriptors. */
static int refuse_fds(const int *fds, unsigned count)
{
    vop__closer_take(fds, count);
    return vop__error(EPROTO, "%u descriptors beside an answer that has none", count);
}

static int receive(const struct vop__vhost_ask *a, void *ret_bytes, size_t size, int64_t end)
{
    uint8_t *to = ret_bytes;

    while (size > 0) {
        int fds[VOP__VHOST_FDS_TAKEN], ret;
        unsigned fd_count;
        ssize_t count = vop__vhost_read(a->fd, to, size, fds, &fd_count);

        if (fd_count > 0)
            return refuse_fds(fds, fd_count);
        if (count == 0)
            return lost(EPIPE);
        if (count > 0) {
            to += count;
            size -= (size_t)count;
            continue;
        }
        if (count != -EAGAIN && count != -EINTR)
            return lost((int)-count);
        ret = wait_until(a->fd, POLLIN, end);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int send_all(const struct vop__vhost_ask *a, const struct vop__vhost_header *h, const void *payload,
                    const int *fds, unsigned count)
{
    int64_t end = end_of(a);

    for (;;) {
        int ret = vop__vhost_send(a->fd, h, payload, fds, count);

        if (ret == 0)
            return 0;
        if (ret != -EAGAIN)
            return lost(-ret);
        ret = wait_until(a->fd, POLLOUT, end);
        if (ret < 0)
            return ret;
    }
}

/* An answer to this request: its size. */
static int receive_answer(const struct vop__vhost_ask *a, uint32_t request, void *ret_answer, size_t room)
{
    struct vop__vhost_header h;
    int64_t end = end_of(a);
    int ret = receive(a, &h, sizeof(h), end);

    if (ret < 0)
        return ret;
    if (h.request != request || !(h.flags & VOP__VHOST_REPLY) ||
        (h.flags & VOP__VHOST_VERSION_MASK) != VOP__VHOST_VERSION || h.size > room)
        return vop__error(EPROTO, "request %u was answered by %u with flags %#x and %u bytes", request, h.request,
                          h.flags, h.size);
    ret = receive(a, ret_answer, h.size, end);
    return ret < 0 ? ret : (int)h.size;
}

int vop__vhost_ask(const struct vop__vhost_ask *a, uint32_t request, const void *payload, size_t size, void *ret_answer,
                   size_t room)
{
    const struct vop__vhost_header h = {.request = request, .flags = VOP__VHOST_VERSION, .size = (uint32_t)size};
    int ret = send_all(a, &h, payload, NULL, 0);

    return ret < 0 ? ret : receive_answer(a, request, ret_answer, room);
}

int vop__vhost_ask_u64(const struct vop__vhost_ask *a, uint32_t request, uint64_t *ret_value)
{
    int ret = vop__vhost_ask(a, request, NULL, 0, ret_value, sizeof(*ret_value));

    if (ret >= 0 && ret != (int)sizeof(*ret_value))
        return vop__error(EPROTO, "request %u was answered by %d bytes", request, ret);
    return ret < 0 ? ret : 0;
}

int vop__vhost_tell(const struct vop__vhost_ask *a, uint32_t request, const void *payload, size_t size, const int *fds,
                    unsigned count)
{
    const struct vop__vhost_header h = {.request = request,
                                        .flags = VOP__VHOST_VERSION | (a->has_acks ? VOP__VHOST_NEED_REPLY : 0),
                                        .size = (uint32_t)size};
    uint64_t answer = 0;
    int ret = send_all(a, &h, payload, fds, count);

    if (ret < 0 || !a->has_acks)
        return ret;
    ret = receive_answer(a, request, &answer, sizeof(answer));
    if (ret < 0)
        return ret;
    return answer == 0 ? 0 : vop__error(EPROTO, "the back end has refused request %u", request);
}

int vop__vhost_tell_u64(const struct vop__vhost_ask *a, uint32_t request, uint64_t value, int fd)
{
    return vop__vhost_tell(a, request, &value, sizeof(value), &fd, fd >= 0);
}

/* preadv2(2), which not every libc has, nor qemu-user. Before Linux 5.8 an eventfd cannot be asked so. */
void vop__vhost_take_eventfd(int fd)
{
    uint64_t count;
    struct iovec iov = {.iov_base = &count, .iov_len = sizeof(count)};
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (syscall(SYS_preadv2, fd, &iov, 1, -1L, -1L, RWF_NOWAIT) < 0 && (errno == EOPNOTSUPP || errno == ENOSYS) &&
        poll(&p, 1, 0) == 1)
        (void)!read(fd, &count, sizeof(count));
}
