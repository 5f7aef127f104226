/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * region.h - channels over the ivshmem wire: a file in /dev/shm, sides in threads and in other processes.
 *
 * Room: tests.
 */
#ifndef TESTS_SUPPORT_REGION_H
#define TESTS_SUPPORT_REGION_H

#include "support/stream.h"

#define REGION_SIZE (1u << 20)

/** The name of each side. */
extern char region_uri[2][128];

/** Makes and removes the file: setup and teardown of a cmocka test. */
int region_setup(void **state);
int region_teardown(void **state);

/** The whole file, mapped: to play somebody else in. Half h is at h * REGION_SIZE / 2. */
uint8_t *region_map(void);

/** Connects a side, or ends the process. */
vop_channel *region_connect(unsigned side, const struct vop_options *options);

/** Both sides, in this process. */
void region_open(struct link *l, const struct vop_options *options);

/** Forks a child that connects as `side` and ends with what `fn` returns. */
pid_t region_fork(unsigned side, const struct vop_options *options, link_child_fn fn, void *context);

#endif
