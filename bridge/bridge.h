/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.h - joins one interface and one link, and lets the workers carry the frames.
 *
 * Room: bridge. The top of it: main.c only reads the options and runs this.
 */
#ifndef VOP_BRIDGE_BRIDGE_H
#define VOP_BRIDGE_BRIDGE_H

#include "options.h"

struct bridge;

/**
 * Opens the interface and the link, and carries frames until a signal ends it.
 *
 * Returns 0 after SIGTERM, SIGINT or SIGHUP, else -errno; the reason was logged.
 */
int bridge_run(const struct options *options);

/** How many queues of the interface are in use, and how many can be: those open, or those agreed with the peer. */
unsigned bridge_queues(const struct bridge *bridge);
unsigned bridge_queues_max(const struct bridge *bridge);

/**
 * Uses so many queues of the interface from now on, as far as the peer has as many queue pairs: in this session and in
 * those that follow. Frames that the kernel had queued at one that goes out of use are dropped; what the peer sends by
 * its pair still arrives. On the control loop only.
 *
 * queues   1 to as many as are open
 *
 * -EINVAL  it is not that
 * other    some may have been changed: see bridge_queues(). The reason was logged
 */
int bridge_set_queues(struct bridge *bridge, unsigned queues);

#endif
