/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.h - one queue of the device: what the front end has said of it, and the virtqueue while it runs.
 *
 * Room: vhost. A queue runs while it has everything that it needs, and stops otherwise: a size, addresses that lie in
 * the memory, a descriptor for notifications, and, where the protocol has it, leave to run. It goes on where it
 * stopped.
 */
#ifndef VOP_VHOST_QUEUE_H
#define VOP_VHOST_QUEUE_H

#include "vhost/log.h"
#include "vhost/record.h"

#include <vopipc/vhost_user.h>

struct vop__vhost_queue;
struct vop__vhost_shared;

/** What the events of a virtqueue need to know. */
struct vop__vhost_running {
    struct vop__vhost_queue *queue;
    struct vop__vhost_shared *shared;
};

struct vop__vhost_queue {
    unsigned index;
    uint32_t num; /* entries */
    struct vop__vhost_addr addr;
    bool has_addr;
    bool is_started; /* SET_VRING_KICK came */
    bool is_enabled;
    bool is_drained;   /* it stopped with nothing in flight */
    uint16_t position; /* where it goes on, next to return: what was taken and not returned is taken again */
    int epoll;         /* where `kick` is watched: the device's, or that of the queue's group */
    int kick, call;    /* -1: none */
    bool kick_is_own;  /* notifications come as messages, and are put there */
    bool call_is_socket;
    vop_virtqueue *vq; /* while it runs */
    struct vop__vhost_running running;
};

/** What all queues of a device share. */
struct vop__vhost_shared {
    struct vop__vhost_memory memory;
    struct vop__vhost_dirty dirty;
    struct vop__vhost_record record;
    uint64_t features; /* that the driver accepted */
    bool is_logging;
    bool is_inband; /* notifications are messages, where there is no descriptor for them */
    int requests;   /* socket for messages of the back end's own; -1: none */
    const struct vop_vhost_user_events *events;
    void *context;
};

/** Nothing is known of it. Notifications are watched by `epoll`. */
void vop__vhost_queue_init(struct vop__vhost_queue *q, unsigned index, int epoll);

/** Starts the queue if it has all it needs and does not run: 0, or why it cannot: -EPROTO, -ENOMEM. */
int vop__vhost_queue_start(struct vop__vhost_queue *q, struct vop__vhost_shared *shared);

/** Stops the queue if it runs. */
void vop__vhost_queue_stop(struct vop__vhost_queue *q, struct vop__vhost_shared *shared);

/** Stops it, and forgets what the front end has said of it. */
void vop__vhost_queue_reset(struct vop__vhost_queue *q, struct vop__vhost_shared *shared);

/** The position as SET_VRING_BASE and GET_VRING_BASE have it. */
void vop__vhost_queue_set_base(struct vop__vhost_queue *q, uint64_t features, uint32_t base);
uint32_t vop__vhost_queue_base(const struct vop__vhost_queue *q, uint64_t features);

/** Takes a descriptor for notifications from the driver (-1: it polls), or for those to it. 0, or -EPROTO. */
int vop__vhost_queue_set_kick(struct vop__vhost_queue *q, int fd);
int vop__vhost_queue_set_call(struct vop__vhost_queue *q, int fd);

/** The driver has notified by a message. 0, -EPROTO: another way was agreed on, or -ENOMEM. */
int vop__vhost_queue_kicked(struct vop__vhost_queue *q);

/** Takes what the driver has notified. Does not wait. */
void vop__vhost_queue_take_kick(const struct vop__vhost_queue *q);

#endif
