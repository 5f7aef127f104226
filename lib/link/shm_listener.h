/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm_listener.h - the listening side of the scheme shm.
 *
 * Room: link.
 */
#ifndef VOP_LINK_SHM_LISTENER_H
#define VOP_LINK_SHM_LISTENER_H

#include "channel/life.h"
#include "channel/options.h"
#include "link/scheme.h"
#include "wire/shm.h"

/** What options come to on this wire: the same for either side. */
static inline struct vop__shm_want vop__shm_want_of(const struct vop_options *options)
{
    struct vop__geometry geometry = vop__options_geometry(options, VOP_QUEUE_PAIRS_MAX);

    return (struct vop__shm_want){
        .half_size = (size_t)vop__geometry_offer_size(&geometry),
        .queue_pairs = geometry.queue_pairs,
        .one_bell = options->doorbells < 2,
        .futex = options->futex,
        .half_max = options->half_max_kib * UINT64_C(1024),
    };
}

/** The channel is up: its wire gives up what it needed on the way, and rings as both sides have agreed. */
static inline void vop__shm_up(struct vop__wire *wire, struct vop_channel *channel)
{
    if (vop__shm_settle(wire, vop__channel_half_size(channel, false), vop__channel_half_size(channel, true),
                        vop__channel_first_slot(channel)))
        vop__channel_lost_slots(channel);
    if (vop__channel_has(channel, VOP_F_SOCKET_BELL))
        vop__shm_use_socket(wire);
}

/* Operations of a scheme (scheme.h). */
int vop__shm_listener_open(const char *path, const struct vop_options *options, struct vop_listener **ret_listener);
int vop__shm_listener_accept(struct vop_listener *listener, struct vop_channel **ret_channel);
int vop__shm_listener_fd(const struct vop_listener *listener);
void vop__shm_listener_wake(struct vop_listener *listener);
void vop__shm_listener_close(struct vop_listener *listener);

#endif
