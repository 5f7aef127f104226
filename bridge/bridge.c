/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge.c - joins one interface and one link, and lets the workers carry the frames.
 *
 * Room: bridge.
 *
 * A bridge owns the interface, the link, and a crew of workers: one for each queue of the interface, and so one for
 * each queue pair of the link. All that is here runs on the control loop: the beginning and the end of sessions,
 * signals, and what both sides say of their interfaces. The carrier follows the peer's interface, as though a cable
 * joined the two, unless it is to be on all the time:
 *
 * - DOWN: no peer, no worker has a port
 * - UP: each worker that has a pair has a port. Frames flow while the interfaces of both sides are there, and the
 * peer's is up
 */
#include "bridge_private.h"

#include "broker.h"
#include "broker_link.h"
#include "counters.h"
#include "frame.h"
#include "log.h"
#include "netlink.h"
#include "sandbox.h"
#include "setup.h"
#include "steer_card.h"
#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <vopipc/log.h>
#include <vopipc/opener.h>

static const int signal_numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

/* ---- Queues ---- */

unsigned bridge_queues_max(const struct bridge *bridge)
{
    return bridge->pairs && bridge->pairs < bridge->interface.tap.queues ? bridge->pairs : bridge->interface.tap.queues;
}

/* Steering hears of what is in use, also after half of a change: the kernel takes what it says modulo that number. */
int bridge_use_queues(struct bridge *bridge)
{
    unsigned most = bridge_queues_max(bridge);
    int ret = tap_set_queues(&bridge->interface.tap, bridge->queues_wanted < most ? bridge->queues_wanted : most);

    steer_set_queues(&bridge->steer, bridge->interface.tap.queues_in_use);
    return ret;
}

/* ---- What both sides say of their interfaces ---- */

bool bridge_is_lost(const struct bridge *bridge)
{
    return bridge->interface.tap.is_lost;
}

/* The carrier shows whether frames flow, unless the user wants it on. */
static int show_carrier(struct bridge *bridge, bool is_on)
{
    return bridge->options->carrier == CARRIER_ON ? 0 : tap_carrier_set(&bridge->interface.tap, is_on);
}

/* What the kernel has queued while there was nobody to send it to is dropped, unless the user wants it kept. */
static int begin_flow(struct bridge *bridge)
{
    struct netlink *netlink = bridge->interface.netlink;
    int ret;

    if (bridge->options->on_peer_loss != ON_PEER_LOSS_HOLD)
        crew_discard(&bridge->crew);
    netlink_neighbours_note(netlink);
    ret = show_carrier(bridge, true);
    if (ret)
        return ret;
    netlink_wait_running(netlink);
    netlink_neighbours_retry(netlink);
    crew_hold(&bridge->crew, false);
    return 0;
}

/* Without an interface nothing flows, whatever the peer says. */
static int set_flow(struct bridge *bridge, bool is_on)
{
    int ret;

    if (bridge->is_flowing == is_on || bridge_is_lost(bridge))
        return 0;
    if (!is_on)
        crew_hold(&bridge->crew, true);
    ret = is_on ? begin_flow(bridge) : show_carrier(bridge, false);
    if (!ret)
        bridge->is_flowing = is_on;
    return ret;
}

/*
 * The side that connects takes over the other's MTU, unless its own was named: one of them only, or two that change it
 * at the same moment would go on to exchange theirs.
 */
static void meet_mtu(struct bridge *bridge)
{
    uint32_t own = bridge->interface.now.mtu, mtu = bridge->peer.mtu;

    if (!mtu || mtu == own || bridge_is_lost(bridge))
        return;
    if (!bridge->options->listen && !bridge->options->mtu && frame_message_least(mtu) <= bridge->message_max &&
        netlink_set_mtu(bridge->interface.netlink, "the peer's MTU", mtu) == 0) {
        log_notice("the MTU is %u now, as at the peer", mtu);
        return;
    }
    log_warning("the MTU is %u here and %u at the peer: long frames will be lost; give both the same --mtu", own, mtu);
}

