/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crew.h - the workers of a bridge, each on a loop and a thread of its own.
 *
 * Room: bridge. The thread that runs the control loop makes all calls here. What it wants of a worker is done on the
 * worker's own loop, while the caller waits: some microseconds, and as long as a turn of that loop at most. So nothing
 * of a worker is used by two threads at once, and its frames need no lock. What a worker has to say comes back as a
 * callback on the control loop.
 */
#ifndef VOP_BRIDGE_CREW_H
#define VOP_BRIDGE_CREW_H

#include "counters.h"
#include "forward.h"
#include "sandbox_need.h"
#include "tap.h"
#include "worker.h"

#include <sched.h>
#include <uv.h>

#define CREW_MAX TAP_QUEUES_MAX

/**
 * A worker cannot go on: as worker.h says of it. crew_end() must follow before the ports go.
 *
 * text   vop_error_text() of its thread
 */
typedef void crew_lost(void *context, int why, const char *text);

/** What the peer says of its interface has changed. */
typedef void crew_news(void *context);

/** What is fixed for the life of a crew. */
struct crew_setup {
    const struct tap *tap;        /* a worker for each of its queues */
    struct forward_setup forward; /* but for its tap_fd and counters */
    uint32_t spin_us;
    const cpu_set_t *affinity; /* worker i on the i-th of these processors, and from the first again; NULL: on any */
    crew_lost *lost;
    crew_news *news;
    void (*stuck)(void *context); /* on the control loop: a worker has not answered for a while, nor can anything be
                                     done before it does. A peer may be the reason */
    void *context;
};

/** Private to crew.c. */
struct crew_member;
struct crew {
    struct crew_member *members[CREW_MAX];
    unsigned count; /* 0: closed */
    struct crew_setup setup;
    cpu_set_t everywhere; /* the processors of who opened it */
    uv_async_t heard;     /* on the control loop: a worker has something to say */
    bool is_open;
};

/**
 * Starts the workers and their threads.
 *
 * -errno   none is left; the reason was logged
 */
int crew_open(struct crew *crew, uv_loop_t *control, const struct crew_setup *setup);

/**
 * Gives the first `count` workers a port each, while the carrier is off: they hold the frames until crew_hold() lets
 * them go. The ports must stay until crew_end().
 *
 * -errno   no worker has a port; the reason was logged
 */
int crew_begin(struct crew *crew, struct port *const *ports, unsigned count);

/** Holds the frames of both directions, or carries them; for as long as there is no carrier. */
void crew_hold(struct crew *crew, bool is_held);

/** Throws away what the TAP has queued, and counts it. */
void crew_discard(struct crew *crew);

/**
 * Sends what the TAP has queued, as far as the link has room. Called again and again by who wants all of it sent.
 *
 * sent      a flag for each worker, false at first: all that it had queued, at some time since, was sent, or there is
 *           nobody to send it to
 * Returns   whether all flags are set
 */
bool crew_send_rest(struct crew *crew, bool sent[CREW_MAX]);

/** Receives what the peer has sent. Returns how many messages were received since the start, whatever became of them.
 */
uint64_t crew_receive_rest(struct crew *crew);

/**
 * Takes the queues of another TAP in place of those that there were, which may be closed afterwards; NULL: none, until
 * the next call. A session goes on, with its frames held. The TAP has no fewer queues than the first one.
 *
 * -errno   some have none; the reason was logged
 */
int crew_set_tap(struct crew *crew, const struct tap *tap);

/** Keeps all workers from their ports, wherever they are, until crew_release(): somebody changes the ports. */
void crew_park(struct crew *crew);
void crew_release(struct crew *crew);

/** The MTU of the interface, for sessions that begin later. */
void crew_set_mtu(struct crew *crew, uint32_t mtu);

/** Other processors for the threads, as in struct crew_setup; NULL: any. Where one cannot run there, that is logged. */
void crew_set_affinity(struct crew *crew, const cpu_set_t *affinity);

/** Another longest time to look for work, in microseconds. What was learned of it begins anew. */
void crew_set_spin(struct crew *crew, uint32_t spin_us);

/** Worker i captures frames in rings[i] from now on. NULL: none does, and no ring is used any more. */
void crew_capture(struct crew *crew, struct capture_ring *const *rings);

/** Takes the ports back, once all has been received. Does nothing without a session. */
void crew_end(struct crew *crew);

/** What each of them has to tell of its queue: `count` elements. */
void crew_look(struct crew *crew, struct queue_figures ret_figures[CREW_MAX]);

/**
 * Has every worker's loop turned since the last time this was asked? Asks them to turn, for the next time, and does not
 * wait: so the first answer is no. A worker that is parked does not turn.
 */
bool crew_is_alive(struct crew *crew);

/** Ends the threads; does nothing if it is not open. The control loop must run once more before it is closed. */
void crew_close(struct crew *crew);

extern const struct sandbox_need crew_need, crew_reload_need;

#endif
