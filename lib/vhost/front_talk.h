/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * front_talk.h - a front end's talk with a back end, step by step: features, memory, queues, configuration.
 *
 * Room: vhost. Errors are those of vop_vhost_front_open() unless it is said.
 *
 *     vop__vhost_meet()        what the back end offers
 *     vop__vhost_own()         it is ours
 *     vop__vhost_accept()      what is used of it
 *     vop__vhost_show()        the memory
 *     vop__vhost_start()       a queue that lies there, and vop__vhost_stop()
 */
#ifndef VOP_VHOST_FRONT_TALK_H
#define VOP_VHOST_FRONT_TALK_H

#include "vhost/front_ask.h"
#include "vhost/socket.h"

/** A back end, as a front end has met it. */
struct vop__vhost_talk {
    struct vop__vhost_ask ask;
    struct vop__vhost_socket requests; /* the back end's own; its descriptor is -1: there are none */
    uint64_t offered;                  /* features of the device, and of rings */
    uint64_t protocol;                 /* protocol features in use */
    uint32_t queue_num;                /* 0: it does not say */
};

/** Where a queue lies, in addresses that the memory has for the back end. */
struct vop__vhost_place {
    uint32_t size;
    uint64_t desc, driver, device;
    bool is_packed;
};

/** Begins at a socket that is connected, and asks what is offered, within the time for one answer. `protocol` are the
 * protocol features to be used, as far as they are offered. It may be done again. */
int vop__vhost_meet(struct vop__vhost_talk *t, int socket, int timeout_ms, uint64_t protocol);

/** Becomes the owner of the back end, which it can be once (rust-vmm refuses the second time). What it opens
 * vop__vhost_part() closes. */
int vop__vhost_own(struct vop__vhost_talk *t);

/** Closes what vop__vhost_own() has opened, but for the socket, which was the caller's. */
void vop__vhost_part(struct vop__vhost_talk *t);

/** Accepts features, all of which were offered. */
int vop__vhost_accept(const struct vop__vhost_talk *t, uint64_t features);

/** Shows the memory; the descriptors stay the caller's. */
int vop__vhost_show(const struct vop__vhost_talk *t, const struct vop__vhost_region *regions, const int *fds,
                    unsigned count);

/** Starts a queue from the beginning. The descriptors stay the caller's: `kick` tells the device, `call` the driver. */
int vop__vhost_start(const struct vop__vhost_talk *t, unsigned index, const struct vop__vhost_place *place, int kick,
                     int call);

/** Stops it: the device does not touch it any more. */
int vop__vhost_stop(const struct vop__vhost_talk *t, unsigned index);

/** Reads and writes bytes of the configuration. -EOPNOTSUPP: it has none, or not so many. */
int vop__vhost_get_config(const struct vop__vhost_talk *t, uint32_t offset, void *ret_bytes, uint32_t size);
int vop__vhost_set_config(const struct vop__vhost_talk *t, uint32_t offset, const void *bytes, uint32_t size);

/** The driver begins anew, if the back end has a way to hear of it. */
int vop__vhost_reset_device(const struct vop__vhost_talk *t);

/** Takes what the back end has asked for by itself: 1 the configuration has changed, 0 nothing is there, or how the
 * channel has ended. */
int vop__vhost_hear(struct vop__vhost_talk *t);

#endif
