/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.h - one TAP and one link on one libuv loop.
 *
 * Room: bridge. The top of it: main.c has only to read the options and to run this.
 */
#ifndef VOP_BRIDGE_BRIDGE_H
#define VOP_BRIDGE_BRIDGE_H

#include "options.h"

/**
 * Opens the interface and the link, and carries frames until a signal ends it. Says what is wrong.
 *
 * Returns 0 after SIGTERM or SIGINT, else -errno.
 */
int bridge_run(const struct options *options);

#endif
