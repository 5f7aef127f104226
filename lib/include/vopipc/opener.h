/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * opener.h - who opens files and sockets for the library, so that a program in a sandbox can have another process do
 * it.
 *
 * Room: the public headers.
 *
 * All that a link opens it opens by one call, and what it makes without a name as well, so that a program can forbid
 * itself all that makes descriptors. Without more ado that call is vop_opener_do(), in this process. A program that may
 * open nothing any more, because it has given up its rights or seccomp(2) forbids it, names a function of its own
 * instead. That one passes each request to a process that still may (a broker, which was forked before), and comes back
 * with what that process says. The broker looks whether the request is one that it expects, calls vop_opener_do(), and
 * sends the answer, with the descriptors as SCM_RIGHTS:
 *
 *   program                                           broker
 *   vop_channel_connect()
 *     its vop_opener_fn: sends the request   ---->    is this name one of ours? vop_opener_do()
 *     returns what was answered              <----    answer, descriptors
 *
 * A request is data: nothing in it but `path` points anywhere. bridge/broker_link.c is an example of such a broker.
 */
#ifndef VOPIPC_OPENER_H
#define VOPIPC_OPENER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What is asked for. */
enum vop_opener_what {
    VOP_OPENER_FILE = 1,    /* open(2), with `flags` and `mode` */
    VOP_OPENER_FACTS = 2,   /* stat(2): mode, device, inode of what is there; no descriptor */
    VOP_OPENER_LINK = 3,    /* readlink(2): the last part of what a symbolic link names; no descriptor */
    VOP_OPENER_FIRST = 4,   /* the name of one entry of a directory, which is not hidden; no descriptor */
    VOP_OPENER_CONNECT = 5, /* a Unix socket of type `flags`, connected to `path` */
    VOP_OPENER_LISTEN = 6,  /* a Unix socket of type `flags` that listens at `path`, with file mode `mode` */
    VOP_OPENER_REMOVE = 7,  /* unlink(2), if `path` still is the file `device`, `inode`; no descriptor */
    VOP_OPENER_EPOLL = 8,   /* epoll_create1(2); this and what follows has no path */
    VOP_OPENER_TIMER = 9,   /* timerfd_create(2): monotonic, non-blocking */
    VOP_OPENER_EVENT = 10,  /* eventfd(2): 0, non-blocking */
    VOP_OPENER_PAIR = 11,   /* socketpair(2): two Unix sockets of type SOCK_STREAM, which block */
    VOP_OPENER_MEMORY = 12, /* `size` bytes, allocated and sealed against resizing; `path` is a word for /proc */
};

/** The longest answer in words, with its end. */
#define VOP_OPENER_TEXT_MAX 256

struct vop_opener_request {
    uint32_t what;    /* enum vop_opener_what */
    uint32_t flags;   /* of open(2); or the type of a socket: SOCK_STREAM, SOCK_SEQPACKET */
    uint32_t mode;    /* file mode, as in chmod(2) */
    uint32_t backlog; /* of listen(2) */
    uint64_t device;  /* st_dev and st_ino of the file to be removed */
    uint64_t inode;
    uint64_t size;    /* bytes of memory, at most 2 GiB */
    const char *path; /* relative ones begin where the program was started */
};

struct vop_opener_answer {
    int32_t fd;                     /* close-on-exec, and non-blocking if it is a socket with a name. -1: none */
    int32_t other;                  /* of a pair. -1: none */
    uint32_t mode;                  /* st_mode */
    uint64_t device;                /* st_dev */
    uint64_t inode;                 /* st_ino */
    char text[VOP_OPENER_TEXT_MAX]; /* a name, if one was asked for. If the call fails: why, or nothing */
};

/**
 * Does what is asked for. It may wait no longer than the system calls that it stands for, and must not call the
 * library. More than one thread may be in it. Returns 0, or -errno, also for a request that is refused (-EPERM).
 */
typedef int (*vop_opener_fn)(void *context, const struct vop_opener_request *request,
                             struct vop_opener_answer *ret_answer);

/**
 * Says who opens, for the whole process; NULL (the default) is this process itself. Call it while no other thread uses
 * the library, and while this process may still read /proc and /sys and start threads: what the library has to know of
 * the machine it reads now, once and for all, and the threads in which it closes what peers sent it starts now (eight).
 * It holds for links that are open, too. 0, or -errno: there are fewer threads, and closing may wait for peers.
 */
int vop_opener_set(vop_opener_fn fn, void *context);

/**
 * Does it in this process, whatever vop_opener_set() says. For brokers: it checks nothing of a request but that `what`
 * is one of the above.
 *
 * 0, or -errno; then ret_answer->text says why if there is more to say than errno does
 *   -EINVAL       there is no such request
 *   -EAGAIN       CONNECT: the backlog is full; try again in a moment
 *   -EADDRINUSE   LISTEN: another process listens there, or it is no socket
 *   -ESTALE       REMOVE: another file has this name
 *   others        of the system calls
 */
int vop_opener_do(const struct vop_opener_request *request, struct vop_opener_answer *ret_answer);

#ifdef __cplusplus
}
#endif

#endif
