/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drain.h - carries what is on its way before a bridge ends.
 *
 * Room: bridge. On the control loop, in turns of a timer; the workers go on as they do meanwhile. Whoever drains has
 * switched the carrier off, so that the kernel hands over nothing more before long.
 *
 *   SENDING     until each queue of the TAP was found empty once: all that it had at the beginning was sent, and taken
 *               by a peer that is a device. Then the peer is to be told to stop, too, for which `sent` is called. Not
 *               earlier: a peer that was told takes nothing from the link any more, which may be full
 *   RECEIVING   until the peer says that it has stopped, which drain_hurry() tells, or, as one that is a device or
 *               older does not say that, until nothing has come for DRAIN_QUIET_MS
 *   CLOSED      before and after. `done` is called, also if the time is up
 */
#ifndef VOP_BRIDGE_DRAIN_H
#define VOP_BRIDGE_DRAIN_H

#include "crew.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define DRAIN_QUIET_MS 100

/** Private to drain.c. All 0: CLOSED. */
struct drain {
    uv_timer_t timer;
    bool is_open;
    struct crew *crew;
    uint64_t deadline; /* by uv_now() */
    bool sent[CREW_MAX];
    bool is_sent;      /* RECEIVING */
    bool is_last;      /* nothing more will come than what is there */
    uint64_t received; /* by the last turn */
    uint64_t quiet_since;
    void (*on_sent)(void *context);
    void (*on_done)(void *context);
    void *context;
};

/**
 * Begins, during a session.
 *
 * limit_ms   it takes no longer than that
 */
void drain_open(struct drain *drain, uv_loop_t *loop, struct crew *crew, uint32_t limit_ms, void (*sent)(void *context),
                void (*done)(void *context), void *context);

/** The peer has sent its last frame. Does nothing if it is not RECEIVING. */
void drain_hurry(struct drain *drain);

bool drain_is_open(const struct drain *drain);

/** Ends it; does nothing if it is CLOSED. The loop must run once more before it is closed. */
void drain_close(struct drain *drain);

#endif
