/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.h - bytes over a socket, with the two system calls that can carry descriptors as well.
 *
 * Room: sys. send(2) and recv(2) are system calls of their own; a program in a sandbox has two fewer to allow.
 */
#ifndef VOP_SYS_MESSAGE_H
#define VOP_SYS_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/** As send(2). */
static inline ssize_t vop__send(int socket, const void *bytes, size_t size, int flags)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    const struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    return sendmsg(socket, &message, flags);
}

/** As recv(2). */
static inline ssize_t vop__recv(int socket, void *bytes, size_t size, int flags)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    return recvmsg(socket, &message, flags);
}

#endif
