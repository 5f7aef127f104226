/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.c - joins one interface and one link, and lets the workers carry the frames.
 *
 * Room: bridge.
 *
 * A bridge owns the interface, the link, and a crew of workers: one for each queue of the interface, and so one for
 * each queue pair of the link. All that is here runs on the control loop: the beginning and the end of sessions,
 * signals, and what both sides say of their interfaces. The carrier follows the peer's interface, as though a cable
 * joined the two:
 *
 * - DOWN: no peer. Carrier off, no worker has a port
 * - UP: each worker that has a pair has a port. Carrier on, and frames carried, while the peer's interface is up
 */
#include "bridge.h"

#include "control.h"
#include "control_methods.h"
#include "counters.h"
#include "crew.h"
#include "frame.h"
#include "link.h"
#include "log.h"
#include "netlink.h"
#include "netlink_watch.h"
#include "netns.h"
#include "netns_watch.h"
#include "setup.h"
#include "steer.h"
#include "tap.h"

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
    struct netlink_watch netlink_watch;
    struct link *link;
    struct crew crew;
    unsigned queues_wanted; /* to be in use, as far as the peer has as many pairs */
    unsigned pairs;         /* of the session; 0: there is none */
    size_t message_max;     /* of the session, each way, bytes */
    uint64_t sessions;      /* so many have begun */
    bool has_carrier;
    struct steer steer;
    struct control control;
    struct control_subject subject; /* of the control socket */
    uint64_t started_at;            /* by uv_hrtime() */
    bool is_stopping;
    int ret; /* of bridge_run() */
};

/* ---- Queues ---- */

/* How many can be in use: those open, or those agreed with the peer. */
static unsigned get_queues_max(const struct bridge *bridge)
{
    return bridge->pairs && bridge->pairs < bridge->tap.queues ? bridge->pairs : bridge->tap.queues;
}

/* Steering hears of what is in use, also after half of a change: the kernel takes what it says modulo that number. */
static int use_queues(struct bridge *bridge)
{
    unsigned most = get_queues_max(bridge);
    int ret = tap_set_queues(&bridge->tap, bridge->queues_wanted < most ? bridge->queues_wanted : most);

    steer_set_queues(&bridge->steer, bridge->tap.queues_in_use);
    return ret;
}

/* ---- What both sides say of their interfaces ---- */

static int set_carrier(struct bridge *bridge, bool is_on)
{
    int ret;

    if (bridge->has_carrier == is_on)
        return 0;
    if (is_on)
        netlink_neighbours_note(bridge->netlink);
    else
        crew_hold(&bridge->crew, true);
    ret = tap_carrier_set(&bridge->tap, is_on);
    if (ret)
        return ret;
    bridge->has_carrier = is_on;
    if (is_on) {
        netlink_wait_running(bridge->netlink);
        netlink_neighbours_retry(bridge->netlink);
        crew_hold(&bridge->crew, false);
    }
    return 0;
}

/*
 * The side that connects takes over the other's MTU, unless its own was named: one of them only, or two that change it
 * at the same moment would go on to exchange theirs.
 */
static void meet_mtu(struct bridge *bridge, uint32_t mtu)
{
    uint32_t own = bridge->interface.mtu;

    if (!mtu || mtu == own)
        return;
    if (!bridge->options->listen && !bridge->options->mtu && frame_message_least(mtu) <= bridge->message_max &&
        netlink_set_mtu(bridge->netlink, mtu) == 0) {
        log_line("the MTU is %u now, as at the peer", mtu);
        return;
    }
    log_line("the MTU is %u here and %u at the peer: long frames will be lost; give both the same --mtu", own, mtu);
}

/* Behind a card is a network that may know no other address than the card's. */
static void meet_mac(struct bridge *bridge, const struct link_peer *peer)
{
    uint8_t *own = bridge->interface.mac;

    if (!peer->has_mac || bridge->options->has_mac || memcmp(own, peer->mac, sizeof(peer->mac)) == 0)
        return;
    if (netlink_set_mac(bridge->netlink, peer->mac) == 0)
        memcpy(own, peer->mac, sizeof(peer->mac));
}

