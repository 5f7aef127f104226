/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.h - doorbells out of pipes, and a socket whose hang-up is the peer's death: for wires within one host.
 *
 * Room: wire. PROTOCOL.md, The shm wire, says why pipes: a peer must not be able to make a kick block.
 */
#ifndef VOP_WIRE_DOORBELL_H
#define VOP_WIRE_DOORBELL_H

#include "wire/wire.h"

#define VOP_BELLS 2u /* for each queue pair: enum vop_bell */

struct vop_doorbells {
    int socket;  /* to the peer; hangs up when it dies */
    int null_fd; /* /dev/null, where tokens go */
    unsigned queue_pairs;
    struct {
        int kick; /* write end of an own pipe; no other process has this end */
        int give; /* its read end, which the peer gets; kept, so that a kick never meets a pipe without reader */
        int wait; /* read end of the peer's pipe; -1 until it came */
    } bell[VOP_QUEUE_PAIRS_MAX][VOP_BELLS];
};

/** Makes the own pipes for `queue_pairs` queue pairs. Takes `socket` (on success only). 0 or -errno with a text. */
int vop_doorbells_open(struct vop_doorbells *d, int socket, unsigned queue_pairs);

/** Copies the read ends to give away, in wire order: messages and slots of pair 0, of pair 1, ... Returns how many. */
unsigned vop_doorbells_give(const struct vop_doorbells *d, unsigned queue_pairs, int *ret_fds);

/**
 * Takes the peer's read ends, in the same order, after checking that each is a pipe open for reading; `queue_pairs`
 * becomes the number of doorbells. 0, or -EPROTO with a text, and then none was taken.
 */
int vop_doorbells_take(struct vop_doorbells *d, const int *fds, unsigned queue_pairs);

/** Closes everything, the socket included. */
void vop_doorbells_close(struct vop_doorbells *d);

/* The wire operations that need nothing but doorbells. */
void vop_doorbells_kick(struct vop_doorbells *d, unsigned queue, enum vop_bell bell);
int vop_doorbells_wait(struct vop_doorbells *d, unsigned queue, enum vop_bell bell, int64_t timeout_ns);
int vop_doorbells_alive(struct vop_doorbells *d);
int vop_doorbells_watch(struct vop_doorbells *d, int epoll_fd);
int vop_doorbells_process(struct vop_doorbells *d, int epoll_fd);

#endif
