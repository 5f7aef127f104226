/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_pair.h - host and board of a link of 2009 in one thread, the model between, and frames that can be told apart.
 *
 * Room: tests.
 */
#ifndef TESTS_UNIT_NET2009_UTIL_PAIR_H
#define TESTS_UNIT_NET2009_UTIL_PAIR_H

#include "support/test.h"

#include "model8349/ends.h"
#include "net2009/link.h"

#include <vopipc/net2009.h>

#define HOST VOP__MPC8349_HOST
#define BOARD VOP__MPC8349_BOARD
#define HALF (1u << 18) /* bytes of each side's memory */

/** A pair: `link` of each side, NULL if it is not open. */
struct pair {
    struct ends *ends;
    struct vop_net2009_options options[2];
    vop_net2009 *link[2];
    unsigned sent[2][VOP_NET2009_DEVICES], received[2][VOP_NET2009_DEVICES];
};

/** Ends, and options of device 0 with MAC, MTU and status; no links. */
void pair_init(struct pair *p, const struct m8349_options *options, uint32_t half);

/** Opens one side, and starts its devices. */
void pair_open(struct pair *p, unsigned side);
void pair_close(struct pair *p, unsigned side);
void pair_end(struct pair *p);

/** Lets both sides do what their descriptors ask for. */
void pair_step(struct pair *p);

/** Steps until this side's device is up, or is not. Fails after 20 s. */
void pair_wait(struct pair *p, unsigned side, unsigned device, bool is_up);

/** Both sides' devices are up. */
void pair_meet(struct pair *p);

/** The `number`th frame has so many bytes, with its header. */
size_t pair_size(unsigned number);

/** Sends the next frame: 0, or as reserve and commit. */
int pair_send(struct pair *p, unsigned side, unsigned device, bool more);

/** Receives what there is, and checks it: how many frames, or how the session ended. */
int pair_receive(struct pair *p, unsigned side, unsigned device);

/** `count` frames each way on a device, both at once. */
void pair_exchange(struct pair *p, unsigned device, unsigned count);

#endif
