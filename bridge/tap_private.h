/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tap_private.h - what opening a TAP and taking over one have in common.
 *
 * Room: bridge. Only the files tap*.c include it.
 */
#ifndef VOP_BRIDGE_TAP_PRIVATE_H
#define VOP_BRIDGE_TAP_PRIVATE_H

#include "tap.h"

/** Sets by the first queue all that holds for the interface, and stores in `tap` which offloads it has. Logs failures.
 */
int tap_set_up(struct tap *tap, unsigned offload, bool must_have_all);

/** Puts a queue in use, behind those that are, or takes it out of use. Logs nothing. */
int tap_switch_queue(int fd, bool is_on);

#endif
