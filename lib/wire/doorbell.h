/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.h - doorbells out of socket pairs, and a socket whose hang-up is the peer's death: for wires within one
 * host.
 *
 * Room: wire. PROTOCOL.md, Doorbells, says why socket pairs: a peer must not be able to make a kick block.
 */
#ifndef VOP_WIRE_DOORBELL_H
#define VOP_WIRE_DOORBELL_H

#include "wire/wire.h"

#define VOP_BELLS 2u /* for each queue pair: enum vop_bell */

struct vop_doorbells {
    int socket; /* to the peer; hangs up when it dies */
    unsigned queue_pairs;
    struct {
        int wait; /* sleeping end of an own pair; no other process has it */
        int give; /* its kicking end, for the peer; -1 once it was sent */
        int kick; /* kicking end of the peer's pair; -1 until it came */
    } bell[VOP_QUEUE_PAIRS_MAX][VOP_BELLS];
};

/** Makes the own pairs for `queue_pairs` queue pairs. Takes `socket` (on success only). 0 or -errno with a text. */
int vop_doorbells_open(struct vop_doorbells *d, int socket, unsigned queue_pairs);

/** Copies the ends to give away, in wire order: messages and slots of pair 0, of pair 1, ... Returns how many. */
unsigned vop_doorbells_give(const struct vop_doorbells *d, unsigned queue_pairs, int *ret_fds);

/** They are on their way: closes the own descriptors of them, so that the peer's death is heard here. */
void vop_doorbells_given(struct vop_doorbells *d);

/**
 * Takes the ends that the peer gave, in the same order, after checking that each is one of a pair of Unix stream
 * sockets; `queue_pairs` becomes the number of doorbells. 0, or -EPROTO with a text, and then none was taken.
 */
int vop_doorbells_take(struct vop_doorbells *d, const int *fds, unsigned queue_pairs);

/**
 * From now on nobody can send descriptors to this Unix socket, where the system can do that (Linux 6.16). Elsewhere
 * they arrive and are closed unseen.
 */
void vop_socket_refuse_fds(int socket);

/** Closes everything, the socket included. */
void vop_doorbells_close(struct vop_doorbells *d);

/* The wire operations that need nothing but doorbells. */
void vop_doorbells_kick(struct vop_doorbells *d, unsigned queue, enum vop_bell bell);
int vop_doorbells_wait(struct vop_doorbells *d, unsigned queue, enum vop_bell bell, int64_t timeout_ns);
int vop_doorbells_alive(struct vop_doorbells *d);
int vop_doorbells_watch(struct vop_doorbells *d, int epoll_fd);
int vop_doorbells_process(struct vop_doorbells *d, int epoll_fd);
void vop_doorbells_interrupt(struct vop_doorbells *d);

#endif
