/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.c - joins one interface and one link, and lets the workers carry the frames.
 *
 * Room: bridge.
 *
 * A bridge owns the interface, the link, and a worker for each queue pair of the link. Here is what concerns all of
 * them: the beginning and the end of sessions, and signals. The carrier follows the peer:
 *
 * - DOWN: no peer. Carrier off, no worker has a port
 * - UP: carrier on, each worker has a port and carries frames
 */
#include "bridge.h"

#include "control.h"
#include "control_methods.h"
#include "counters.h"
#include "link.h"
#include "log.h"
#include "netlink.h"
#include "netns.h"
#include "netns_watch.h"
#include "setup.h"
#include "steer.h"
#include "tap.h"
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <uv.h>
#include <vopipc/log.h>

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

#define SIGNAL_COUNT (sizeof(signal_numbers) / sizeof(signal_numbers[0]))

struct bridge {
    const struct options *options;
    struct netns netns; /* of the interface */
    struct tap tap;
    struct netlink *netlink;
    struct netlink_interface interface; /* as it was at the start */
    uint64_t features;                  /* virtio-net features: what we offer to receive */
    uv_loop_t loop;
    uv_signal_t signals[SIGNAL_COUNT];
    struct netns_watch netns_watch;
    struct link link;
    struct worker workers[LINK_PORTS]; /* one for each port of the link; all on `loop` */
    struct steer steer;
    struct control control;
    struct control_subject subject; /* of the control socket */
    uint64_t sessions;              /* so many have begun */
    uint64_t started_at;            /* by uv_hrtime() */
    bool is_stopping;
    int ret; /* of bridge_run() */
};

/* ---- Sessions ---- */

static void end_session(struct bridge *bridge)
{
    for (unsigned i = 0; i < LINK_PORTS; i++)
        worker_end(&bridge->workers[i]);
}

static int begin_session(void *context, struct port *const *ports)
{
    struct bridge *bridge = context;
    int ret = 0;

    for (unsigned i = 0; !ret && i < LINK_PORTS; i++)
        ret = worker_begin(&bridge->workers[i], ports[i]);
    if (!ret) {
        netlink_neighbours_note(bridge->netlink);
        ret = tap_carrier_set(&bridge->tap, true);
    }
    if (ret) {
        end_session(bridge);
        return ret;
    }
    bridge->sessions++;
    netlink_wait_running(bridge->netlink);
    netlink_neighbours_retry(bridge->netlink);
    return 0;
}

/* ---- The end ---- */

/* Closes everything on the loop, which then ends. */
static void stop_bridge(struct bridge *bridge, int ret)
{
    if (bridge->is_stopping)
        return;
    bridge->is_stopping = true;
    bridge->ret = ret;
    end_session(bridge);
    if (!ret)
        tap_carrier_set(&bridge->tap, false);
    link_close(&bridge->link);
    control_close(&bridge->control);
    steer_close(&bridge->steer);
    netns_watch_close(&bridge->netns_watch);
    for (unsigned i = 0; i < LINK_PORTS; i++)
        worker_close(&bridge->workers[i]);
    for (unsigned i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&bridge->signals[i], NULL);
}

static void on_worker_lost(void *context, int why)
{
    struct bridge *bridge = context;

    if (why == -EBADFD) {
        log_line("TAP %s: it was deleted; start the bridge again to make a new one", bridge->tap.name);
        stop_bridge(bridge, -ENODEV);
        return;
    }
    end_session(bridge);
    tap_carrier_set(&bridge->tap, false);
    link_drop(&bridge->link, why);
}

static void on_netns_lost(void *context)
{
    stop_bridge(context, -ENOENT);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct bridge *bridge = handle->data;
    struct counters sum = {.tx_frames = 0};

    if (number != SIGUSR1) {
        stop_bridge(bridge, 0);
        return;
    }
    for (unsigned i = 0; i < LINK_PORTS; i++)
        counters_add(&sum, &bridge->workers[i].counters);
    counters_log(&sum);
}

/* ---- The control socket ---- */

static void look(void *context, struct control_facts *ret_facts)
{
    struct bridge *bridge = context;

    ret_facts->options = bridge->options;
    ret_facts->tap = &bridge->tap;
    ret_facts->interface = &bridge->interface;
    ret_facts->channel = bridge->link.channel;
    ret_facts->sessions = bridge->sessions;
    ret_facts->uptime_ms = (uv_hrtime() - bridge->started_at) / 1000000;
    ret_facts->worker_count = LINK_PORTS;
    for (unsigned i = 0; i < LINK_PORTS; i++)
        ret_facts->counters[i] = &bridge->workers[i].counters;
}

