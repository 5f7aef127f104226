/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics.h - what a bridge has to tell, in the text format that Prometheus reads.
 *
 * Room: bridge. No sockets here. docs/METRICS.md has a table of all that is in the text.
 */
#ifndef VOP_BRIDGE_METRICS_H
#define VOP_BRIDGE_METRICS_H

#include "bpf/steer_maps.h"
#include "counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The Content-Type of the text. */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** What became of frames that a capture wanted. */
struct metrics_capture {
    bool is_running;
    uint64_t accepted, dropped; /* by the newest capture; of `accepted`, such as there was no room for */
};

/** What the text is made of. */
struct metrics {
    const char *version; /* of vop-bridge */
    double started_at;   /* seconds since 1970 */
    const char *interface;
    const char *netns; /* "": the one in which the bridge was started */
    const char *link;
    const char *role; /* listen or connect */
    bool is_up;       /* the link is */
    bool has_carrier; /* of the interface: frames are carried */
    uint64_t sessions;
    uint32_t mtu;
    unsigned queues_in_use;
    unsigned queues; /* open */
    const struct queue_figures *queue;
    const char *steering;            /* which kind */
    bool has_fallen_back;            /* to it */
    const struct steer_stats *steer; /* NULL: nobody counts */
    unsigned steer_changes;
    const struct metrics_capture *capture; /* NULL: there can be none */
};

/** The text, to be freed; NULL: no memory. */
char *metrics_format(const struct metrics *metrics, size_t *ret_length);

#endif
