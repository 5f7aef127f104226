/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vq.h - what the engines of all layouts and roles have in common.
 *
 * Room: ring. Theory of operation
 *
 *     <vopipc/virtqueue.h>             checks the role and the queue's state, then calls through
 *       virtqueue.c                    the queue's const table of operations
 *         |
 *         +- split_driver.c  packed_driver.c      over  vq_driver.{h,c}   (tokens, ids, lengths, in-order batches)
 *         +- split_device.c  packed_device.c      over  vq_device.{h,c}   (handles, in-order batches, chains)
 *         |                                        |
 *         +----------------------------------------+--- vq.c        (why a queue broke; notifying the peer)
 *
 * Ring state lies apart from ring memory. A side decides from private state only: what it wrote it never loads again,
 * and what the peer wrote it loads once for each decision, checks, and uses from the private copy. Each buffer
 * in flight has a private record; returned ids are checked against nothing else, and freeing follows nothing else.
 *
 * All counters of buffers are 64 bits wide and never wrap; the 16-bit indexes on the wire are made from them.
 *
 * A violation breaks the queue (vop__vq_break): from then on every call returns -EPROTO and touches no shared word.
 */
#ifndef VOP_RING_VQ_H
#define VOP_RING_VQ_H

#include "core/error.h"
#include "core/window.h"
#include "ring/regions.h"

#include <vopipc/virtqueue.h>

struct vop__inflight;

enum vop__record_state {
    VOP__RECORD_FREE = 0,
    VOP__RECORD_HELD = 1, /* driver: added, not returned. device: taken, not completed */
    VOP__RECORD_DONE = 2, /* device with IN_ORDER: completed, but not yet its turn */
};

/** Private record of a buffer. Driver: indexed by the id it used. Device: by the handle it gave to the application. */
struct vop__record {
    union {
        void *token; /* driver */
        struct {
            uint32_t len;   /* device: bytes it wrote */
            uint16_t id;    /* device: goes into the used element */
            uint16_t order; /* device with IN_ORDER: a column of its own, the handles in the order they were taken */
        };
    };
    uint64_t seq;      /* number of buffers added, or taken, before this one */
    uint32_t writable; /* bytes that the device may write */
    uint16_t descs;    /* descriptors it takes in the ring */
    uint16_t next;     /* the free list: of descriptors (split driver), of ids or handles (packed) */
    uint8_t state;     /* enum vop__record_state */
};

/**
 * One layout in one role. No entry blocks; the caller of the queue locks. The queue is alive and the role is right when
 * an entry is called (virtqueue.c), and entries of the other role are NULL. -EPROTO: the queue broke.
 */
struct vop__vq_ops {
    size_t state_size; /* bytes of the struct that begins with struct vop_virtqueue */
    /** Initialises state and every shared word this role writes. The state after struct vop_virtqueue is zero. */
    void (*start)(struct vop_virtqueue *vq, const struct vop_virtqueue_place *place);
    /** Driver. 0, -EINVAL, or the result of vop__vq_full(). */
    int (*add)(struct vop_virtqueue *vq, const struct iovec *segments, uint32_t out, uint32_t in, void *token);
    /** Driver. Gets up to `max`, at most INT32_MAX: how many, or -EPROTO if the first one broke the queue. */
    int (*get)(struct vop_virtqueue *vq, struct vop_used_buf *ret_bufs, uint32_t max);
    /** Device. Takes up to `max`, at most INT32_MAX: how many; -ENOBUFS or -EPROTO if the first one failed so. */
    int (*take)(struct vop_virtqueue *vq, struct iovec *iov, uint32_t iov_count, struct vop_taken_buf *ret_bufs,
                uint32_t max);
    /** Device. `handle` is held and was taken last. */
    void (*untake)(struct vop_virtqueue *vq, uint32_t handle);
    /** Device. 0, or -EINVAL at the first one that is not held or too long; nothing after it is completed. */
    int (*complete)(struct vop_virtqueue *vq, const struct vop_completed_buf *bufs, uint32_t count);
    /** Makes visible what was added or completed. True: the peer wants to be notified. */
    bool (*publish)(struct vop_virtqueue *vq);
    /** Looks whether there is something to get or take: 1, 0, -EPROTO. */
    int (*pending)(struct vop_virtqueue *vq);
    /** Asks the peer to notify after `delay` more than the next, and fences for the look that follows. */
    void (*arm)(struct vop_virtqueue *vq, bool delay);
    /** Asks the peer not to notify. */
    void (*disarm)(struct vop_virtqueue *vq);
};

