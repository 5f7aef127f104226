/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker.c - one loop's share of a bridge: carries frames between one queue of the TAP and one port of the link.
 *
 * Room: bridge.
 *
 * Theory of operation. The poll callbacks only note what has become ready; all work is done in one place, the prepare
 * callback, which runs before the loop sleeps:
 *
 * - turn: a limited number of frames each way. If there is more, the loop turns without sleeping (an active idle handle
 *   makes it poll with timeout 0), so that signals are heard under any load
 * - spin: nothing is left, so look on for as long as that has paid off lately (<vopipc/spin.h>), but not in a bulk
 *   transfer
 * - arm: ask the peer for a kick, look once more, and let the loop sleep
 */
#include "worker.h"

#include "fd_poll.h"
#include "log.h"
#include "slice.h"
#include "tap.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define TURN_BUDGET 64
#define REST_MAX 32768 /* as many messages as a ring holds */

/* Bytes between two moments without work, on average: beyond, they are bulk. A frame of no segments has 1514 or so. */
#define BULK_BYTES 8192

/* Frames in a second up to which a worker is hasty, and beyond which it is not; looked at so often. */
#define HASTY_FRAMES 2000
#define BUSY_FRAMES 8000
#define HASTY_EVERY_MS 16

/*
 * What the TAP is watched for. Its deletion is reported with any mask, but wakes us only where the mask has a bit that
 * the kernel's wake-up for new frames has; and then every frame wakes epoll within the kernel, which has a price under
 * load.
 */
#define TAP_WATCH_FRAMES UV_READABLE
#define TAP_WATCH_DELETION UV_PRIORITIZED
#define TAP_WATCH_NOTHING UV_DISCONNECT

/* ---- Watching ---- */

static void on_tap_ready(uv_poll_t *poll, int status, int events);

/* A change costs two system calls: for a change of state, not for each frame. */
static void watch_tap(struct worker *worker, int events)
{
    if (!worker->tap_poll || worker->tap_events == events)
        return;
    worker->tap_events = events;
    uv_poll_start(worker->tap_poll, events, on_tap_ready);
}

/* Whoever uses the ports decides what follows; until then this loop sleeps. */
static void give_up(struct worker *worker, int why)
{
    if (worker->is_over && why != -EBADFD)
        return;
    worker->is_over = true;
    worker->has_lost_tap |= why == -EBADFD;
    if (worker->port_poll)
        uv_poll_stop(worker->port_poll);
    uv_idle_stop(&worker->idle);
    if (why != -EBADFD)
        watch_tap(worker, TAP_WATCH_DELETION);
    worker->lost(worker->context, why);
}

static void on_tap_ready(uv_poll_t *poll, int status, int events)
{
    struct worker *worker = poll->data;

    if (status < 0 || ((events & UV_PRIORITIZED) && !tap_is_there(worker->setup.tap_fd)))
        give_up(worker, -EBADFD);
    else if (events & UV_READABLE)
        worker->tap_is_readable = true;
}

