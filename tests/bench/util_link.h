/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_link.h - one way to carry messages between two processes: the library, waiting in three ways, and others.
 *
 * Room: tests/bench.
 *
 * Message number n is filled with 64-bit words that follow from n, and the receiver checks each of them. Number 0 ends
 * a run: it is carried like the others, and then both sides turn to the next task.
 */
#ifndef BENCH_UTIL_LINK_H
#define BENCH_UTIL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_link;

/** What a kind of link can do. Each call may block, and ends the program if the link breaks. */
struct bench_link_ops {
    /** Sends message `number` of `size` bytes. With `more` it may be held back until a message without it. */
    void (*send)(struct bench_link *link, uint64_t number, size_t size, bool more);
    /** Receives a message of `size` bytes, which must be `number` or 0; returns which. */
    uint64_t (*receive)(struct bench_link *link, uint64_t number, size_t size);
    /** Receives a message of `size` bytes and sends it back as it is. Returns false if it was number 0. */
    bool (*echo)(struct bench_link *link, size_t size);
};

/** One end of a link. */
struct bench_link {
    const struct bench_link_ops *ops;
    const char *name;            /* "vopipc", "pipe", ... */
    const char *waiting;         /* "spin", "adaptive", "sleep" */
    struct vop_channel *channel; /* the library's kind */
    int in, out;                 /* the kernel's kinds */
    void *buffer;                /* of LINK_MESSAGE_MAX bytes: the kernel's kinds need memory of their own */
    const void *first_sent;      /* where the first message was written ... */
    const void *first_received;  /* ... and where the first one was read: shows that mappings differ */
};

#define LINK_MESSAGE_MAX (256u * 1024)

/** Kinds of link, in the order in which link_open_all() opens them. */
enum link_kind {
    LINK_VOP_SPIN,
    LINK_VOP_ADAPTIVE,
    LINK_VOP_SLEEP,
    LINK_SEQPACKET,
    LINK_PIPE,
    LINK_KINDS
};

/** The ends of the kernel's links, made before the fork and inherited by both sides. */
struct link_kernel_ends {
    int fds[LINK_KINDS][2][2]; /* of a kind, of side 0 or 1: where it reads, where it writes */
};

/** Makes the kernel's links. Call it before the fork. */
void link_kernel_open(struct link_kernel_ends *ret_ends);

/** Opens all links of side 0 (which listens) or 1 (which connects), with their sockets in `directory`. */
void link_open_all(int side, const char *directory, const struct link_kernel_ends *ends, struct bench_link *ret_links);

/** Closes them. */
void link_close_all(struct bench_link *links);

#endif