/* Behind a card is a network that may know no other address than the card's. */
static void meet_mac(struct bridge *bridge)
{
    const struct link_peer *peer = &bridge->peer;
    uint8_t *own = bridge->interface.now.mac;

    if (!peer->has_mac || bridge->options->has_mac || bridge_is_lost(bridge) ||
        memcmp(own, peer->mac, sizeof(peer->mac)) == 0)
        return;
    if (netlink_set_mac(bridge->interface.netlink, "the card's address", peer->mac) == 0)
        memcpy(own, peer->mac, sizeof(peer->mac));
}

/* What the peer is told of the interface. At the end it is told to stop, and says when it has. */
static void announce(struct bridge *bridge)
{
    bool is_up = bridge->interface.now.is_up && !bridge_is_lost(bridge) && !bridge->drain.is_sent;
    bool is_holding = bridge->pairs && !bridge->peer.is_up && !bridge->is_flowing;

    link_announce(bridge->link, is_up, is_holding, bridge->interface.now.mtu);
}

static void on_peer_news(void *context)
{
    struct bridge *bridge = context;

    if (!bridge->pairs || !link_look(bridge->link, &bridge->peer))
        return;
    if (set_flow(bridge, bridge->peer.is_up) == 0 && bridge->peer.is_up)
        meet_mtu(bridge);
    announce(bridge);
    if (bridge->peer.is_holding)
        drain_hurry(&bridge->drain);
}

static void on_interface_changed(void *context)
{
    struct bridge *bridge = context;

    crew_set_mtu(&bridge->crew, bridge->interface.now.mtu);
    announce(bridge);
}

static void on_interface_renamed(void *context)
{
    struct bridge *bridge = context;

    control_rename(&bridge->control, bridge->interface.tap.name);
}

/* ---- Sessions ---- */

static void tell_manager(struct bridge *bridge)
{
    if (bridge->is_stopping)
        notify_status(&bridge->notify, "%s: ending", bridge->interface.tap.name);
    else if (bridge->pairs)
        notify_status(&bridge->notify, "%s: link up by %s, queue pairs: %u", bridge->interface.tap.name,
                      bridge->options->link, bridge->pairs);
    else
        notify_status(&bridge->notify, "%s: waiting for a peer by %s", bridge->interface.tap.name,
                      bridge->options->link);
}

static void end_session(struct bridge *bridge)
{
    crew_end(&bridge->crew);
    bridge->pairs = 0;
    (void)set_flow(bridge, false);
    tell_manager(bridge);
}

static int begin_ports(struct bridge *bridge, struct port *const *ports, unsigned count)
{
    int ret;

    crew_end(&bridge->crew);
    bridge->pairs = count;
    bridge->message_max = ports[0]->message_max;
    if (ports[0]->receive_max && ports[0]->receive_max < bridge->message_max)
        bridge->message_max = ports[0]->receive_max;
    ret = bridge_use_queues(bridge);
    return ret ? ret : crew_begin(&bridge->crew, ports, count);
}

/* Where there is a session already it goes on, with other ports: then the carrier stays on. */
static int begin_session(void *context, struct port *const *ports, unsigned count, const struct link_peer *peer)
{
    struct bridge *bridge = context;
    bool is_new = bridge->pairs == 0;
    int ret = begin_ports(bridge, ports, count);

    bridge->peer = *peer;
    if (!ret) {
        meet_mac(bridge);
        ret = set_flow(bridge, peer->is_up);
    }
    if (ret) {
        end_session(bridge);
        return ret;
    }
    if (bridge->is_flowing)
        crew_hold(&bridge->crew, false);
    bridge->sessions += is_new;
    tell_manager(bridge);
    meet_mtu(bridge);
    announce(bridge);
    return 0;
}

/* ---- The interface is deleted, and made again ---- */

/* Nobody here uses it any more, and it has no carrier to show. */
static void leave_interface(struct bridge *bridge)
{
    (void)crew_set_tap(&bridge->crew, NULL);
    steer_move(&bridge->steer, -1);
    bridge->is_flowing = false;
}

