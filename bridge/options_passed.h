/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * options_passed.h - takes descriptors that the service manager has passed for options, as though the user had said so.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_OPTIONS_PASSED_H
#define VOP_BRIDGE_OPTIONS_PASSED_H

#include "options.h"
#include "wishes.h"

/**
 * Adds what was passed (activation.h) to options that have all that the user wants: `activation` and, if a link's
 * socket is among it, `listen`, `link_socket` and, unless the user named it, `link`; queues of the TAP become
 * `tap_fds`. What is wrong, or contradicts an option, is complained of. The environment is read once for all calls.
 */
void options_take_passed(struct options *options, struct wishes *wishes);

#endif
