/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_policy.h - puts together the policy by which the steering program decides.
 *
 * Room: bridge. Pure functions on memory, which may be the program's map: see bpf/steer_maps.h.
 */
#ifndef VOP_BRIDGE_STEER_POLICY_H
#define VOP_BRIDGE_STEER_POLICY_H

#include "bpf/steer_maps.h"

#include <stddef.h>
#include <stdint.h>

#define STEER_KEY_SIZE 40 /* bytes of a Toeplitz key, as ethtool's hkey has */
#define STEER_PINS_MAX 256

/** How the indirection table is filled. */
enum steer_spread_kind {
    STEER_SPREAD_EQUAL,   /* entry i is queue i modulo `count` */
    STEER_SPREAD_WEIGHTS, /* queue i gets weight[i] parts of it, in one piece */
    STEER_SPREAD_LIST,    /* entry i is `list[i]` */
};

struct steer_spread {
    enum steer_spread_kind kind;
    unsigned count; /* of queues; EQUAL: 0 is all. LIST: not looked at */
    uint16_t weight[STEER_QUEUES];
    uint16_t list[STEER_TABLE];
};

/** A policy without pinned flows and classes: everything is hashed, symmetrically, over all queues; the rest to queue
 * 0. */
void steer_policy_init(struct steer_policy *policy, unsigned queues);

/** Sets the key of the Toeplitz hash. */
void steer_policy_set_key(struct steer_policy *policy, const uint8_t key[STEER_KEY_SIZE]);

/**
 * Fills the table. Queues that are not in use get no entry: the others of EQUAL and WEIGHTS share them; an entry of
 * LIST is taken modulo the queues in use.
 */
void steer_policy_spread(struct steer_policy *policy, const struct steer_spread *spread);

/**
 * Pins a flow to a queue; one that is pinned already moves.
 *
 * -ENOSPC   there are STEER_PINS_MAX, or too many whose hashes are alike: unpin one of them
 */
int steer_policy_pin(struct steer_policy *policy, const struct steer_flow *flow, unsigned queue);

/** -ENOENT: it is not pinned. */
int steer_policy_unpin(struct steer_policy *policy, const struct steer_flow *flow);

/**
 * Sends a class to a queue.
 *
 * stage   of which kind it is: STEER_MARK to STEER_CPU
 * value   which it is: a mark, a user ID, a priority below 16, a PCP below 8, a DSCP below 64, a processor below
 * STEER_CPUS queue   STEER_NO_QUEUE: to none, the later stages decide
 *
 * -ERANGE   there is no such value
 * -ENOSPC   there are STEER_RULES marks, or users: remove one of them
 */
int steer_policy_class(struct steer_policy *policy, enum steer_stage stage, uint32_t value, unsigned queue);

#endif
