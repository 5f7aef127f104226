/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_tap.h - finds out which queue of a TAP is the kernel's queue of a number.
 *
 * Room: tests. Fails the test if something does not work.
 */
#ifndef VOP_TEST_UTIL_TAP_H
#define VOP_TEST_UTIL_TAP_H

#include "tap.h"

/** Brings the interface up, and returns a socket that sends frames out of it, as the kernel would. */
int tap_open_packet(const char *name);

/** Steers all frames to the kernel's queue of this number, and expects one that is sent at queue_fd[queue] alone. */
void tap_expect_frame_at(const struct tap *tap, int packet, unsigned queue);

#endif