/* The session goes on meanwhile; its frames wait in the link, and the peer's carrier is off. */
static void lose_interface(struct bridge *bridge)
{
    log_notice("TAP %s: it was deleted; it is made again", bridge->interface.tap.name);
    leave_interface(bridge);
    interface_lose(&bridge->interface);
    announce(bridge);
}

static void stop_bridge(struct bridge *bridge, int ret);

static void on_interface_made(void *context)
{
    struct bridge *bridge = context;
    const struct tap *tap = &bridge->interface.tap;
    int ret = crew_set_tap(&bridge->crew, tap);

    steer_move(&bridge->steer, tap->queue_fd[0]);
    if (!ret)
        ret = bridge_use_queues(bridge);
    if (!ret && bridge->options->carrier == CARRIER_ON)
        ret = tap_carrier_set(tap, true);
    meet_mac(bridge);
    on_interface_changed(bridge);
    if (!ret && bridge->pairs)
        ret = set_flow(bridge, bridge->peer.is_up);
    if (!ret && bridge->pairs)
        meet_mtu(bridge);
    if (ret)
        stop_bridge(bridge, ret);
}

/* ---- The end ---- */

/* Closes everything on the loop, which then ends. */
static void stop_bridge(struct bridge *bridge, int ret)
{
    if (bridge->is_stopping)
        return;
    bridge->is_stopping = true;
    bridge->ret = ret;
    notify_stopping(&bridge->notify);
    drain_close(&bridge->drain);
    end_session(bridge);
    if (bridge->options->carrier == CARRIER_ON && !bridge_is_lost(bridge))
        (void)tap_carrier_set(&bridge->interface.tap, false); /* it may persist, and then nobody reads it */
    link_close(bridge->link);
    exporter_close(&bridge->exporter);
    control_close(&bridge->control);
    steer_close(&bridge->steer);
    netns_watch_close(&bridge->netns_watch);
    interface_unwatch(&bridge->interface);
    capture_close(bridge->capture);
    bridge->capture = NULL;
    crew_close(&bridge->crew);
    notify_close(&bridge->notify);
    broker_unwatch();
    signal_watch_close(&bridge->signals);
}

static void on_interface_lost(struct bridge *bridge)
{
    if (drain_is_open(&bridge->drain)) {
        stop_bridge(bridge, 0);
        return;
    }
    if (bridge->options->on_tap_loss == ON_TAP_LOSS_RECREATE) {
        lose_interface(bridge);
        return;
    }
    log_error("TAP %s: it was deleted; start the bridge again to make a new one, or with --on-tap-loss recreate",
              bridge->interface.tap.name);
    leave_interface(bridge);
    tap_lose(&bridge->interface.tap);
    stop_bridge(bridge, -ENODEV);
}

static void on_crew_lost(void *context, int why, const char *text)
{
    struct bridge *bridge = context;

    if (bridge->is_stopping)
        return;
    if (why == -EBADFD) {
        on_interface_lost(bridge);
        return;
    }
    if (!bridge->pairs)
        return;
    end_session(bridge);
    link_drop(bridge->link, why, text);
    if (drain_is_open(&bridge->drain)) {
        stop_bridge(bridge, 0);
    } else if (bridge->options->on_peer_loss == ON_PEER_LOSS_EXIT) {
        log_error("--on-peer-loss exit: the peer is gone, so this bridge ends; start both again");
        stop_bridge(bridge, why);
    }
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

    if (!bridge_is_lost(bridge))
        tap_announce(&bridge->interface.tap, address);
}

/* It can name pairs whose queues of the TAP are not in use: set_queues() was asked for fewer. */
static void on_peer_spread(void *context, const struct vop_net_rss *rss)
{
    struct bridge *bridge = context;
    int ret = steer_card(&bridge->steer, rss);

    if (ret)
        log_warning("frames are not spread as the card's driver wants: %s", strerror(-ret));
}

static void on_netns_lost(void *context)
{
    stop_bridge(context, -ENOENT);
}

