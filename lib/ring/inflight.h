/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inflight.h - the record of the buffers that a device holds, in memory that outlives it.
 *
 * Room: ring. The record has the form that vhost-user's specification proposes (Inflight I/O tracking), in the byte
 * order of this machine. Whoever keeps it for the device may change it, so it is read once, when a queue begins, and
 * checked; from then on the device decides from private copies and only stores.
 *
 * Each step leaves a record from which the next device finds the truth, wherever this one is killed. It stands in the
 * order of the program: a process that is killed has done all its stores up to some point, and none behind it.
 */
#ifndef VOP_RING_INFLIGHT_H
#define VOP_RING_INFLIGHT_H

#include "ring/packed.h"
#include "ring/vq_device.h"

/* ---- In the record ---- */

struct vop__inflight_split_desc {
    uint8_t inflight; /* of a head */
    uint8_t padding[5];
    uint16_t next;    /* of the last batch: the one before */
    uint64_t counter; /* of a head: the order in which they were taken */
};

struct vop__inflight_split {
    uint64_t features;
    uint16_t version;  /* 0: nothing was recorded yet */
    uint16_t desc_num; /* N */
    uint16_t last_batch_head;
    uint16_t used_idx;
    struct vop__inflight_split_desc desc[];
};
VOP_STATIC_ASSERT(sizeof(struct vop__inflight_split) == 16 && sizeof(struct vop__inflight_split_desc) == 16,
                  "vhost-user, Inflight I/O tracking");

struct vop__inflight_packed_desc {
    uint8_t inflight; /* of the first of a list */
    uint8_t padding;
    uint16_t next;    /* in the list, or in that of the free ones; N ends it */
    uint16_t last;    /* of the first of a list */
    uint16_t num;     /* likewise: how many it has */
    uint64_t counter; /* likewise: the order in which they were taken */
    uint16_t id;
    uint16_t flags;
    uint32_t len;
    uint64_t addr;
};

struct vop__inflight_packed {
    uint64_t features;
    uint16_t version;
    uint16_t desc_num;
    uint16_t free_head;
    uint16_t old_free_head; /* as it was after the last batch, or the last buffer taken */
    uint16_t used_idx;
    uint16_t old_used_idx;
    uint8_t used_wrap_counter;
    uint8_t old_used_wrap_counter;
    uint8_t padding[10];
    struct vop__inflight_packed_desc desc[];
};
VOP_STATIC_ASSERT(sizeof(struct vop__inflight_packed) == 32 && sizeof(struct vop__inflight_packed_desc) == 32,
                  "vhost-user, Inflight I/O tracking");

/* ---- Private ---- */

/** A buffer that an earlier device left. */
struct vop__left {
    uint64_t counter;
    uint32_t at;     /* split: its head. packed: its first entry in the record */
    uint32_t copies; /* packed: the first of its descriptors in `copies` */
    uint32_t descs;  /* packed */
};

struct vop__inflight {
    uint32_t size; /* N */
    struct vop__inflight_split *split;
    struct vop__inflight_packed *packed;
    uint64_t counter;          /* of the next buffer */
    struct vop__left *left;    /* in the order they were taken; the queue's first buffers */
    uint32_t left_count;       /* ... */
    uint32_t left_descs;       /* packed: descriptors in all of them */
    struct vop__desc *copies;  /* packed: of these */
    struct vop__position used; /* where the queue goes on: split, the index */
    uint16_t *done;            /* what the next publication returns. split: heads. packed: first entries */
    uint32_t done_count;
    uint16_t *next, *last; /* packed: as in the record */
    uint16_t *entry;       /* packed: the first entry of a handle */
    uint32_t free_head;    /* packed */
};

/**
 * Reads the record of a place, or begins one there. `place`, which was checked, is changed to where the queue goes on.
 * -EINVAL: it is the record of no such queue; -ENOMEM.
 */
int vop__inflight_open(struct vop_virtqueue_place *place, bool packed, struct vop__inflight **ret_record);
void vop__inflight_free(struct vop__inflight *f);

/** Is this buffer one that was left? The first ones of a queue are. */
static inline bool vop__inflight_is_left(const struct vop__inflight *f, uint64_t seq)
{
    return seq < f->left_count;
}

/** A head was taken, or put back. */
void vop__inflight_split_took(struct vop__inflight *f, uint32_t head);
void vop__inflight_split_untook(struct vop__inflight *f, uint32_t head);

/** Around the store that shows `f->done` to the driver: used.idx becomes `idx`. */
void vop__inflight_split_begin(struct vop__inflight *f);
void vop__inflight_split_end(struct vop__inflight *f, uint16_t idx);

/** `descs` descriptors from `at` on were taken as `handle`, or one that was left; or put back. */
void vop__inflight_packed_took(struct vop__inflight *f, uint32_t handle, const struct vop__packed_desc *ring,
                               uint32_t at, uint32_t descs);
void vop__inflight_packed_untook(struct vop__inflight *f, uint32_t handle);

/** Around the store that shows `f->done` to the driver, after which the next to become used is at `used`. */
void vop__inflight_packed_begin(struct vop__inflight *f, const struct vop__position *used);
void vop__inflight_packed_end(struct vop__inflight *f);

/** A buffer will be returned by the next publication: its head, or the first entry of its handle. */
static inline void vop__inflight_done(struct vop__inflight *f, uint32_t at)
{
    f->done[f->done_count++] = (uint16_t)at;
}

#endif
