/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.h - the channels of a link, one for each of its queue pairs.
 *
 * Room: channel, its third step. The channel of pair 0 is made with the link and holds the others, which are made when
 * the number in force is known. What is done to all of them happens here, before the link is up or when it ends: in
 * between each belongs to its own threads.
 */
#ifndef VOP_CHANNEL_PAIRS_H
#define VOP_CHANNEL_PAIRS_H

#include "channel/channel.h"

/** Makes the channel of pair 0. NULL without memory; then the wire stays the caller's. */
struct vop_channel *vop__pairs_new(struct vop__wire *wire, const struct vop_options *options);

/** A geometry is in force: makes as many channels as it says, and resets all that they write. 0 or -ENOMEM. */
int vop__pairs_reset(struct vop_channel *first);

/** The link is up: checks what the peer wrote for each pair. 0, or -EPROTO with a text. */
int vop__pairs_start(struct vop_channel *first);

/** This side's slots have lost their memory: none has been used yet. */
void vop__pairs_lose_slots(struct vop_channel *first);

/** Has an impossible value been met in the queues to the peer? */
bool vop__pairs_are_broken(const struct vop_channel *first);

/** Has every pool of both halves its beginning mapped behind its end: is every message in one piece? */
bool vop__pairs_are_mirrored(const struct vop_channel *first, bool remote);

/** No thread sleeps on an index any more. Before the wire is closed. */
void vop__pairs_end_sleep(struct vop_channel *first);

/** An orderly end: publishes what is held back, messages and slots, then (vop__pairs_kick()) wakes whoever sleeps at
 * the peer. */
void vop__pairs_publish(struct vop_channel *first);
void vop__pairs_kick(struct vop_channel *first);

/** Has the wire keep what the peer may still read: its queues, and the messages that it has not returned. */
void vop__pairs_keep(const struct vop_channel *first);

/** Frees all of them, the link, and what they have besides the wire. */
void vop__pairs_free(struct vop_channel *first);

#endif