/* What the interface had handed over is sent: the peer's turn. It stops too, and what it has sent comes. */
static void on_sent(void *context)
{
    announce(context);
}

static void on_drained(void *context)
{
    stop_bridge(context, 0);
}

/* The carrier goes first, so that the kernel hands over no more frames; whoever asks twice is in a hurry. */
static void end_gracefully(struct bridge *bridge)
{
    uint32_t drain_ms = bridge->options->drain_ms;

    if (!drain_ms || !bridge->is_flowing || drain_is_open(&bridge->drain) ||
        tap_carrier_set(&bridge->interface.tap, false) < 0) {
        stop_bridge(bridge, 0);
        return;
    }
    notify_stopping(&bridge->notify);
    drain_open(&bridge->drain, &bridge->loop, &bridge->crew, drain_ms, on_sent, on_drained, bridge);
}

/* ---- Signals ---- */

static void on_signal(void *context, int number)
{
    struct bridge *bridge = context;
    struct queue_figures figures[CREW_MAX];
    struct counters sum = {.tx_frames = 0};
    struct reload_result result;
    char why[RELOAD_WHY_SIZE];

    if (number == SIGHUP) {
        (void)bridge_reload(bridge, &result, why);
        return;
    }
    if (number != SIGUSR1) {
        end_gracefully(bridge);
        return;
    }
    crew_look(&bridge->crew, figures);
    for (unsigned i = 0; i < bridge->crew.count; i++)
        counters_add(&sum, &figures[i].counters);
    counters_log(&sum);
}

/* ---- The beginning ---- */

static int open_interface(struct bridge *bridge)
{
    struct interface *interface = &bridge->interface;
    int ret = interface_open(interface, bridge->options);

    if (!ret)
        ret = setup_offer(bridge->options, &interface->tap, interface->now.mtu, &bridge->features);
    if (!ret && bridge->options->carrier == CARRIER_ON)
        ret = tap_carrier_set(&interface->tap, true);
    return ret;
}

static int open_crew(struct bridge *bridge)
{
    const struct tap *tap = &bridge->interface.tap;
    const struct crew_setup setup = {
        .tap = tap,
        .forward = {.offload = tap->offload,
                    .is_bare = tap->is_bare,
                    .features = bridge->features,
                    .mtu = bridge->interface.now.mtu},
        .spin_us = bridge->options->spin_us,
        .affinity = bridge->options->has_affinity ? &bridge->options->affinity : NULL,
        .lost = on_crew_lost,
        .news = on_peer_news,
        .stuck = on_crew_stuck,
        .context = bridge,
    };

    bridge->queues_wanted = tap->queues;
    return crew_open(&bridge->crew, &bridge->loop, &setup);
}

static int watch_interface(struct bridge *bridge)
{
    static const struct interface_events events = {
        .changed = on_interface_changed, .renamed = on_interface_renamed, .made = on_interface_made};
    int ret = 0;

    if (bridge->options->netns[0] && bridge->options->on_netns_loss == ON_NETNS_LOSS_EXIT)
        ret = netns_watch_open(&bridge->netns_watch, &bridge->loop, &bridge->interface.netns, on_netns_lost, bridge);
    return ret ? ret : interface_watch(&bridge->interface, &bridge->loop, &events, bridge);
}

static void on_broker_lost(void *context)
{
    stop_bridge(context, -EPIPE);
}

/* What needs a privilege, or a name in the file system. */
static int open_privileged(struct bridge *bridge)
{
    const struct tap *tap = &bridge->interface.tap;
    int ret = signal_watch_open(&bridge->signals, &bridge->loop, signal_numbers,
                                sizeof(signal_numbers) / sizeof(signal_numbers[0]), on_signal, bridge);

    if (ret)
        return ret;
    steer_open(&bridge->steer, tap->queue_fd[0], tap->queues_in_use, &bridge->options->steer);
    ret = bridge_open_control(bridge);
    if (!ret)
        ret = bridge_open_exporter(bridge);
    return ret ? ret : watch_interface(bridge);
}

