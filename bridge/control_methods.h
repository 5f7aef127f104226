/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_methods.h - what clients of the control socket can ask of a bridge.
 *
 * Room: bridge. docs/CONTROL.md describes each method, its parameters and its result.
 */
#ifndef VOP_BRIDGE_CONTROL_METHODS_H
#define VOP_BRIDGE_CONTROL_METHODS_H

#include "capture.h"
#include "control_rpc.h"
#include "crew.h"
#include "link.h"
#include "netlink.h"
#include "options.h"
#include "reload.h"
#include "steer.h"
#include "tap.h"

#include <stdbool.h>
#include <stdint.h>

/** How things stand. All pointers are those of the bridge, and used at once. */
struct control_facts {
    const struct options *options;
    const struct tap *tap;
    const struct netlink_interface *interface;
    bool has_carrier; /* the interface has */
    bool is_up;       /* the link is */
    struct link_facts link;
    uint64_t sessions;   /* that have begun since the start */
    double started_at;   /* seconds since 1970 */
    pid_t pid;           /* of this process */
    uint64_t uptime_ms;  /* since the start */
    unsigned queues_max; /* so many can be in use: those open, or those agreed with the peer */
};

/** The context of the methods. */
struct control_subject {
    /** Fills all of the facts. */
    void (*look)(void *context, struct control_facts *ret_facts);

    /** What each worker has to tell of its queue. Returns how many there are. */
    unsigned (*look_queues)(void *context, struct queue_figures ret_figures[CREW_MAX]);

    /**
     * Uses so many queues of the interface from now on, as far as the peer has as many queue pairs: in this session
     * and in those that follow. Frames that the kernel had queued at one that goes out of use are dropped; what the
     * peer sends by its pair still arrives.
     *
     * queues   1 to queues_max
     *
     * -errno   some may have been changed; the reason was logged
     */
    int (*set_queues)(void *context, unsigned queues);

    /**
     * Reads the configuration file anew and applies it.
     *
     * -errno   as reload_read() says: nothing was changed
     */
    int (*reload)(void *context, struct reload_result *ret_result, char ret_why[RELOAD_WHY_SIZE]);

    /** Ends the bridge as SIGTERM does, a turn of the loop later. */
    void (*stop)(void *context);

    void *context;
    struct steer *steer;
    struct capture *capture; /* NULL: there is none */
};

/** The text of metrics.h for a struct control_subject: what method `metrics` and an exporter give. */
char *control_metrics(void *context, size_t *ret_length);

/** For struct control_setup; its context is a struct control_subject. */
extern const struct control_method control_methods[];

#endif
