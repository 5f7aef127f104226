/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_card.c - steering as the driver of a network card wants it (RSS).
 *
 * Room: bridge. Both follow virtio 1.2, 5.1.6.5.7: a Toeplitz hash, headers by the same bits, a table of queues.
 */
#include "steer_card.h"

#include <string.h>

_Static_assert(STEER_TABLE >= VOP_NET_RSS_TABLE_MAX && STEER_TABLE % VOP_NET_RSS_TABLE_MAX == 0, "tables fit");
_Static_assert(STEER_KEY_SIZE == VOP_NET_RSS_KEY_MAX, "keys fit");
_Static_assert(STEER_TYPE_TCP4 == VOP_NET_RSS_TCP4 && STEER_TYPE_UDP4 == VOP_NET_RSS_UDP4 &&
                   STEER_TYPE_IPV6 == VOP_NET_RSS_IPV6 && STEER_TYPE_UDP6 == VOP_NET_RSS_UDP6,
               "types are the same bits");

uint32_t steer_card_types(const struct steer *steer)
{
    return steer->mode == STEER_MODE_PROGRAM ? STEER_TYPE_ALL : 0;
}

/* A frame that has nothing of what is hashed takes the default queue. None escapes from a busy queue: the driver counts
 * on its table. */
int steer_card(struct steer *steer, const struct vop_net_rss *rss)
{
    struct steer_rss change = {.has_spread = true,
                               .has_hash = true,
                               .has_types = true,
                               .has_inner = true,
                               .has_default = true,
                               .has_sparse = true,
                               .spread.kind = STEER_SPREAD_LIST,
                               .hash = STEER_HASH_TOEPLITZ};

    if (!rss)
        return steer_rss_reset(steer);
    change.has_key = rss->key_size == sizeof(change.key);
    memcpy(change.key, rss->key, sizeof(change.key));
    change.types = rss->types;
    change.default_queue = rss->unclassified;
    for (unsigned i = 0; i < STEER_TABLE; i++)
        change.spread.list[i] = rss->table[i % rss->table_size];
    return steer_rss(steer, &change);
}
