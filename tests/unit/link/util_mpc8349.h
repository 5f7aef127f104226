/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_mpc8349.h - links across the bus of the model, for tests of them.
 *
 * Room: tests.
 */
#ifndef TESTS_UNIT_LINK_UTIL_MPC8349_H
#define TESTS_UNIT_LINK_UTIL_MPC8349_H

#include "support/link.h"

#include "link/approach.h"
#include "model8349/ends.h"

#define HOST VOP__MPC8349_HOST
#define BOARD VOP__MPC8349_BOARD
#define WAIT 20000 /* ms: guards against hangs */

/** The bus and the board that connections are made over. A test opens it. */
extern struct ends *ends;

/** Opens the host's side. */
vop__side_open_fn open_host;

/** Begins to connect a side; `options` are completed. */
struct vop__attempt *begin_connect(unsigned side, struct vop_options *options);

/** Connects a side, with queues of so many slots of so many bytes: as soon as the other side is there. */
vop_channel *connect_with(unsigned side, uint32_t queue_size, uint32_t slot_size);

/** The same with 16 of 256. */
vop_channel *connect_side(unsigned side);

#endif
