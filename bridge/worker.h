/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker.h - one loop's share of a bridge: carries frames between one queue of the TAP and one port of the link.
 *
 * Room: bridge. It knows neither the interface nor the link as a whole: bridge.c gives it a port when a session begins,
 * and takes the port back when the session ends. All that it changes is in its struct, so that several workers need no
 * locks. It is used by the thread that runs its loop only.
 *
 *   IDLE       no port. The TAP is watched for its deletion only
 *   HELD       a port, and no frames: the carrier is off, or has not been on for long enough, or there is no TAP. A
 *              frame that came now would have its answer thrown away by the kernel; it waits in the link. The end of
 *              the link is heard
 *   CARRYING   frames flow. While the link is full, the TAP is not read: then the kernel drops, and counts
 *   CLOSED     nothing is open
 *
 * IDLE -> HELD by worker_begin(); HELD <-> CARRYING by worker_hold(), and CARRYING -> HELD by worker_set_tap(), too;
 * both -> IDLE by worker_end(); all -> CLOSED by worker_close().
 */
#ifndef VOP_BRIDGE_WORKER_H
#define VOP_BRIDGE_WORKER_H

#include "counters.h"
#include "forward.h"
#include "port.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <vopipc/spin.h>

/**
 * Called when a worker cannot go on. -EBADFD: the interface was deleted. Anything else: the
 * session is over, as port.h says, and worker_end() must follow, at any time.
 */
typedef void worker_lost(void *context, int why);

/** Called when a port has told that what the peer says of its interface has changed. */
typedef void worker_news(void *context);

/** Private to worker.c. */
struct worker {
    uv_loop_t *loop; /* NULL: CLOSED */
    worker_lost *lost;
    worker_news *news;
    void *context;
    int is_called; /* atomic: another thread waits for this loop, so do not spin */

    struct forward_setup setup;
    struct forward forward;
    struct counters counters;

    uv_prepare_t prepare;
    uv_idle_t idle;      /* active: do not sleep */
    uv_poll_t *tap_poll; /* frees itself when closed; NULL: there is no TAP */
    int tap_events;      /* TAP_WATCH_ */
    bool tap_is_readable;
    struct port *port;    /* NULL unless HELD or CARRYING */
    uv_poll_t *port_poll; /* frees itself when closed */

    uint64_t kicks_before; /* of the port, when it was taken */
    bool is_held;          /* HELD */
    bool is_over;          /* the session ended, and `lost` was told */
    bool has_lost_tap;     /* the interface was deleted, and `lost` was told */
    bool is_asleep;        /* the last turn ended in an arm */
    uint64_t bytes_before; /* as counted when the work had run out the last time */
    int64_t work;          /* bytes between two such moments, on average */
    struct vop_spin spin;
    bool may_spin;       /* there is more than one processor to run on */
    uint64_t idle_since; /* when the work had run out, by uv_hrtime() */

    bool is_hasty;          /* with short slices of the processor */
    uint64_t hasty_at;      /* when that was looked at the last time, by uv_now(), */
    uint64_t frames_before; /* and how many frames there had been by then */
};

/**
 * Opens a worker on this loop. The TAP's descriptor is in `setup` and stays the caller's; `setup->counters` is not
 * looked at, for a worker has its own.
 *
 * spin_us   longest spinning before it sleeps, in microseconds
 *
 * -errno    the worker is not open
 */
int worker_open(struct worker *worker, uv_loop_t *loop, const struct forward_setup *setup, uint32_t spin_us,
                worker_lost *lost, worker_news *news, void *context);

/**
 * Gives it a port, while the carrier is off: it is HELD. The port must stay until worker_end().
 *
 * -errno    the worker stays IDLE; the reason was logged
 */
int worker_begin(struct worker *worker, struct port *port);

/** Another longest time to spin, in microseconds. What was learned begins anew. */
void worker_set_spin(struct worker *worker, uint32_t spin_us);

/** Holds the frames of both directions, or carries them. Does nothing without a port. */
void worker_hold(struct worker *worker, bool is_held);

/** Throws away what the TAP has queued, and counts it. */
void worker_discard(struct worker *worker);

/**
 * Sends what the TAP has queued, as long as the link has room, but not for much longer than a turn. Returns whether
 * there was nothing left and the peer has it, or nobody to send it to: it has no port, or is HELD, or the session is
 * over.
 */
bool worker_send_rest(struct worker *worker);

/** Receives what the peer has sent. Returns how many messages were received since the start, whatever became of them.
 */
uint64_t worker_receive_rest(struct worker *worker);

/**
 * Takes another queue in place of the one it had, which may be closed afterwards; -1: none, until the next call. A
 * worker that has a port is HELD, and goes on with its session, also if it had given up because its interface was
 * deleted.
 *
 * -errno   it has none; the reason was logged
 */
int worker_set_tap(struct worker *worker, int tap_fd);

/** Captures frames there from now on, in this session and in those that follow; NULL: nowhere. */
void worker_capture(struct worker *worker, struct capture_ring *ring);

/**
 * Takes the port back, after it has received what the peer had sent before the end. Does nothing without a port.
 */
void worker_end(struct worker *worker);

/** What it has to tell of its queue, since it was opened. */
void worker_look(const struct worker *worker, struct queue_figures *ret_figures);

/** Closes the worker; does nothing if it is not open. The loop must run once more before it is closed. */
void worker_close(struct worker *worker);

#endif
