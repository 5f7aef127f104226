/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * opener.h - opens files and sockets, and makes descriptors: here, or by whoever vop_opener_set() says.
 *
 * Room: sys. The only way by which a link comes to a descriptor that its peer has not sent. A call that fails returns
 * -errno.
 */
#ifndef VOP_SYS_OPENER_H
#define VOP_SYS_OPENER_H

#include <vopipc/opener.h>

/** open(2), always close-on-exec: the descriptor. */
int vop__open(const char *path, int flags, uint32_t mode);

/** stat(2): mode, device and inode in ret_facts. If the path is that of a socket, ret_facts->text is why not. */
int vop__open_facts(const char *path, struct vop_opener_answer *ret_facts);

/** The last part of what a symbolic link names. */
int vop__open_link(const char *path, char *ret_name, size_t size);

/** The name of one entry of a directory; -ENOENT if it is empty. */
int vop__open_first(const char *path, char *ret_name, size_t size);

/** A socket of this type (SOCK_STREAM, ...) that is connected to `path`. The reason is in vop_error_text(). */
int vop__open_connected(const char *path, int type);

/**
 * A socket of this type that listens at `path`, in the place of one that nobody listens on any more. The reason of a
 * failure is in vop_error_text().
 */
int vop__open_listening(const char *path, int type, uint32_t mode, int backlog);

/** Removes `path` if it still is that file. */
int vop__open_remove(const char *path, uint64_t device, uint64_t inode);

/* What has no name, as the system calls: a descriptor, or -1 with errno. All of them are close-on-exec. */

/** epoll_create1(2). */
int vop__new_epoll(void);

/** timerfd_create(2): monotonic, non-blocking. */
int vop__new_timer(void);

/** eventfd(2): 0, non-blocking. */
int vop__new_event(void);

/** socketpair(2): Unix sockets of type SOCK_STREAM, which block. 0, or -1 with errno. */
int vop__new_pair(int ret_ends[2]);

/** Memory as sys/memory.h makes it: the descriptor, or -errno with the reason in vop_error_text(). */
int vop__new_memory(const char *name, size_t size);

#endif
