/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.c - one TAP and one link on one libuv loop.
 *
 * Room: bridge.
 *
 * Theory of operation. The poll callbacks only note what has become ready; all work is done in one place, the prepare
 * callback, which runs before the loop sleeps:
 *
 * - turn: a limited number of frames each way. If there is more, the loop turns without sleeping (an active idle handle
 *   makes it poll with timeout 0), so that signals are heard under any load
 * - spin: nothing is left, so look on for as long as that has paid off lately (<vopipc/spin.h>)
 * - arm: ask the peer for a kick, look once more, and let the loop sleep
 *
 * The carrier follows the peer:
 *
 * - DOWN: no channel. Carrier off, the TAP is watched for its deletion only
 * - UP: carrier on, frames flow. While the link is full, the TAP is not read: then the kernel drops, and counts
 *
 * UP begins with throwing away what the TAP had queued for the last peer.
 */
#include "bridge.h"

#include "counters.h"
#include "forward.h"
#include "link.h"
#include "log.h"
#include "netlink.h"
#include "port_channel.h"
#include "setup.h"
#include "tap.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <vopipc/spin.h>

#define TURN_BUDGET 64

/*
 * What the TAP is watched for. Its deletion is reported with any mask, but wakes us only where the mask has a bit that
 * the kernel's wake-up for new frames has; and then every frame wakes epoll within the kernel, which has a price under
 * load.
 */
#define TAP_WATCH_FRAMES UV_READABLE
#define TAP_WATCH_DELETION UV_PRIORITIZED
#define TAP_WATCH_NOTHING UV_DISCONNECT

struct bridge {
    const struct options *options;
    struct tap tap;
    struct netlink *netlink;
    struct netlink_link interface; /* as it was at the start */
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active: do not sleep */
    uv_poll_t tap_poll;
    uv_signal_t on_term;
    uv_signal_t on_int;
    uv_signal_t on_usr1;
    struct link link;

    bool is_up;
    bool is_asleep; /* the last turn ended in an arm */
    bool tap_is_readable;
    int tap_events; /* TAP_WATCH_ */
    struct port_channel port;
    struct forward forward;
    struct forward_setup setup;
    struct counters counters;
    struct vop_spin spin;
    uint64_t idle_since; /* when the work had run out, by uv_hrtime() */
    int result;
};

static void bridge_stop(struct bridge *bridge, int result);

/* ---- Watching ---- */

static void tap_ready(uv_poll_t *poll, int status, int events)
{
    struct bridge *bridge = poll->data;

    if (status < 0 || ((events & UV_PRIORITIZED) && !tap_is_there(bridge->tap.fd))) {
        log_line("TAP %s: it was deleted; start the bridge again to make a new one", bridge->tap.name);
        bridge_stop(bridge, -ENODEV);
    } else if (events & UV_READABLE) {
        bridge->tap_is_readable = true;
    }
}

/* A change costs two system calls: for a change of state, not for each frame. */
static void tap_watch(struct bridge *bridge, int events)
{
    if (bridge->tap_events == events)
        return;
    bridge->tap_events = events;
    uv_poll_start(&bridge->tap_poll, events, tap_ready);
}

static void idle_turn(uv_idle_t *idle)
{
    (void)idle;
}

static void sleep_forbid(struct bridge *bridge)
{
    uv_idle_start(&bridge->idle, idle_turn);
}

/* ---- Sessions ---- */

static int session_begin(void *context, vop_channel *channel)
{
    struct bridge *bridge = context;
    struct vop_channel_info info = {.struct_size = sizeof(info)};
    int error = port_channel_open(&bridge->port, channel, bridge->setup.mtu);

    if (error)
        return error;
    error = forward_open(&bridge->forward, &bridge->setup, &bridge->port.port);
    if (error)
        return error;
    bridge->counters.tx_stale += tap_drain(bridge->tap.fd);
    error = tap_carrier_set(&bridge->tap, true);
    if (error) {
        forward_close(&bridge->forward);
        return error;
    }
    netlink_wait_running(bridge->netlink);
    netlink_neighbours_retry(bridge->netlink);
    vop_channel_get_info(channel, &info);
    if (info.peer_pid > 0)
        log_line("link up: %s: peer is process %ld", bridge->options->link, (long)info.peer_pid);
    else
        log_line("link up: %s", bridge->options->link);
    bridge->is_up = true;
    bridge->is_asleep = false;
    bridge->tap_is_readable = true;
    tap_watch(bridge, TAP_WATCH_FRAMES);
    sleep_forbid(bridge);
    return 0;
}

