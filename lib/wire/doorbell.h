/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.h - doorbells made of socket pairs, and a socket whose hang-up is the peer's death: for wires within one
 * host.
 *
 * Room: wire. PROTOCOL.md, Doorbells, says why socket pairs: a peer must not be able to make a kick block.
 */
#ifndef VOP_WIRE_DOORBELL_H
#define VOP_WIRE_DOORBELL_H

#include "wire/wire.h"

struct vop__doorbells {
    int socket; /* to the peer; hangs up when it dies */
    unsigned queue_pairs;
    struct vop__doorbell {
        int wait;            /* sleeping end of a pair of ours; no other process has it */
        int give;            /* its kicking end, for the peer; -1 once it was sent */
        int kick;            /* kicking end of the peer's pair; -1 until it came */
        unsigned slow_kicks; /* one after another: see doorbell.c */
        unsigned slow_takes;
    } bell[VOP_QUEUE_PAIRS_MAX][VOP__BELLS];
};

/** Makes our doorbells for `queue_pairs` queue pairs. Takes `socket` (on success only). 0 or -errno with a text. */
int vop__doorbells_open(struct vop__doorbells *d, int socket, unsigned queue_pairs);

/** Copies the ends to give away, in wire order: messages and slots of pair 0, of pair 1, ... Returns how many. */
unsigned vop__doorbells_give(struct vop__doorbells *d, unsigned queue_pairs, int *ret_fds);

/** They are on their way: closes our descriptors of them, so that the peer's death is heard here. */
void vop__doorbells_given(struct vop__doorbells *d);

/**
 * Takes the ends that the peer gave, in the same order, after checking that each is one of a pair of Unix stream
 * sockets; `queue_pairs` becomes the number of doorbells. 0, or -EPROTO with a text and none taken.
 */
int vop__doorbells_take(struct vop__doorbells *d, const int *fds, unsigned queue_pairs);

/** Most descriptors of a link's doorbells, the socket included. */
#define VOP__DOORBELL_FDS (1 + 3 * VOP__BELLS * VOP_QUEUE_PAIRS_MAX)

/** The peer hears the end at once. */
void vop__doorbells_hang_up(const struct vop__doorbells *d);

/**
 * Gives out everything that is left to be closed. A peer can have put descriptors into each of these sockets: they are
 * for the closer (sys/closer.h). Returns how many.
 */
unsigned vop__doorbells_leave(struct vop__doorbells *d, int *ret_fds);

/** Hangs up, and lets the closer close everything. */
void vop__doorbells_close(struct vop__doorbells *d);

/* What a wire does with them: as the operations of the same names in wire.h. */
int vop__doorbells_kick(struct vop__doorbells *d, unsigned queue, enum vop__bell bell);
int vop__doorbells_wait(struct vop__doorbells *d, unsigned queue, enum vop__bell bell, int64_t timeout_ns);
int vop__doorbells_alive(struct vop__doorbells *d);
int vop__doorbells_watch(struct vop__doorbells *d, int epoll_fd);
int vop__doorbells_process(struct vop__doorbells *d, int epoll_fd);
void vop__doorbells_interrupt(struct vop__doorbells *d);

#endif