/* Who has not asked for one can do without. */
static int open_control(struct bridge *bridge)
{
    const struct options *options = bridge->options;
    const struct control_setup setup = {
        .directory = options->control,
        .name = options->tap,
        .mode = options->control_mode,
        .has_uid = options->has_control_uid,
        .uid = options->control_uid,
        .methods = control_methods,
        .context = &bridge->subject,
    };
    int ret;

    bridge->subject = (struct control_subject){.look = look, .context = bridge, .steer = &bridge->steer};
    bridge->started_at = uv_hrtime();
    if (options->no_control)
        return 0;
    ret = control_open(&bridge->control, &bridge->loop, &setup);
    return options->control ? ret : 0;
}

/* ---- The beginning ---- */

static int open_interface(struct bridge *bridge)
{
    int ret = bridge->options->netns ? netns_open(bridge->options->netns, &bridge->netns) : 0;

    if (!ret)
        ret = setup_interface(bridge->options, bridge->netns.fd, &bridge->tap, &bridge->netlink, &bridge->interface);
    return ret ? ret : setup_offer(bridge->options, &bridge->tap, bridge->interface.mtu, &bridge->features);
}

/* Whoever starts a program under nohup(1) wants it to outlive the terminal. */
static bool is_wanted(int number)
{
    struct sigaction action;

    return number != SIGHUP || sigaction(number, NULL, &action) < 0 || action.sa_handler != SIG_IGN;
}

static int watch_signals(struct bridge *bridge)
{
    int ret = 0;

    for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&bridge->loop, &bridge->signals[i]);
        bridge->signals[i].data = bridge;
    }
    for (unsigned i = 0; !ret && i < SIGNAL_COUNT; i++) {
        if (is_wanted(signal_numbers[i]))
            ret = uv_signal_start(&bridge->signals[i], on_signal, signal_numbers[i]);
    }
    if (ret)
        log_line("watching for signals: %s", strerror(-ret));
    return ret;
}

static int open_workers(struct bridge *bridge)
{
    struct forward_setup setup = {
        .tap_fd = bridge->tap.fd,
        .offload = bridge->tap.offload,
        .features = bridge->features,
        .mtu = bridge->interface.mtu,
    };
    int ret = 0;

    for (unsigned i = 0; !ret && i < LINK_PORTS; i++)
        ret = worker_open(&bridge->workers[i], &bridge->loop, &setup, bridge->options->spin_us, on_worker_lost, bridge);
    return ret;
}

/* The link comes last, for it may begin a session at once. The interface persists only if all else has worked. */
static int open_all(struct bridge *bridge)
{
    struct link_setup setup;
    int ret = watch_signals(bridge);

    if (!ret) {
        steer_open(&bridge->steer, bridge->tap.fd, LINK_PORTS, &bridge->options->steer);
        ret = open_control(bridge);
    }
    if (!ret)
        ret = open_workers(bridge);
    if (!ret && bridge->options->netns && !bridge->options->keep_lost_netns)
        ret = netns_watch_open(&bridge->netns_watch, &bridge->loop, &bridge->netns, on_netns_lost, bridge);
    if (ret)
        return ret;
    setup_link(bridge->options, &bridge->interface, bridge->features, &setup);
    ret = link_open(&bridge->link, &bridge->loop, &setup, begin_session, bridge);
    if (!ret && bridge->options->persist)
        ret = tap_persist(&bridge->tap);
    return ret;
}

static int run_loop(struct bridge *bridge)
{
    int ret = uv_loop_init(&bridge->loop);

    if (ret) {
        log_line("event loop: %s", strerror(-ret));
        return ret;
    }
    ret = open_all(bridge);
    if (ret)
        stop_bridge(bridge, ret);
    uv_run(&bridge->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&bridge->loop) < 0)
        log_verbose("event loop: something was left open");
    return bridge->ret;
}

static void log_library_line(void *context, enum vop_log_level level, const char *line)
{
    (void)context;
    (void)level;
    log_line("%s", line);
}

int bridge_run(const struct options *options)
{
    struct bridge bridge = {.options = options, .netns.fd = -1, .tap.fd = -1, .steer.tap_fd = -1};
    int ret;

    if (options->verbose)
        vop_log_set(log_library_line, NULL, VOP_LOG_DEBUG);
    else if (options->has_peer_uid) /* who was refused is what the user wants to know */
        vop_log_set(log_library_line, NULL, VOP_LOG_ERROR);
    ret = open_interface(&bridge);
    if (!ret)
        ret = run_loop(&bridge);
    netlink_close(bridge.netlink);
    tap_close(&bridge.tap);
    netns_close(&bridge.netns);
    return ret;
}
