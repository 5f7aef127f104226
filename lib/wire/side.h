/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * side.h - one end of memory that is there already, for as long as this process may want a link there.
 *
 * Room: wire. Such memory is found in place: a virtual machine's ivshmem device or its file on the host, a board behind
 * PCI. A process takes a side of it, and until it gives it back no other process of this system has that side. There is
 * one wire at a time on it, for one session each. Each kind embeds struct vop__side in a struct of its own.
 */
#ifndef VOP_WIRE_SIDE_H
#define VOP_WIRE_SIDE_H

#include "wire/wire.h"

struct vop__side;

/** Operations of a side, a const table for each kind of memory. None blocks. */
struct vop__side_ops {
    /**
     * Where the memory of the other side becomes known only when it says so: goes on to learn it. 1: `remote` is there,
     * and a wire that was made since is still good. 0: not yet, or not any more; what the other side must do first, or
     * has done. -EPROTO with a text: what it says cannot be used. One thread, while no other uses a wire. NULL: the
     * memory is there as long as the side.
     */
    int (*meet)(struct vop__side *s);

    /** A wire for a session: NULL if one still exists, or (with a text) if there is no memory. */
    struct vop__wire *(*wire)(struct vop__side *s);

    /** 0, or -ENODEV with a text: its memory was taken away, and all that can be done is to close the side. */
    int (*check)(const struct vop__side *s);

    /** In a child of fork(), before close(): the memory is not mapped there, so nothing is to be unmapped. */
    void (*forget)(struct vop__side *s);

    /** Does the name lead to other memory by now, so that nobody who comes later finds this one? NULL: it cannot. */
    bool (*is_replaced)(const struct vop__side *s);

    /** Gives the side back; a wire on it lives on. */
    void (*close)(struct vop__side *s);
};

/** The part that all sides share. Constant once the side is open, except where marked. */
struct vop__side {
    const struct vop__side_ops *ops;
    struct vop__window remote; /* the half that this side writes; before meet() its size is the most it can have */
    unsigned number;           /* 0 or 1 */
    unsigned queue_pairs;      /* that its wires have: how many it can be rung for, or fewer, set before the first */
    uint16_t system;           /* names the lock that keeps other processes out of this side; 0: there is none */
    int busy;                  /* atomic: there is a wire */
    char *name;                /* what the URI says, for texts */
};

/**
 * A number for a lock that is the same for all programs of this system that compete for it, and most likely for no
 * others: `device` says which of the locks that there are. 0: unknown.
 */
uint16_t vop__side_lock_name(const char *device);

/** Is there a wire? Any thread. */
static inline bool vop__side_is_busy(const struct vop__side *s)
{
    return __atomic_load_n(&s->busy, __ATOMIC_ACQUIRE);
}

/** Opens the side that a URI names after its colon. 0 or -errno with a text. */
typedef int vop__side_open_fn(const char *rest, struct vop__side **ret_side);

#endif
