/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames.h - a network driver's two queues and their buffers: messages in, messages out.
 *
 * Room: net2009. Where the queues lie and who is their device, it does not know. One thread.
 *
 *   memory   | 64 buffers to send from | 64 buffers, or fewer and larger ones, to receive into |
 *
 * A message to send takes as many buffers as it needs, as one chain. A received one is one chain, or several if the
 * device may merge; then its header says how many.
 */
#ifndef VOP_NET2009_FRAMES_H
#define VOP_NET2009_FRAMES_H

#include "wire/mpc8349_2009.h"

#include <vopipc/virtqueue.h>

struct vop__frames_buf {
    unsigned number; /* of the buffer */
    uint32_t length; /* bytes received */
};

struct vop__frames {
    vop_virtqueue *rx, *tx; /* driver role; NULL: there is no session */
    uint8_t *memory;
    uint32_t size; /* of a buffer to send from */
    bool is_merging;
    uint32_t rx_size;
    unsigned rx_count;

    struct vop__frames_buf held[VOP__2009_N]; /* of the message that is received */
    struct iovec peeked[VOP__2009_N];
    unsigned held_count;
    unsigned returned; /* buffers added that the device was not told of */
    uint64_t malformed;

    uint8_t unused[VOP__2009_N]; /* buffers that can be sent from, a stack: those used last come first, so that */
    unsigned unused_count;       /* the descriptor that is free now is most likely theirs already */
    uint8_t next[VOP__2009_N];   /* of a message's buffers; the last one is its own next */
    struct iovec room[VOP__2009_N];
    bool is_asked[VOP__2009_QUEUES]; /* rx, tx: the device was asked to notify */
};

/** Bytes of memory that are used, if there are `size`. 0: there are too few. */
uint32_t vop__frames_buffer_size(size_t size);

/** `memory` stays the caller's; buffers to send from have `size` bytes, vop__frames_buffer_size(). */
void vop__frames_init(struct vop__frames *f, uint8_t *memory, uint32_t size);

/** Bytes of the longest message that can be sent, and received by merging. */
static inline size_t vop__frames_message_max(const struct vop__frames *f)
{
    return (size_t)f->size * VOP__2009_N;
}

/** A session begins with these queues, which are taken. Messages of up to `longest` bytes will come, each in one chain
 * unless the device merges. */
void vop__frames_open(struct vop__frames *f, vop_virtqueue *rx, vop_virtqueue *tx, bool is_merging, size_t longest);

/** Gives the device all buffers to receive into. 0 or -errno. */
int vop__frames_offer(struct vop__frames *f);

/** The session is over, and the device can reach nothing any more. */
void vop__frames_close(struct vop__frames *f);

/* As in net2009.h, for a session. -EPROTO: a queue is broken. */
int vop__frames_peek(struct vop__frames *f, struct vop_net2009_message *ret_message);
int vop__frames_release(struct vop__frames *f);
int vop__frames_reserve(struct vop__frames *f, size_t length, struct vop_net2009_message *ret_message);
int vop__frames_commit(struct vop__frames *f, size_t length);
int vop__frames_flush(struct vop__frames *f);
int vop__frames_arm(struct vop__frames *f, bool for_room);

/** After a notification: none is wanted until the next arm. */
void vop__frames_disarm(struct vop__frames *f);

#endif
