/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_tap.h - two TAP interfaces in two network namespaces, for the relays that vop-bridge is measured beside.
 *
 * Room: tests/bench/bridge.
 */
#ifndef BENCH_BRIDGE_UTIL_TAP_H
#define BENCH_BRIDGE_UTIL_TAP_H

#include <stdbool.h>

#define TAP_QUEUES_MAX 16
#define TAP_HEADER_SIZE 12                               /* of virtio, before each frame */
#define TAP_FRAME_MAX (TAP_HEADER_SIZE + 14 + 8 + 65535) /* with two VLAN tags */

/** Both interfaces: queue i of side s is fd[s][i]. */
struct taps {
    unsigned queues;
    int fd[2][TAP_QUEUES_MAX];
};

/**
 * Makes both, with virtio headers and all offloads that TAPs have had since Linux 6.2, as the command line says
 * (`about` is what --help says of the program). Prints a line when they are there. Ends the program if that fails.
 *
 * non_blocking   how the descriptors are opened
 */
void taps_open(struct taps *ret_taps, bool non_blocking, const char *about, int argc, char **argv);

/** Starts a thread for each queue but the first, which the calling thread does itself, so it does not return. */
void taps_run(struct taps *taps, void (*relay)(int fd_a, int fd_b));

#endif