/* `why` is what ended it, or 0 if we do. */
static void session_end(struct bridge *bridge, int why)
{
    if (why == -ECONNRESET)
        log_line("link down: %s: the peer died, %" PRIu64 " frames are in doubt", bridge->options->link,
                 vop_channel_in_doubt(bridge->link.channel));
    else if (why == -EPIPE)
        log_line("link down: %s: the peer has closed", bridge->options->link);
    else if (why)
        log_line("link down: %s: %s", bridge->options->link, vop_error_text());
    bridge->is_up = false;
    forward_close(&bridge->forward);
    uv_idle_stop(&bridge->idle);
}

static void session_lose(struct bridge *bridge, int why)
{
    if (why == -EBADFD) {
        tap_ready(&bridge->tap_poll, UV_EBADF, 0);
        return;
    }
    session_end(bridge, why);
    tap_carrier_set(&bridge->tap, false);
    tap_watch(bridge, TAP_WATCH_DELETION);
    link_drop(&bridge->link);
}

static void session_ready(void *context)
{
    struct bridge *bridge = context;
    int error = bridge->port.port.ops->process(&bridge->port.port);

    /* After a death there may be frames to receive: the next turn finds them, and then the error. */
    if (error < 0 && error != -ECONNRESET)
        session_lose(bridge, error);
}

/* ---- Work ---- */

static int turn(struct bridge *bridge)
{
    int to_link = FORWARD_IDLE;
    int to_tap = forward_to_tap(&bridge->forward, TURN_BUDGET);

    if (to_tap < 0)
        return to_tap;
    if (bridge->tap_is_readable) {
        to_link = forward_from_tap(&bridge->forward, TURN_BUDGET);
        if (to_link < 0)
            return to_link;
        tap_watch(bridge, to_link == FORWARD_FULL ? TAP_WATCH_NOTHING : TAP_WATCH_FRAMES);
        bridge->tap_is_readable = to_link != FORWARD_IDLE;
    }
    return to_tap == FORWARD_MORE || to_link == FORWARD_MORE ? FORWARD_MORE : FORWARD_IDLE;
}

static uint64_t frames_handled(const struct bridge *bridge)
{
    return bridge->counters.tx_frames + bridge->counters.rx_frames;
}

/* Looks for more until it is found or does not pay. */
static int spin(struct bridge *bridge)
{
    uint64_t before = frames_handled(bridge);
    uint64_t until;

    bridge->idle_since = uv_hrtime();
    until = bridge->idle_since + (uint64_t)bridge->spin.window_ns;
    while (uv_hrtime() < until) {
        int result;

        bridge->tap_is_readable = true;
        result = turn(bridge);
        if (result)
            return result;
        if (frames_handled(bridge) != before)
            return FORWARD_MORE;
        sched_yield(); /* whoever makes our work may be waiting for this processor */
    }
    return FORWARD_IDLE;
}

/* Returns FORWARD_MORE if there is something to do already. */
static int arm(struct bridge *bridge)
{
    struct port *port = &bridge->port.port;
    int result = port->ops->arm(port, bridge->forward.is_full);

    if (result > 0)
        return FORWARD_MORE;
    if (result == 0) {
        bridge->is_asleep = true;
        return FORWARD_IDLE;
    }
    /* The end. What came before it is received first. */
    for (;;) {
        int last = forward_to_tap(&bridge->forward, TURN_BUDGET);

        if (last != FORWARD_MORE)
            return last < 0 ? last : result;
    }
}

/* Goes on while looking on finds work, but not so long that a signal would be kept waiting. */
static int work_until_idle(struct bridge *bridge)
{
    uint64_t enough = frames_handled(bridge) + TURN_BUDGET;
    int result;

    do {
        result = turn(bridge);
        if (result == FORWARD_IDLE)
            result = spin(bridge);
    } while (result == FORWARD_MORE && frames_handled(bridge) < enough);
    return result == FORWARD_IDLE ? arm(bridge) : result;
}

static void work(uv_prepare_t *prepare)
{
    struct bridge *bridge = prepare->data;
    int result;

    if (!bridge->is_up)
        return;
    if (bridge->is_asleep)
        vop_spin_learn(&bridge->spin, (int64_t)(uv_hrtime() - bridge->idle_since));
    bridge->is_asleep = false;
    result = work_until_idle(bridge);
    if (result < 0)
        session_lose(bridge, result);
    else if (result == FORWARD_MORE)
        sleep_forbid(bridge);
    else
        uv_idle_stop(&bridge->idle);
}

