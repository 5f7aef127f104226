/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket.h - messages of vhost-user, with the descriptors beside them, one at a time and however they are cut.
 *
 * Room: vhost.
 */
#ifndef VOP_VHOST_SOCKET_H
#define VOP_VHOST_SOCKET_H

#include "vhost/protocol.h"

#include <sys/types.h>

#define VOP__VHOST_FDS_MAX 8u     /* beside one message */
#define VOP__VHOST_FDS_TAKEN 253u /* as many as the kernel lets into one read, SCM_MAX_FD */

struct vop__vhost_message {
    struct vop__vhost_header header;
    union vop__vhost_payload payload;
    int fd[VOP__VHOST_FDS_MAX]; /* who keeps one puts -1 in its place */
    unsigned fd_count;
};

struct vop__vhost_socket {
    int fd;
    size_t received; /* bytes of the message that is coming */
    struct vop__vhost_message message;
};

/**
 * Reads what is there, at most `size` bytes, with all descriptors beside them, which are the caller's: how many bytes,
 * 0 at the end, or a negative errno without a text. Does not wait. None is left to the kernel, which would close it in
 * this thread (sys/closer.h); only if no more descriptors can be open here does it do so: -EMFILE.
 */
ssize_t vop__vhost_read(int socket, void *at, size_t size, int ret_fds[VOP__VHOST_FDS_TAKEN], unsigned *ret_count);

/**
 * Receives what is there: 1 once a message is whole; its descriptors are the caller's until vop__vhost_message_end().
 * -EAGAIN: not yet. -EPIPE, -ECONNRESET: the front end is gone. -EPROTO: that is no message.
 */
int vop__vhost_receive(struct vop__vhost_socket *s);

/** Closes the descriptors that nobody has kept, and goes on to the next message. */
void vop__vhost_message_end(struct vop__vhost_socket *s);

/** Sends a message as a whole, with descriptors beside it, or nothing of it: 0, -EAGAIN, or another -errno, without a
 * text. Does not wait. */
int vop__vhost_send(int socket, const struct vop__vhost_header *header, const void *payload, const int *fds,
                    unsigned count);

/** Answers the present message, with a descriptor or -1: 0, -EPIPE, or -EPROTO if the front end does not read what it
 * asks for. */
int vop__vhost_reply(struct vop__vhost_socket *s, const void *payload, size_t size, int fd);

/** Sends a request of the back end's own, for which it wants no answer: 0, -EAGAIN: there is no room, or -EPIPE. */
int vop__vhost_request(int socket, uint32_t request, const void *payload, size_t size);

#endif
