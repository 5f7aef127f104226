/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring_wake.h - the floors of a round trip between two sleepers: the two ways to wake a process, and nothing else.
 *
 * Room: tests/bench/ipc. A message is in shared memory, in a place that has room for one. "eventfd" writes and reads
 * one; "futex" wakes and waits on a word that counts the messages.
 */
#ifndef BENCH_IPC_RING_WAKE_H
#define BENCH_IPC_RING_WAKE_H

#include "ipc.h"

extern const struct ipc_carrier ipc_by_eventfd;
extern const struct ipc_carrier ipc_by_futex;

#endif