static void on_peer_news(void *context)
{
    struct bridge *bridge = context;
    struct link_peer peer;

    if (!bridge->pairs || !link_look(bridge->link, &peer))
        return;
    if (set_carrier(bridge, peer.is_up) == 0 && peer.is_up)
        meet_mtu(bridge, peer.mtu);
}

static void on_interface_changed(void *context)
{
    struct bridge *bridge = context;
    uint32_t mtu;
    bool is_up;

    if (netlink_get_state(bridge->netlink, &is_up, &mtu) < 0)
        return;
    if (mtu != bridge->interface.mtu) {
        bridge->interface.mtu = mtu;
        crew_set_mtu(&bridge->crew, mtu);
    }
    link_announce(bridge->link, is_up, mtu);
}

/* ---- Sessions ---- */

static void end_session(struct bridge *bridge)
{
    crew_end(&bridge->crew);
    bridge->pairs = 0;
}

/* Where there is a session already it goes on, with other ports: then the carrier stays on. */
static int begin_session(void *context, struct port *const *ports, unsigned count, const struct link_peer *peer)
{
    struct bridge *bridge = context;
    bool is_new = bridge->pairs == 0;
    int ret;

    crew_end(&bridge->crew);
    bridge->pairs = count;
    bridge->message_max = ports[0]->message_max;
    if (ports[0]->receive_max && ports[0]->receive_max < bridge->message_max)
        bridge->message_max = ports[0]->receive_max;
    ret = use_queues(bridge);
    if (!ret)
        ret = crew_begin(&bridge->crew, ports, count);
    if (!ret) {
        meet_mac(bridge, peer);
        ret = set_carrier(bridge, peer->is_up);
    }
    if (ret) {
        end_session(bridge);
        set_carrier(bridge, false);
        return ret;
    }
    if (bridge->has_carrier)
        crew_hold(&bridge->crew, false);
    bridge->sessions += is_new;
    meet_mtu(bridge, peer->mtu);
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
        set_carrier(bridge, false);
    link_close(bridge->link);
    control_close(&bridge->control);
    steer_close(&bridge->steer);
    netns_watch_close(&bridge->netns_watch);
    netlink_watch_close(&bridge->netlink_watch);
    crew_close(&bridge->crew);
    for (unsigned i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&bridge->signals[i], NULL);
}

static void on_crew_lost(void *context, int why, const char *text)
{
    struct bridge *bridge = context;

    if (bridge->is_stopping)
        return;
    if (why == -EBADFD) {
        log_line("TAP %s: it was deleted; start the bridge again to make a new one", bridge->tap.name);
        stop_bridge(bridge, -ENODEV);
        return;
    }
    if (!bridge->pairs)
        return;
    end_session(bridge);
    set_carrier(bridge, false);
    link_drop(bridge->link, why, text);
}

static void on_crew_stuck(void *context)
{
    struct bridge *bridge = context;

    link_unblock(bridge->link);
}

static void on_link_pause(void *context, bool is_paused)
{
    struct bridge *bridge = context;

    if (is_paused)
        crew_park(&bridge->crew);
    else
        crew_release(&bridge->crew);
}

static void on_peer_moved(void *context, const uint8_t address[6])
{
    struct bridge *bridge = context;

    tap_announce(&bridge->tap, address);
}

static void on_netns_lost(void *context)
{
    stop_bridge(context, -ENOENT);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct bridge *bridge = handle->data;
    struct counters counters[CREW_MAX], sum = {.tx_frames = 0};

    if (number != SIGUSR1) {
        stop_bridge(bridge, 0);
        return;
    }
    crew_count(&bridge->crew, counters);
    for (unsigned i = 0; i < bridge->crew.count; i++)
        counters_add(&sum, &counters[i]);
    counters_log(&sum);
}

/* ---- The control socket ---- */

