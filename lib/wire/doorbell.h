/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * doorbell.h - doorbells made of socket pairs, and a socket whose hang-up is the peer's death: for wires within one
 * host.
 *
 * Room: wire. PROTOCOL.md, Doorbells, says why sockets: a peer must not be able to make a kick block. Doorbells are
 * made and exchanged in doorbell.c, rung and slept on in doorbell_sleep.c.
 */
#ifndef VOP_WIRE_DOORBELL_H
#define VOP_WIRE_DOORBELL_H

#include "wire/wire.h"

/** How two threads share a doorbell that stands for both events of a queue pair. All of it is atomic. */
struct vop__turns {
    int is_taken;     /* by the thread that sleeps on the doorbell, */
    uint32_t turn;    /* and this is what the other sleeps on: it counts the ends of such sleeps */
    uint32_t waiting; /* how many do */
};

struct vop__doorbells {
    int socket; /* to the peer; hangs up when it dies */
    unsigned queue_pairs;
    bool refuses_fds; /* no more descriptors come into the socket, */
    bool is_clean;    /* and none are there. Socket bell only */
    int is_deaf;      /* atomic: interrupted, so that the socket says nothing of the peer any more. Socket bell only */
    unsigned sleeps;  /* on the socket, as `kicks` below */
    struct vop__turns turns[VOP_QUEUE_PAIRS_MAX];
    struct vop__doorbell {
        int wait;            /* sleeping end of a pair of ours; no other process has it */
        int give;            /* its kicking end, for the peer; -1 once it was sent */
        int kick;            /* kicking end of the peer's pair; -1 until it came */
        int has_token;       /* atomic: one was taken by who sleeps on the same end for the other event */
        bool refuses_fds;    /* `wait` has refused descriptors from the beginning, so that none lie there */
        unsigned takes;      /* in an event loop, for hearing the socket now and then */
        unsigned kicks;      /* of the socket, for timing some of them */
        unsigned unseen;     /* so many kicks ago `kick` had no tokens left */
        unsigned slow_kicks; /* one after another: see doorbell_sleep.c */
        unsigned slow_takes;
    } bell[VOP_QUEUE_PAIRS_MAX][VOP__BELLS]; /* the same end may stand for both events of a pair */
};

/**
 * Makes our doorbells for `queue_pairs` queue pairs: one for each of the two events, or (`is_shared`) one for both.
 * Takes `socket` (on success only). 0 or -errno with a text.
 */
int vop__doorbells_open(struct vop__doorbells *d, int socket, unsigned queue_pairs, bool is_shared);

/**
 * Copies the ends to give away, in wire order: messages and slots of pair 0, of pair 1, ... Returns how many; an end
 * that stands for both is there twice.
 */
unsigned vop__doorbells_give(struct vop__doorbells *d, unsigned queue_pairs, int *ret_fds);

/** They are on their way: closes our descriptors of them, so that the peer's death is heard here. */
void vop__doorbells_given(struct vop__doorbells *d);

/**
 * Takes the ends that the peer gave, in the same order, after checking that each is one of a pair of Unix stream
 * sockets; `queue_pairs` becomes the number of doorbells. Of two descriptors of one end, the second is closed. 0, or
 * -EPROTO with a text and none taken.
 */
int vop__doorbells_take(struct vop__doorbells *d, const int *fds, unsigned queue_pairs);

/**
 * The link is up, and both sides have agreed on it (SOCKET_BELL): the socket is the doorbell of queue pair 0, for both
 * events and both ways. The ones that the pair had are closed.
 */
void vop__doorbells_use_socket(struct vop__doorbells *d);

/** Is the socket the doorbell of queue pair `queue`? */
static inline bool vop__doorbells_is_socket(const struct vop__doorbells *d, unsigned queue)
{
    return d->bell[queue][0].wait == d->socket;
}

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
int vop__doorbells_watch(struct vop__doorbells *d, unsigned queue, int epoll_fd);
int vop__doorbells_process(struct vop__doorbells *d, unsigned queue, int epoll_fd);
void vop__doorbells_interrupt(struct vop__doorbells *d);

#endif
