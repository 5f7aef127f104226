/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.h - a wire between two ends in one process, over ordinary memory: for tests.
 *
 * Room: tests. Both ends see both halves at the same addresses, which is what ThreadSanitizer needs to see a race and
 * what a test needs to count accesses by address. There is no second mapping, so messages come in two segments here.
 */
#ifndef TESTS_SUPPORT_LOOP_H
#define TESTS_SUPPORT_LOOP_H

#include "wire/wire.h"

/**
 * Makes both ends of a wire with halves of `half_size` bytes; `window_flags` are those of the remote windows (enum
 * vop__window_flags); VOP__WINDOW_PLATFORM among them is for the local ones, too. Each end is closed on its own; the
 * peer hears it as a death. 0 or -errno with a text.
 */
int vop__loop_pair(size_t half_size, unsigned window_flags, struct vop__wire *ret_ends[2]);

#endif