/* From here on the broker opens what is opened. There are no other threads yet. */
static int enter_sandbox(struct bridge *bridge)
{
    const struct broker_setup setup = {
        .options = bridge->options,
        .interface = &bridge->interface,
        .control = &bridge->control.socket,
        .metrics = &bridge->exporter.file,
    };
    int ret = vop_opener_set(NULL, NULL); /* the library reads what it has to know of the machine */

    if (!ret && !bridge->options->no_sandbox)
        ret = broker_start(&setup);
    if (!ret && broker_is_there()) {
        netlink_hand_over(bridge->interface.netlink);
        ret = broker_watch(&bridge->loop, on_broker_lost, bridge);
    }
    if (!ret)
        ret = sandbox_enter(bridge->options);
    if (!ret && broker_is_there())
        ret = vop_opener_set(broker_link_ask, NULL);
    return ret;
}

/* The link comes last, for it may begin a session at once. The interface persists only if all else has worked. */
static int open_link(struct bridge *bridge)
{
    static const struct link_events events = {.up = begin_session,
                                              .pause = on_link_pause,
                                              .moved = on_peer_moved,
                                              .spread = on_peer_spread,
                                              .lost = on_crew_lost};
    const struct tap *tap = &bridge->interface.tap;
    struct link_setup setup;
    int ret;

    setup_link(bridge->options, tap, &bridge->interface.now, bridge->features, &setup);
    setup.rss_types = steer_card_types(&bridge->steer);
    ret = link_open(&bridge->loop, &setup, &events, bridge, &bridge->link);
    if (!ret && bridge->options->persist)
        ret = tap_persist(tap, true);
    return ret;
}

static bool is_alive(void *context)
{
    struct bridge *bridge = context;

    return crew_is_alive(&bridge->crew);
}

static int open_all(struct bridge *bridge)
{
    int ret = open_privileged(bridge);

    if (!ret)
        ret = enter_sandbox(bridge);
    if (ret)
        return ret;
    log_start();
    ret = open_crew(bridge);
    if (!ret)
        ret = bridge_open_capture(bridge);
    bridge->subject.capture = bridge->capture;
    if (!ret)
        ret = open_link(bridge);
    return ret ? ret : sandbox_close(bridge->options);
}

static int run_loop(struct bridge *bridge)
{
    int ret = uv_loop_init(&bridge->loop);

    if (ret) {
        log_error("event loop: %s", strerror(-ret));
        return ret;
    }
    ret = open_all(bridge);
    tell_manager(bridge);
    if (!ret)
        ret = notify_start(&bridge->notify, &bridge->loop, is_alive, bridge);
    if (ret)
        stop_bridge(bridge, ret);
    uv_run(&bridge->loop, UV_RUN_DEFAULT);
    broker_stop();
    if (uv_loop_close(&bridge->loop) < 0)
        log_debug("event loop: something was left open");
    link_free(bridge->link);
    return bridge->ret;
}

/*
 * What the library has to say of a failure, a line of the bridge says, too. Who was refused only the library knows, and
 * where --peer-uid says who may come, the user wants to know.
 */
static void log_library_line(void *context, enum vop_log_level level, const char *line)
{
    const struct bridge *bridge = context;

    if (level == VOP_LOG_ERROR && (bridge->options->has_peer_uid || log_has_level(LOG_LEVEL_DEBUG)))
        log_error("%s", line);
    else if (level == VOP_LOG_INFO && log_has_level(LOG_LEVEL_DEBUG))
        log_info("%s", line);
    else
        log_debug("%s", line);
}

int bridge_run(const struct options *options)
{
    struct bridge bridge = {.in_force = *options, .interface = INTERFACE_CLOSED, .steer.tap_fd = -1};
    int ret;

    bridge.options = &bridge.in_force;
    vop_log_set(log_library_line, &bridge, VOP_LOG_DEBUG); /* the level may change at any time */
    ret = notify_open(&bridge.notify);
    if (!ret)
        ret = open_interface(&bridge);
    if (!ret)
        ret = run_loop(&bridge);
    interface_close(&bridge.interface);
    notify_close(&bridge.notify);
    return ret;
}
