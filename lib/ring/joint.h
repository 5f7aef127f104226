/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * joint.h - joins two virtqueues: what the driver of one gives to read goes into what the driver of the other gives to
 * write. A copy engine moves the bytes, and may take its time (PROTOCOL.md, The 2009 layout, Joining the buffers).
 *
 * Room: ring. It is the device of both queues, and knows neither buses nor network frames. One thread.
 *
 *   source queue    chain to read    ----  pieces that lie in one segment of each  ---->    chain to write    sink
 * queue jobs of the engine
 *
 * Both chains are returned when the engine has said of every piece that it is there: in the order of the source's
 * chains, elements first, then the index, and one notification for all that a step has returned.
 *
 * The queues' regions say where the engine finds a segment: their bases are never dereferenced, so they may be
 * addresses of its own.
 */
#ifndef VOP_RING_JOINT_H
#define VOP_RING_JOINT_H

#include <vopipc/virtqueue.h>

struct vop__joint;

/** What copies. None may block; none may call the joint. */
struct vop__copy_ops {
    /**
     * Begins to copy `size` bytes. 1: they are there already. 0: poll() will say when, by `job`. -EAGAIN: it has no
     * room now; the same piece comes again. Another -errno: they will not be there.
     */
    int (*copy)(void *context, void *to, const void *from, size_t size, uint32_t job);

    /** 1: a job has ended, well (*ret_error is 0) or not (-errno). 0: none has. NULL where copy() never returns 0. */
    int (*poll)(void *context, uint32_t *ret_job, int *ret_error);

    /** Stores a few bytes, after all that has been copied and before all that will be. */
    void (*put)(void *context, void *to, const void *from, size_t size);
};

struct vop__joint_options {
    vop_virtqueue *source, *sink; /* device role both; the caller keeps them */
    const struct vop__copy_ops *ops;
    void *context;
    bool may_merge;       /* a chain to read may go into several chains to write (MRG_RXBUF), */
    uint32_t count_at;    /* and how many is stored little-endian in 16 bits at this offset of the first one: */
    bool count_in_source; /* where put() reaches the source only: in it, before it is copied. Else in the sink, last */
};

/** What has come of the chains so far. */
struct vop__joint_counts {
    uint64_t moved;   /* chains of the source whose bytes are there */
    uint64_t bytes;   /* of them */
    uint64_t sinks;   /* chains of the sink that they filled */
    uint64_t dropped; /* they were too large for a chain of the sink, or for all of them, or too small for the count */
    uint64_t failed;  /* the engine had an error */
    uint64_t calls;   /* notifications of either driver */
};

/** -ENOMEM, with a text. */
int vop__joint_new(const struct vop__joint_options *options, struct vop__joint **ret_joint);

/**
 * Does what there is to do now: hears of jobs that have ended, returns chains, begins others. 1 something was done; 0
 * there is nothing until a driver notifies or a job ends; -EPROTO one of the queues broke (the text says how), or an
 * error of notify(). After an error: stop, step until it is idle, and begin anew.
 */
int vop__joint_step(struct vop__joint *j);

/**
 * Before sleeping, once there is nothing to do: asks the drivers to notify of what the joint waits for. 1 asked; 0
 * there is something already, or the engine has jobs; or an error of notify().
 */
int vop__joint_arm(struct vop__joint *j);

/** Takes that back: the drivers need not notify. */
void vop__joint_disarm(struct vop__joint *j);

/** Begins no more chains. Jobs that the engine has go on: step until vop__joint_is_idle(). */
void vop__joint_stop(struct vop__joint *j);

/** Does the engine hold no job? Only then may a queue be reset, or memory be taken away. */
bool vop__joint_is_idle(const struct vop__joint *j);

void vop__joint_get_counts(const struct vop__joint *j, struct vop__joint_counts *ret_counts);

/** Frees it; it must be idle. NULL is allowed. Chains that it holds are not returned. */
void vop__joint_free(struct vop__joint *j);

#endif