static void look(void *context, struct control_facts *ret_facts)
{
    const struct bridge *bridge = context;

    ret_facts->options = bridge->options;
    ret_facts->tap = &bridge->tap;
    ret_facts->interface = &bridge->interface;
    ret_facts->is_up = bridge->pairs > 0;
    link_show(bridge->link, &ret_facts->link);
    ret_facts->sessions = bridge->sessions;
    ret_facts->uptime_ms = (uv_hrtime() - bridge->started_at) / 1000000;
    ret_facts->queues_max = get_queues_max(bridge);
}

static unsigned count(void *context, struct counters ret_counters[CREW_MAX])
{
    struct bridge *bridge = context;

    crew_count(&bridge->crew, ret_counters);
    return bridge->crew.count;
}

static int set_queues(void *context, unsigned queues)
{
    struct bridge *bridge = context;

    bridge->queues_wanted = queues;
    return use_queues(bridge);
}

/* Who has not asked for one can do without. */
static int open_control(struct bridge *bridge)
{
    const struct options *options = bridge->options;
    const struct control_setup setup = {
        .directory = options->control[0] ? options->control : NULL,
        .name = options->tap,
        .mode = options->control_mode,
        .has_uid = options->has_control_uid,
        .uid = options->control_uid,
        .methods = control_methods,
        .context = &bridge->subject,
    };
    int ret;

    bridge->subject = (struct control_subject){
        .look = look, .count = count, .set_queues = set_queues, .context = bridge, .steer = &bridge->steer};
    bridge->started_at = uv_hrtime();
    if (options->no_control)
        return 0;
    ret = control_open(&bridge->control, &bridge->loop, &setup);
    return options->control[0] ? ret : 0;
}

/* ---- The beginning ---- */

static int open_interface(struct bridge *bridge)
{
    int ret = bridge->options->netns[0] ? netns_open(bridge->options->netns, &bridge->netns) : 0;

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

static int open_crew(struct bridge *bridge)
{
    const struct crew_setup setup = {
        .tap = &bridge->tap,
        .forward = {.offload = bridge->tap.offload, .features = bridge->features, .mtu = bridge->interface.mtu},
        .spin_us = bridge->options->spin_us,
        .affinity = bridge->options->has_affinity ? &bridge->options->affinity : NULL,
        .lost = on_crew_lost,
        .news = on_peer_news,
        .stuck = on_crew_stuck,
        .context = bridge,
    };

    bridge->queues_wanted = bridge->tap.queues;
    return crew_open(&bridge->crew, &bridge->loop, &setup);
}

/* The link comes last, for it may begin a session at once. The interface persists only if all else has worked. */
static int open_all(struct bridge *bridge)
{
    static const struct link_events events = {
        .up = begin_session, .pause = on_link_pause, .moved = on_peer_moved, .lost = on_crew_lost};
    struct link_setup setup;
    int ret = watch_signals(bridge);

    if (!ret) {
        steer_open(&bridge->steer, bridge->tap.queue_fd[0], bridge->tap.queues_in_use, &bridge->options->steer);
        ret = open_crew(bridge);
    }
    if (!ret)
        ret = open_control(bridge);
    if (!ret && bridge->options->netns[0] && bridge->options->on_netns_loss == ON_NETNS_LOSS_EXIT)
        ret = netns_watch_open(&bridge->netns_watch, &bridge->loop, &bridge->netns, on_netns_lost, bridge);
    if (!ret)
        ret = netlink_watch_open(&bridge->netlink_watch, &bridge->loop, bridge->netns.fd,
                                 netlink_index(bridge->netlink), on_interface_changed, bridge);
    if (ret)
        return ret;
    setup_link(bridge->options, &bridge->interface, bridge->features, bridge->tap.queues, &setup);
    ret = link_open(&bridge->loop, &setup, &events, bridge, &bridge->link);
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
    link_free(bridge->link);
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
    struct bridge bridge = {.options = options, .netns.fd = -1, .steer.tap_fd = -1};
    int ret;

    if (options->log_level >= LOG_LEVEL_DEBUG)
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
