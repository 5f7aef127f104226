/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_methods.h - what clients of the control socket can ask of a bridge.
 *
 * Room: bridge. docs/CONTROL.md describes each method, its parameters and its result.
 */
#ifndef VOP_BRIDGE_CONTROL_METHODS_H
#define VOP_BRIDGE_CONTROL_METHODS_H

#include "control_rpc.h"
#include "counters.h"
#include "netlink.h"
#include "options.h"
#include "steer.h"
#include "tap.h"

#include <stdint.h>
#include <vopipc/channel.h>

/** More workers than any bridge has. */
#define CONTROL_WORKERS_MAX 16

/** How things stand. All pointers are those of the bridge, and used at once. */
struct control_facts {
    const struct options *options;
    const struct tap *tap;
    const struct netlink_interface *interface;
    vop_channel *channel; /* NULL: the link is down */
    uint64_t sessions;    /* that have begun since the start */
    uint64_t uptime_ms;   /* since the start */
    unsigned worker_count;
    const struct counters *counters[CONTROL_WORKERS_MAX]; /* of each worker */
};

/** The context of the methods. */
struct control_subject {
    /** Fills all of the facts. */
    void (*look)(void *context, struct control_facts *ret_facts);
    void *context;
    struct steer *steer;
};

/** For struct control_setup; its context is a struct control_subject. */
extern const struct control_method control_methods[];

#endif