/* ---- Signals and the end ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct bridge *bridge = handle->data;

    if (number == SIGUSR1)
        counters_log(&bridge->counters);
    else
        bridge_stop(bridge, 0);
}

/* Closes everything on the loop, which then ends. */
static void bridge_stop(struct bridge *bridge, int result)
{
    if (uv_is_closing((uv_handle_t *)&bridge->prepare))
        return;
    bridge->result = result;
    if (bridge->is_up)
        session_end(bridge, 0);
    if (!result)
        tap_carrier_set(&bridge->tap, false);
    link_close(&bridge->link);
    uv_close((uv_handle_t *)&bridge->prepare, NULL);
    uv_close((uv_handle_t *)&bridge->idle, NULL);
    uv_close((uv_handle_t *)&bridge->tap_poll, NULL);
    uv_close((uv_handle_t *)&bridge->on_term, NULL);
    uv_close((uv_handle_t *)&bridge->on_int, NULL);
    uv_close((uv_handle_t *)&bridge->on_usr1, NULL);
}

/* ---- The beginning ---- */

static int signal_watch(struct bridge *bridge, uv_signal_t *handle, int number)
{
    uv_signal_init(&bridge->loop, handle);
    handle->data = bridge;
    return uv_signal_start(handle, on_signal, number);
}

/* Where only one processor may be used, whoever would make our work needs it. */
static void spin_init(struct vop_spin *spin, uint32_t max_us)
{
    cpu_set_t processors;
    bool has_others = sched_getaffinity(0, sizeof(processors), &processors) == 0 && CPU_COUNT(&processors) > 1;

    vop_spin_init(spin, has_others ? (int64_t)max_us * 1000 : 0);
    spin->window_ns = 0; /* nothing was learned yet, and the longest look may be a second */
}

/* Everything but the link, which may call back at once. */
static int loop_open(struct bridge *bridge)
{
    int error = uv_loop_init(&bridge->loop);

    if (error)
        return error;
    error = uv_poll_init(&bridge->loop, &bridge->tap_poll, bridge->tap.fd);
    if (error) {
        uv_loop_close(&bridge->loop);
        return error;
    }
    bridge->tap_poll.data = bridge;
    tap_watch(bridge, TAP_WATCH_DELETION);
    uv_prepare_init(&bridge->loop, &bridge->prepare);
    bridge->prepare.data = bridge;
    uv_prepare_start(&bridge->prepare, work);
    uv_idle_init(&bridge->loop, &bridge->idle);
    error = signal_watch(bridge, &bridge->on_term, SIGTERM);
    if (signal_watch(bridge, &bridge->on_int, SIGINT) < 0 || signal_watch(bridge, &bridge->on_usr1, SIGUSR1) < 0)
        error = -EIO;
    return error;
}

static int loop_run(struct bridge *bridge)
{
    static const struct link_callbacks callbacks = {.up = session_begin, .ready = session_ready};
    struct vop_options options;
    int error = loop_open(bridge);

    if (error) {
        log_line("event loop: %s", strerror(-error));
        return error;
    }
    spin_init(&bridge->spin, bridge->options->spin_us);
    setup_link_options(bridge->options, &bridge->interface, bridge->setup.features, &options);
    error = link_open(&bridge->link, &bridge->loop, bridge->options->link, bridge->options->listen, &options,
                      &callbacks, bridge);
    if (!error && bridge->options->persist)
        error = tap_persist(&bridge->tap);
    if (error)
        bridge_stop(bridge, error);
    uv_run(&bridge->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&bridge->loop) < 0)
        log_verbose("event loop: something was left open");
    return bridge->result;
}

static void library_log(void *context, enum vop_log_level level, const char *line)
{
    (void)context;
    (void)level;
    log_line("%s", line);
}

int bridge_run(const struct options *options)
{
    static struct bridge bridge; /* large, and one for the process */
    int error;

    memset(&bridge, 0, sizeof(bridge));
    bridge.options = options;
    bridge.tap.fd = -1;
    bridge.setup.counters = &bridge.counters;
    if (options->verbose)
        vop_log_set(library_log, NULL, VOP_LOG_DEBUG);
    error = setup_interface(options, &bridge.tap, &bridge.netlink, &bridge.interface);
    if (!error)
        error = setup_offer(options, &bridge.tap, bridge.interface.mtu, &bridge.setup.features);
    bridge.setup.tap_fd = bridge.tap.fd;
    bridge.setup.offload = bridge.tap.offload;
    bridge.setup.mtu = bridge.interface.mtu;
    if (!error)
        error = loop_run(&bridge);
    netlink_close(bridge.netlink);
    tap_close(&bridge.tap);
    return error;
}
