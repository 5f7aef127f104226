/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resolver.h - the board's part of a device: its own rings, the device of the host's rings, and what joins them.
 *
 * Room: net2009. One thread.
 *
 *   board's driver          own rings        joints, DMA engine        host's rings            host's driver
 *   (frames.h)         queue 0  source  ------------------------>  sink    queue 0       (across the bus)
 *                      queue 1  sink    <------------------------  source  queue 1
 *
 * The own rings are plain memory of this process. What the host may name are bus addresses that the outbound window
 * shows: nothing of the board.
 */
#ifndef VOP_NET2009_RESOLVER_H
#define VOP_NET2009_RESOLVER_H

#include "net2009/engine.h"
#include "wire/mpc8349.h"
#include "wire/mpc8349_2009.h"

#include <vopipc/virtqueue.h>

struct vop__resolver;

struct vop__resolver_options {
    struct vop__engine *engine;
    const struct vop__mpc8349_end *end;
    const struct vop__window *host_block; /* through the outbound window */
    unsigned device;
    bool may_merge;
    const struct vop_virtqueue_events *events; /* of the host's queues, with `context` */
    void *context;
};

/** -ENOMEM, with a text. Makes the host's used rings anew. */
int vop__resolver_new(const struct vop__resolver_options *options, struct vop__resolver **ret_resolver);

/** The board's own queue in driver role: the caller takes both, and frees them before the resolver. NULL, with a text:
 * no memory. */
vop_virtqueue *vop__resolver_driver(struct vop__resolver *r, unsigned queue);

/** The host's queue, for its figures. */
const vop_virtqueue *vop__resolver_host(const struct vop__resolver *r, unsigned queue);

/** Does what there is to do now: 1 something was, 0 nothing, -EPROTO the host broke a queue. */
int vop__resolver_step(struct vop__resolver *r);

/** Before sleeping: 1 the host was asked to notify; 0 there is something to do, or the engine copies; -EPROTO. */
int vop__resolver_arm(struct vop__resolver *r);
void vop__resolver_disarm(struct vop__resolver *r);

/** Stops, and hears of copies that have ended. True: the engine has nothing any more. */
bool vop__resolver_stop(struct vop__resolver *r);

/** Frames that were dropped, and that failed. */
void vop__resolver_count(const struct vop__resolver *r, uint64_t *ret_dropped, uint64_t *ret_failed);

/** Once vop__resolver_stop() has said that nothing moves. NULL is allowed. */
void vop__resolver_free(struct vop__resolver *r);

#endif
