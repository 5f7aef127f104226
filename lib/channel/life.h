/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * life.h - a channel from its wire to its end, for the schemes that make channels (lib/link).
 *
 * Room: channel, its fourth step. A scheme makes a channel on a wire, steps it until it is up, and hands it over; or
 * closes it with vop_channel_close(). All in one thread.
 */
#ifndef VOP_CHANNEL_LIFE_H
#define VOP_CHANNEL_LIFE_H

#include "core/share.h"
#include "wire/wire.h"

#include <vopipc/channel.h>

/**
 * Makes a channel on an open wire, with every descriptor that it will need, and announces it (HELLO). Takes the wire on
 * success only. `options` are resolved (channel/options.h). 0 or -errno with a text.
 */
int vop__channel_new(struct vop__wire *wire, const struct vop_options *options, struct vop_channel **ret_channel);

/** Takes a share that the channel holds until it is closed: so whoever made it can count those that live. Once. */
void vop__channel_count(struct vop_channel *c, struct vop__share *share);

/** Goes on with the handshake as far as the peer's half allows: 1 up, 0 the peer must act first, -errno with a text. */
int vop__channel_step(struct vop_channel *c);

/** Has a step found the peer's announce block, and answered it (READY)? */
bool vop__channel_has_answered(const struct vop_channel *c);

/** The number of queue pairs in the peer's announce block, once it was answered; and the number in force. */
unsigned vop__channel_offered_pairs(const struct vop_channel *c);
unsigned vop__channel_pairs(const struct vop_channel *c);

/** Bytes of the half that this side reads, or (`remote`) writes, which the geometry in force touches. */
size_t vop__channel_half_size(const struct vop_channel *c, bool remote);

/** Where the slots begin in the half that this side writes, which has stored nothing there before it first sends. */
size_t vop__channel_first_slot(const struct vop_channel *c);

/** They have lost their memory: each gets it back from the wire before it is used. Before anything is sent. */
void vop__channel_lost_slots(struct vop_channel *c);

/** Is a feature bit in force? Once it is up. */
bool vop__channel_has(const struct vop_channel *c, unsigned feature);

/** After a step returned -EPROTO: did the peer already know this side? Then its block is no remnant of a dead one. */
bool vop__channel_was_known(const struct vop_channel *c);

/** Watched wires, until the channel is up: beats. False: somebody else has taken this side. */
bool vop__channel_keeps_side(struct vop_channel *c);

#endif
