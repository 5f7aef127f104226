/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - what a wire is: two halves of memory, a doorbell each way, and news of the peer's death.
 *
 * Room: wire. A wire knows nothing of rings or messages. Each wire embeds struct vop__wire in a struct of its own.
 */
#ifndef VOP_WIRE_WIRE_H
#define VOP_WIRE_WIRE_H

#include "core/window.h"

#include <stdbool.h>
#include <sys/types.h>
#include <vopipc/abi.h>

struct vop__wire;

/** Which of its two events a queue pair kicks for. A sending and a receiving thread can sleep side by side. */
enum vop__bell {
    VOP__BELL_MESSAGES = 0, /* used.idx moved */
    VOP__BELL_SLOTS = 1,    /* avail.idx moved */
};

#define VOP__BELLS 2u /* of each queue pair */

#define VOP__KEPT_MAX (1u + 2 * VOP_QUEUE_PAIRS_MAX) /* stretches: queues, and two of each pool with messages */

/**
 * Operations of a wire, a const table for each kind of wire. Calls for different queues or bells may run in different
 * threads at once, and kicks for the same one; mirror and close only while nothing else runs.
 */
struct vop__wire_ops {
    const char *name;

    /**
     * Leaves a token in the peer's doorbell, unless there is one. Never blocks. 0, or -EPROTO with a text: the peer has
     * made this dear, and it need not be tried again.
     */
    int (*kick)(struct vop__wire *wire, unsigned queue, enum vop__bell bell);

    /**
     * Sleeps until there is a token in this side's doorbell, which it takes, or until the peer is dead.
     * May block, for timeout_ns (VOP__NEVER: no limit). Returns 1 a token, 0 time is up, -EINTR, -ECONNRESET dead,
     * -EPROTO (with a text) the peer did to the doorbell what breaks the protocol; or another error (with a text): the
     * kernel does not let this side sleep.
     */
    int (*wait)(struct vop__wire *wire, unsigned queue, enum vop__bell bell, int64_t timeout_ns);

    /** 0, or -ECONNRESET once the peer is dead. Never blocks; costs a system call. */
    int (*alive)(struct vop__wire *wire);

    /** Adds to an epoll instance all that makes wait() return: doorbells of a queue pair, death. 0 or -errno. */
    int (*watch)(struct vop__wire *wire, unsigned queue, int epoll_fd);

    /**
     * Takes what an epoll instance set up by watch() announces: tokens of doorbells. Never blocks, whatever the peer
     * does to what is shared. 0 or, where the wire is watched, 1 if there were tokens; -ECONNRESET and -EPROTO as in
     * wait().
     */
    int (*process)(struct vop__wire *wire, unsigned queue, int epoll_fd);

    /** Ends every wait of this side, on all queues, now and from now on, as a death would. NULL where a wait is never
     * long. */
    void (*interrupt)(struct vop__wire *wire);

    /**
     * Maps a stretch of a half twice, back to back. NULL if this memory cannot: the caller uses the window.
     * The wire unmaps it at close.
     */
    void *(*mirror)(struct vop__wire *wire, bool remote, size_t offset, size_t size);

    /** Undoes every mirror: another session is about to begin, perhaps of another geometry. NULL where there are none.
     */
    void (*unmirror)(struct vop__wire *wire);

    /**
     * Sees to it that there is memory for a stretch of the remote half: 0, or -ENOMEM. NULL where there always is.
     */
    int (*bring)(struct vop__wire *wire, size_t offset, size_t size);

    /** In a child of fork(), before close(): the memory is not mapped there, so nothing is to be unmapped. */
    void (*forget)(struct vop__wire *wire);

    /**
     * The peer may still read this stretch of its half, so close() leaves it. All else of both halves it gives back to
     * the system, whoever still has descriptors of it. At most VOP__KEPT_MAX stretches, in rising order. NULL: the
     * memory is not the wire's, and stays.
     */
    void (*keep)(struct vop__wire *wire, size_t offset, size_t size);

    /** Unmaps, closes, frees. The peer hears it as a death. */
    void (*close)(struct vop__wire *wire);
};

/** The part that all wires share. Constant once the wire is open. */
struct vop__wire {
    const struct vop__wire_ops *ops;
    struct vop__window local;  /* the half this side reads */
    struct vop__window remote; /* the half this side writes */
    unsigned side;             /* 0 or 1 */
    unsigned queue_pairs;      /* that can be rung for: more are not to be offered */
    uint32_t features;         /* bits 0 to 31 that this wire offers beside those of every link (abi.h) */
    bool watched;              /* hears no death, may lose a kick: the channel keeps a heartbeat and looks unkicked */
    bool polled;               /* watched, and has no doorbell at all: kicks go nowhere */
    uint16_t system;           /* watched: names the system in which no other process has this side; 0: unknown */
    uint32_t doorbell;         /* address of this side's doorbell, to be announced; 0: it has no address */
    uint32_t peer_doorbell;    /* as the peer announced it; set once, by the channel, before the first kick */
    unsigned storms;           /* atomic: times that its interrupts came too often to be let through (storm.h) */
    int socket;                /* shm: to the peer; -1: not yet */
    pid_t peer_pid;            /* the peer's process, if the wire knows it; else -1 */
    uid_t peer_uid;
    gid_t peer_gid;
};

#endif