static void on_port_ready(uv_poll_t *poll, int status, int events)
{
    struct worker *worker = poll->data;
    int ret = worker->port->ops->process(worker->port);

    (void)status; /* an error on the descriptor shows in process(), too */
    (void)events;
    if (ret > 0)
        worker->news(worker->context);
    if (ret == 0 && worker->is_held)
        ret = worker->port->ops->flush(worker->port); /* nothing is, but it says if this is the end */
    /* After a death there may be frames to receive: the next turn finds them, and then the error. */
    if (ret < 0 && (ret != -ECONNRESET || worker->is_held))
        give_up(worker, ret);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void forbid_sleep(struct worker *worker)
{
    uv_idle_start(&worker->idle, on_idle);
}

/* ---- Work ---- */

static int turn(struct worker *worker)
{
    int to_link = FORWARD_IDLE;
    int to_tap = forward_to_tap(&worker->forward, TURN_BUDGET);

    if (to_tap < 0)
        return to_tap;
    if (worker->tap_is_readable) {
        to_link = forward_from_tap(&worker->forward, TURN_BUDGET);
        if (to_link < 0)
            return to_link;
        watch_tap(worker, to_link == FORWARD_FULL ? TAP_WATCH_NOTHING : TAP_WATCH_FRAMES);
        worker->tap_is_readable = to_link != FORWARD_IDLE;
    }
    return to_tap == FORWARD_MORE || to_link == FORWARD_MORE ? FORWARD_MORE : FORWARD_IDLE;
}

static uint64_t count_frames(const struct worker *worker)
{
    return worker->counters.tx_frames + worker->counters.rx_frames;
}

/*
 * Looking on makes the next frame some microseconds faster. Where frames come in bulk nobody waits for that one, and
 * whoever sends or receives them needs the processor.
 */
static bool is_bulk(struct worker *worker)
{
    uint64_t bytes = worker->counters.tx_bytes + worker->counters.rx_bytes;
    uint64_t work = bytes - worker->bytes_before;

    worker->bytes_before = bytes;
    worker->work += ((int64_t)work - worker->work) / 8;
    return worker->work > BULK_BYTES;
}

/* Lets others have the processor, and looks for more. */
static int look_again(struct worker *worker)
{
    uint64_t before = count_frames(worker);
    int ret;

    sched_yield(); /* whoever makes our work may be waiting for this processor, and we have just looked */
    worker->tap_is_readable = true;
    ret = turn(worker);
    return ret == FORWARD_IDLE && count_frames(worker) != before ? FORWARD_MORE : ret;
}

/* Looks for more until it is found or does not pay. */
static int spin(struct worker *worker)
{
    uint64_t until;

    worker->idle_since = uv_hrtime();
    if (is_bulk(worker))
        return worker->port->has_dear_kicks ? look_again(worker) : FORWARD_IDLE;
    until = worker->idle_since + (uint64_t)worker->spin.window_ns;
    worker->counters.spins += worker->spin.window_ns > 0;
    while (uv_hrtime() < until && !__atomic_load_n(&worker->is_called, __ATOMIC_RELAXED)) {
        int ret = look_again(worker);

        if (ret == FORWARD_MORE) {
            vop_spin_learn(&worker->spin, 0, false);
            worker->counters.spin_hits++;
        }
        if (ret)
            return ret;
    }
    return FORWARD_IDLE;
}

/* What became of each message that was received. */
static uint64_t count_received(const struct worker *worker)
{
    const struct counters *c = &worker->counters;

    return c->rx_frames + c->rx_malformed + c->rx_unsupported + c->rx_down + c->rx_errors;
}

/* What came before the end, or before the frames stop. A peer that lives may send on, so this has an end, too. Returns
 * as forward_to_tap(). */
static int receive_the_rest(struct worker *worker)
{
    uint64_t enough = count_received(worker) + REST_MAX;
    int ret;

    do {
        ret = forward_to_tap(&worker->forward, TURN_BUDGET);
    } while (ret == FORWARD_MORE && count_received(worker) < enough);
    return ret;
}

/* Returns FORWARD_MORE if there is something to do already. */
static int arm(struct worker *worker)
{
    int ret = worker->port->ops->arm(worker->port, worker->forward.is_full), last;

    if (ret > 0)
        return FORWARD_MORE;
    if (ret == 0) {
        worker->is_asleep = true;
        return FORWARD_IDLE;
    }
    last = receive_the_rest(worker);
    return last < 0 ? last : ret;
}

/* Goes on while looking on finds work, but not so long that a signal would be kept waiting. */
static int work_until_idle(struct worker *worker)
{
    uint64_t enough = count_frames(worker) + TURN_BUDGET;
    int ret;

    do {
        ret = turn(worker);
        if (ret == FORWARD_IDLE)
            ret = spin(worker);
    } while (ret == FORWARD_MORE && count_frames(worker) < enough);
    return ret == FORWARD_IDLE ? arm(worker) : ret;
}

/*
 * Where few frames come, each should be handled as soon as it comes, whoever computes meanwhile. Where there are many,
 * that would hold up those who send and receive them, and use up this thread's share of the processor.
 */
static void choose_slice(struct worker *worker)
{
    uint64_t now = uv_now(worker->loop), frames = count_frames(worker), rate;

    if (now < worker->hasty_at + HASTY_EVERY_MS)
        return;
    rate = (frames - worker->frames_before) * 1000 / (now - worker->hasty_at);
    worker->hasty_at = now;
    worker->frames_before = frames;
    if (worker->is_hasty ? rate <= BUSY_FRAMES : rate > HASTY_FRAMES)
        return;
    worker->is_hasty = !worker->is_hasty;
    slice_set(worker->is_hasty);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct worker *worker = prepare->data;
    int ret;

    if (!worker->port || worker->is_over || worker->is_held)
        return;
    if (worker->is_asleep) {
        vop_spin_learn(&worker->spin, (int64_t)(uv_hrtime() - worker->idle_since), true);
        worker->counters.wakeups++;
    }
    worker->is_asleep = false;
    choose_slice(worker);
    ret = work_until_idle(worker);
    if (ret < 0)
        give_up(worker, ret);
    else if (ret == FORWARD_MORE)
        forbid_sleep(worker);
    else
        uv_idle_stop(&worker->idle);
}

/* ---- States ---- */

/* Where only one processor may be used, whoever would make our work needs it. */
static bool has_processors(void)
{
    cpu_set_t processors;

    return sched_getaffinity(0, sizeof(processors), &processors) == 0 && CPU_COUNT(&processors) > 1;
}

void worker_set_spin(struct worker *worker, uint32_t spin_us)
{
    vop_spin_init(&worker->spin, worker->may_spin ? (int64_t)spin_us * 1000 : 0);
    worker->spin.window_ns = 0; /* nothing was learned yet, and the longest look may be a second */
}

int worker_open(struct worker *worker, uv_loop_t *loop, const struct forward_setup *setup, uint32_t spin_us,
                worker_lost *lost, worker_news *news, void *context)
{
    int ret;

    memset(worker, 0, sizeof(*worker));
    worker->loop = loop;
    worker->lost = lost;
    worker->news = news;
    worker->context = context;
    worker->setup = *setup;
    worker->setup.counters = &worker->counters;
    worker->may_spin = has_processors(); /* all of the program: this thread is not the one that will run it */
    worker_set_spin(worker, spin_us);
    uv_idle_init(loop, &worker->idle);
    ret = worker_set_tap(worker, setup->tap_fd);
    if (ret) {
        uv_close((uv_handle_t *)&worker->idle, NULL);
        worker->loop = NULL;
        return ret;
    }
    uv_prepare_init(loop, &worker->prepare);
    worker->prepare.data = worker;
    uv_prepare_start(&worker->prepare, on_prepare);
    return 0;
}

/* How it is with the port, and the kicks of this session. */
static void look_at_port(const struct worker *worker, struct port_facts *ret_facts)
{
    worker->port->ops->look(worker->port, ret_facts);
    ret_facts->kicks -= worker->kicks_before;
}

int worker_begin(struct worker *worker, struct port *port)
{
    struct port_facts facts;
    int ret = forward_open(&worker->forward, &worker->setup, port);

    if (ret)
        return ret;
    ret = fd_poll_open(&worker->port_poll, worker->loop, port->fd, "the link", on_port_ready, worker);
    if (ret) {
        forward_close(&worker->forward);
        return ret;
    }
    worker->port = port;
    port->ops->look(port, &facts);
    worker->kicks_before = facts.kicks;
    worker->is_over = worker->is_asleep = false;
    worker->is_held = true;
    return 0;
}

void worker_hold(struct worker *worker, bool is_held)
{
    if (!worker->port || worker->is_over || worker->is_held == is_held)
        return;
    if (is_held) /* or they would come when they are old */
        (void)receive_the_rest(worker);
    worker->is_held = is_held;
    if (is_held) {
        worker->is_asleep = false;
        uv_idle_stop(&worker->idle);
        watch_tap(worker, TAP_WATCH_DELETION);
    } else {
        worker->tap_is_readable = true;
        watch_tap(worker, TAP_WATCH_FRAMES);
        forbid_sleep(worker);
    }
}

void worker_discard(struct worker *worker)
{
    worker->counters.tx_stale += tap_drain(worker->setup.tap_fd);
}

/* Returns 1 if nothing is left, 0 if something is, or how the session ended. */
static int send_the_rest(struct worker *worker)
{
    int ret = forward_from_tap(&worker->forward, TURN_BUDGET);

    if (ret != FORWARD_IDLE)
        return ret < 0 ? ret : 0;
    return worker->port->ops->is_taken ? worker->port->ops->is_taken(worker->port) : 1;
}

bool worker_send_rest(struct worker *worker)
{
    int ret;

    if (!worker->port || worker->is_over || worker->is_held)
        return true;
    ret = send_the_rest(worker);
    if (ret < 0)
        give_up(worker, ret);
    return ret != 0;
}

uint64_t worker_receive_rest(struct worker *worker)
{
    int ret = worker->port ? receive_the_rest(worker) : FORWARD_IDLE;

    if (ret < 0)
        give_up(worker, ret);
    return count_received(worker);
}

/* What the session waited for may have come meanwhile: its end, say, of which the descriptor tells only once. */
static int resume_session(struct worker *worker)
{
    int ret = uv_poll_start(worker->port_poll, UV_READABLE, on_port_ready);

    worker->is_over = false;
    if (!ret)
        ret = worker->port->ops->flush(worker->port);
    return ret;
}

int worker_set_tap(struct worker *worker, int tap_fd)
{
    bool had_lost_tap = worker->has_lost_tap;
    int ret = 0;

    fd_poll_close(&worker->tap_poll);
    worker->setup.tap_fd = worker->forward.setup.tap_fd = tap_fd;
    worker->has_lost_tap = worker->is_asleep = worker->tap_is_readable = false;
    worker->is_held = true;
    uv_idle_stop(&worker->idle);
    if (worker->port && had_lost_tap) {
        ret = resume_session(worker);
        if (ret)
            give_up(worker, ret);
    }
    if (tap_fd < 0)
        return 0;
    ret = fd_poll_open(&worker->tap_poll, worker->loop, tap_fd, "the TAP", on_tap_ready, worker);
    worker->tap_events = UV_READABLE;
    watch_tap(worker, TAP_WATCH_DELETION);
    return ret;
}

void worker_capture(struct worker *worker, struct capture_ring *ring)
{
    worker->setup.capture = ring;
    forward_capture(&worker->forward, ring);
}

void worker_look(const struct worker *worker, struct queue_figures *ret_figures)
{
    struct port_facts facts = {.depth = -1};

    if (worker->port)
        look_at_port(worker, &facts);
    ret_figures->counters = worker->counters; /* kicks of sessions before this one */
    ret_figures->counters.kicks += facts.kicks;
    ret_figures->depth = facts.depth;
}

void worker_end(struct worker *worker)
{
    struct port_facts facts;

    if (!worker->port)
        return;
    (void)receive_the_rest(worker); /* another worker may have found the end first */
    look_at_port(worker, &facts);
    worker->counters.kicks += facts.kicks;
    worker->port = NULL;
    worker->is_over = false;
    forward_close(&worker->forward);
    fd_poll_close(&worker->port_poll);
    uv_idle_stop(&worker->idle);
    watch_tap(worker, TAP_WATCH_DELETION);
}

void worker_close(struct worker *worker)
{
    if (!worker->loop)
        return;
    worker_end(worker);
    worker->loop = NULL;
    uv_close((uv_handle_t *)&worker->prepare, NULL);
    uv_close((uv_handle_t *)&worker->idle, NULL);
    fd_poll_close(&worker->tap_poll);
}
