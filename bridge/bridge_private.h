/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_private.h - what a bridge consists of.
 *
 * Room: bridge. Only the files bridge*.c include it. All of it belongs to the control loop.
 */
#ifndef VOP_BRIDGE_BRIDGE_PRIVATE_H
#define VOP_BRIDGE_BRIDGE_PRIVATE_H

#include "bridge.h"
#include "capture.h"
#include "capture_files.h"
#include "control.h"
#include "control_methods.h"
#include "crew.h"
#include "drain.h"
#include "exporter.h"
#include "interface.h"
#include "link.h"
#include "netns_watch.h"
#include "notify.h"
#include "reload.h"
#include "signal_watch.h"
#include "steer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <uv.h>

struct bridge {
    struct options in_force;
    const struct options *options; /* the same, for all but a reload */
    struct interface interface;
    uint64_t features; /* virtio-net features: what we offer to receive */
    uv_loop_t loop;
    struct signal_watch signals;
    struct netns_watch netns_watch;
    struct link *link;
    struct link_peer peer; /* what it has last said, while there is one */
    struct crew crew;
    unsigned queues_wanted; /* to be in use, as far as the peer has as many pairs */
    unsigned pairs;         /* of the session; 0: there is none */
    size_t message_max;     /* of the session, each way, bytes */
    uint64_t sessions;      /* so many have begun */
    bool is_flowing;        /* frames are carried */
    struct drain drain;
    struct steer steer;
    struct capture_files capture_files;
    struct capture *capture; /* NULL: clients cannot ask for one */
    struct control control;
    struct control_subject subject; /* of the control socket */
    struct exporter exporter;
    struct notify notify;
    pid_t pid;
    uint64_t started_at;        /* by uv_hrtime() */
    struct timespec started_on; /* by the clock of the day */
    bool is_stopping;
    int ret; /* of bridge_run() */
};

/** How many queues can be in use: those open, or those agreed with the peer. */
unsigned bridge_queues_max(const struct bridge *bridge);

/** Puts as many in use as are wanted and can be. */
int bridge_use_queues(struct bridge *bridge);

/** Was the interface deleted, and is not made again yet? */
bool bridge_is_lost(const struct bridge *bridge);

/** Reads the configuration file again, and puts in force what it can, for a client or a signal; as reload_read(). */
int bridge_reload(void *bridge, struct reload_result *ret_result, char ret_why[RELOAD_WHY_SIZE]);

/** Makes captures possible, if clients can ask for them. 0, or -errno; the reason was logged. */
int bridge_open_capture(struct bridge *bridge);

/** Opens the control socket. Who has not asked for one can do without. 0, or -errno; the reason was logged. */
int bridge_open_control(struct bridge *bridge);

/** Opens the socket of metrics, if one is wanted. 0, or -errno; the reason was logged. */
int bridge_open_exporter(struct bridge *bridge);

#endif