extern const struct vop__vq_ops vop__split_driver_ops;
extern const struct vop__vq_ops vop__split_device_ops;
extern const struct vop__vq_ops vop__packed_driver_ops;
extern const struct vop__vq_ops vop__packed_device_ops;
extern const struct vop__vq_ops vop__split_big_driver_ops; /* big.h */
extern const struct vop__vq_ops vop__split_big_device_ops;
extern const struct vop__vq_ops vop__split_big_recorded_ops;
extern const struct vop__vq_ops vop__split_recorded_ops; /* devices that are logged or keep an inflight record */
extern const struct vop__vq_ops vop__packed_recorded_ops;

/** The part of a queue that is the same in all layouts and roles. Each engine's state begins with it. */
struct vop_virtqueue {
    const struct vop__vq_ops *ops;
    struct vop__record *records; /* N */
    uint32_t size;               /* N */
    uint32_t segments_max;
    uint32_t bytes_max;
    uint32_t single_max;  /* bytes of a buffer that may take the short path; 2009: none, its addresses need a check */
    uint64_t address_max; /* driver: of the last byte of a segment on the wire */
    bool in_order;
    bool event_idx;
    bool indirect;
    bool first;   /* the next publication notifies without asking */
    bool owed;    /* the last notification failed */
    bool armed;   /* this side wants notifications */
    bool stopped; /* shut down */
    bool broken;
    bool is_logged;         /* somebody wants to hear what is stored */
    uint16_t position;      /* next to make available or to take, as in struct vop_virtqueue_place */
    uint16_t used_position; /* next to get back or to return */

    struct vop__window desc;   /* areas */
    struct vop__window driver; /* ... */
    struct vop__window device; /* ... */

    struct vop__regions regions;
    struct vop__inflight *inflight; /* device: NULL: no record */

    struct vop__window tables; /* driver: memory for indirect tables */
    uint64_t tables_address;
    uint32_t tables_entries; /* in each; 0: no tables */
    uint32_t tables_count;   /* ids below this have one */

    uint32_t in_flight; /* buffers held */
    uint64_t buffers;   /* added or taken since the start */
    uint64_t notified;
    uint64_t clamped;
    uint32_t detach_at; /* where detaching goes on */
    char why[192];      /* broken: by whom, and how */

    struct vop_virtqueue_options options; /* resolved; its place is the current one */
};

/** 0, or -EPROTO with a text that says why the queue is broken. */
int vop__vq_health(const struct vop_virtqueue *vq);

/** Breaks the queue, if it is not broken yet: the first reason is the one that counts. */
void vop__vq_break_for(struct vop_virtqueue *vq, const char *who, const char *what);

/** Breaks the queue, if it is not broken yet, and says what the peer did. Returns -EPROTO. */
int vop__vq_break(struct vop_virtqueue *vq, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/**
 * Publishes, and notifies if the peer wants that: 1 notified, 0 not, or the error of notify(). A notification that
 * failed is still owed and tried again: nothing else will announce what was published.
 */
int vop__vq_publish(struct vop_virtqueue *vq);

/** A buffer of `descs` descriptors did not fit: kicks and returns -ENOSPC; -EINVAL if it never will. */
int vop__vq_full(struct vop_virtqueue *vq, uint32_t descs) __attribute__((cold));

/** Says that a device has stored these bytes of its areas, if it is logged. */
static inline void vop__vq_stored(const struct vop_virtqueue *vq, const void *base, size_t size)
{
    if (vq->is_logged)
        vq->options.events->stored(vq->options.context, base, size);
}

static inline bool vop__vq_feature(const struct vop_virtqueue_options *options, unsigned bit)
{
    return options->features[bit / 32] >> (bit % 32) & 1;
}

#endif
