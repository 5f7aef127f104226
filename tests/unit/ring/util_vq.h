/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_vq.h - a virtqueue with one or both of its ends, each area in memory of its own, and every shared word by name.
 *
 * Room: tests. Where a test plays a peer, it stores words here from the virtio specification, not from lib/ring.
 */
#ifndef TESTS_UNIT_RING_UTIL_VQ_H
#define TESTS_UNIT_RING_UTIL_VQ_H

#include "support/test.h"

#include <vopipc/le.h>

#include <vopipc/virtqueue.h>

#define F(bit) ((uint64_t)1 << (bit))
#define F_INDIRECT F(VOP_F_INDIRECT_DESC)
#define F_EVENT F(VOP_F_EVENT_IDX)
#define F_ORDER F(VOP_F_IN_ORDER)
#define F_PACKED F(VOP_F_RING_PACKED)

#define DATA_ADDRESS 0x10000u /* what the device calls the first byte of the data; 2009 has 32 bits */
#define DATA_SIZE (1u << 20)
#define TABLE_ADDRESS 0x70000000u

enum ends {
    DRIVER = 1,
    DEVICE = 2,
    BOTH = 3
};

/** How to make a ring; zero is the default. */
struct vq_config {
    enum vop_ring_layout layout;
    uint64_t features; /* RING_PACKED is added for the packed layout */
    uint32_t size;
    enum ends ends;          /* 0: both */
    uint32_t tables_entries; /* of each of N tables; 0: 8 if INDIRECT is on */
    uint32_t threshold, after;
    uint32_t segments_max, bytes_max;
    uint32_t flags; /* of the options */
    uint32_t area_flags;
    bool resume;
    uint16_t position; /* both */
    bool no_callback;
    const struct vop_region *regions; /* the device's; NULL: data, tables */
    size_t region_count;
};

struct vq {
    struct vq_config config;
    struct vop_virtqueue_place place;
    uint8_t *data;
    struct vop_region regions[2];
    vop_virtqueue *driver, *device;
    unsigned rung[3];   /* [DRIVER]: notifications that the driver sent; [DEVICE]: that the device sent */
    uint32_t value[3];  /* what the last one said */
    unsigned called[3]; /* callbacks of that end */
    unsigned broken[3];
    bool keep;                                      /* what callbacks return */
    int (*drain)(struct vq *q, vop_virtqueue *end); /* run by callbacks */
};

void vq_open(struct vq *q, const struct vq_config *config);
void vq_close(struct vq *q);

/** Options for one end, as vq_open() uses them. */
struct vop_virtqueue_options vq_options(struct vq *q, enum ends end);

/** Memory for a queue of `size` entries in place `p`; vq_unplace() frees it. */
void vq_place(const struct vq_config *config, uint32_t size, struct vop_virtqueue_place *p);
void vq_unplace(struct vop_virtqueue_place *p);

/** Adds a buffer of `out` and `in` segments of `length` bytes each, from offset `at` of the data. */
int vq_add(struct vq *q, uint32_t at, unsigned out, unsigned in, uint32_t length, void *token);

/** Takes and completes all that is available, everything fully written: how many, or an error. */
int vq_serve(struct vq *q);

/** Gets all used buffers: how many, or an error. */
int vq_reap(struct vq *q);

/** What vop_virtqueue_get_info() says of an end. */
struct vop_virtqueue_info vq_info(const vop_virtqueue *vq);

/** The calls in which either role looks at the peer's index, before it waits or because it was notified. */
#define VQ_LOOKS 3
extern int (*const vq_look[VQ_LOOKS])(vop_virtqueue *vq);

/* ---- Shared words. A test that plays the peer uses these ---- */

void vq_desc(struct vq *q, uint32_t i, uint64_t addr, uint32_t len, uint32_t flags, uint32_t next);
void vq_table(void *at, uint32_t i, uint64_t addr, uint32_t len, uint32_t flags, uint32_t next);
void vq_ring(struct vq *q, uint32_t i, uint16_t head); /* avail.ring */
vop_le16 *vq_avail_flags(struct vq *q);
vop_le16 *vq_avail_idx(struct vq *q);
vop_le16 *vq_used_event(struct vq *q);
vop_le16 *vq_used_flags(struct vq *q);
vop_le16 *vq_used_idx(struct vq *q);
vop_le16 *vq_avail_event(struct vq *q);
vop_le32 *vq_used(struct vq *q, uint32_t i); /* id, then len */

/** Makes `heads` available, split, as the first ones. */
void vq_offer(struct vq *q, const uint16_t *heads, unsigned count);

/** A row of a table of hostile drivers: `play` makes something available, then the device takes. */
struct vq_row {
    const char *name;
    void (*play)(struct vq *q);
    int takes, last; /* the number of buffers, then the result after them: 0 or -EPROTO */
};

/**
 * Runs a row against a device of its own, from index 0 and from one that wraps, taking one by one and in batches, and
 * checks that a broken queue stays broken and calls nobody back.
 */
void vq_check_takes(const struct vq_row *row, uint32_t size, enum vop_ring_layout layout, uint64_t features);

#define P_AVAIL 0x80u
#define P_USED 0x8000u
/** Packed: stores a whole descriptor, flags as they are. */
void vq_packed(struct vq *q, uint32_t i, uint64_t addr, uint32_t len, uint32_t id, uint32_t flags);
/** The same for slot `i` from where the ring begins, with AVAIL and USED as in the lap of wrap counter 1. */
void vq_packed_from(struct vq *q, uint32_t i, uint64_t addr, uint32_t len, uint32_t id, uint32_t flags);
uint32_t vq_packed_flags(struct vq *q, uint32_t i);
uint32_t vq_packed_id(struct vq *q, uint32_t i);

static inline void put16(vop_le16 *p, uint32_t v)
{
    *p = vop_to_le16((uint16_t)v);
}

static inline void put32(vop_le32 *p, uint32_t v)
{
    *p = vop_to_le32(v);
}

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#endif
