/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_card.h - steering as the driver of a network card wants it (RSS).
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_STEER_CARD_H
#define VOP_BRIDGE_STEER_CARD_H

#include "steer.h"

#include <vopipc/netdev.h>

/** By which headers a card can spread frames here: VOP_NET_RSS_; 0: this project's program does not steer. */
uint32_t steer_card_types(const struct steer *steer);

/**
 * Hashes as the driver has said, or, if `rss` is NULL, as after steer_open(). Pinned flows and classes stay; they come
 * first. -errno as for steer_rss().
 */
int steer_card(struct steer *steer, const struct vop_net_rss *rss);

#endif
