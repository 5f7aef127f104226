/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.h - joins one interface and one link, and lets the workers carry the frames.
 *
 * Room: bridge. The top of it: main.c only reads the options and runs this.
 */
#ifndef VOP_BRIDGE_BRIDGE_H
#define VOP_BRIDGE_BRIDGE_H

#include "options.h"

/**
 * Opens the interface and the link, and carries frames until a signal ends it.
 *
 * Returns 0 after SIGTERM or SIGINT, else -errno; the reason was logged.
 */
int bridge_run(const struct options *options);

#endif
