/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_clients.c - what others may ask of a running bridge: a reload, captures, and all that the control socket and
 * the metrics show.
 *
 * Room: bridge.
 */
#include "bridge_private.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

/* ---- Reload ---- */

static int set_queues(void *context, unsigned queues)
{
    struct bridge *bridge = context;

    bridge->queues_wanted = queues;
    return bridge_use_queues(bridge);
}

static int set_carrier(void *context, enum carrier carrier)
{
    const struct bridge *bridge = context;

    if (bridge_is_lost(bridge))
        return 0;
    return tap_carrier_set(&bridge->interface.tap, carrier == CARRIER_ON || bridge->is_flowing);
}

static void apply(struct bridge *bridge, const struct options *wanted, struct reload_result *ret_result)
{
    const struct reload_target target = {
        .interface = &bridge->interface,
        .crew = &bridge->crew,
        .control = &bridge->control,
        .exporter = &bridge->exporter,
        .netns_watch = &bridge->netns_watch,
        .can_capture = bridge->capture != NULL,
        .set_queues = set_queues,
        .set_carrier = set_carrier,
        .context = bridge,
    };

    reload_apply(&target, wanted, &bridge->in_force, ret_result);
}

int bridge_reload(void *context, struct reload_result *ret_result, char ret_why[RELOAD_WHY_SIZE])
{
    struct bridge *bridge = context;
    struct options wanted;
    int ret;

    notify_reloading(&bridge->notify);
    ret = reload_read(&wanted, ret_why);
    if (!ret)
        apply(bridge, &wanted, ret_result);
    notify_reloaded(&bridge->notify); /* also where the old ones stay in force: it has the reason in its log */
    return ret;
}

/* ---- Captures ---- */

static int open_capture_file(void *context, bool is_first, unsigned keep, char ret_path[PATH_MAX], int *ret_fd)
{
    struct bridge *bridge = context;

    return capture_files_next(&bridge->capture_files, is_first, keep, ret_path, ret_fd);
}

static void attach_capture(void *context, struct capture_ring *const *rings)
{
    struct bridge *bridge = context;

    crew_capture(&bridge->crew, rings);
}

int bridge_open_capture(struct bridge *bridge)
{
    const struct capture_setup setup = {
        .interface = bridge->interface.tap.name,
        .queues = bridge->interface.tap.queues,
        .open_file = open_capture_file,
        .attach = attach_capture,
        .context = bridge,
    };

    if (bridge->options->no_control || !bridge->options->capture_dir[0])
        return 0;
    capture_files_init(&bridge->capture_files, bridge->options->capture_dir, bridge->interface.tap.name);
    return capture_open(&bridge->loop, &setup, &bridge->capture);
}

/* ---- The control socket ---- */

static void look(void *context, struct control_facts *ret_facts)
{
    const struct bridge *bridge = context;

    ret_facts->options = bridge->options;
    ret_facts->tap = &bridge->interface.tap;
    ret_facts->interface = &bridge->interface.now;
    ret_facts->has_carrier = !bridge_is_lost(bridge) && (bridge->options->carrier == CARRIER_ON || bridge->is_flowing);
    ret_facts->is_up = bridge->pairs > 0;
    link_show(bridge->link, &ret_facts->link);
    ret_facts->sessions = bridge->sessions;
    ret_facts->started_at = (double)bridge->started_on.tv_sec + (double)bridge->started_on.tv_nsec / 1e9;
    ret_facts->pid = bridge->pid;
    ret_facts->uptime_ms = (uv_hrtime() - bridge->started_at) / 1000000;
    ret_facts->queues_max = bridge_queues_max(bridge);
}

static unsigned look_queues(void *context, struct queue_figures ret_figures[CREW_MAX])
{
    struct bridge *bridge = context;

    crew_look(&bridge->crew, ret_figures);
    return bridge->crew.count;
}

static void stop(void *context)
{
    struct bridge *bridge = context;

    signal_watch_send(&bridge->signals, SIGTERM);
}

int bridge_open_control(struct bridge *bridge)
{
    const struct options *options = bridge->options;
    const struct control_setup setup = {
        .directory = options->control[0] ? options->control : NULL,
        .name = bridge->interface.tap.name,
        .mode = options->control_mode,
        .passed_fd = options->activation.control > 0 ? options->activation.control : 0,
        .has_uid = options->has_control_uid,
        .uid = options->control_uid,
        .methods = control_methods,
        .context = &bridge->subject,
    };
    int ret;

    bridge->subject = (struct control_subject){.look = look,
                                               .look_queues = look_queues,
                                               .set_queues = set_queues,
                                               .reload = bridge_reload,
                                               .stop = stop,
                                               .context = bridge,
                                               .steer = &bridge->steer};
    bridge->started_at = uv_hrtime();
    clock_gettime(CLOCK_REALTIME, &bridge->started_on);
    bridge->pid = getpid();
    if (options->no_control)
        return 0;
    ret = control_open(&bridge->control, &bridge->loop, &setup);
    return options->control[0] || setup.passed_fd ? ret : 0;
}

int bridge_open_exporter(struct bridge *bridge)
{
    const struct options *options = bridge->options;
    const struct exporter_setup setup = {
        .endpoint = &options->metrics,
        .passed_fd = options->activation.metrics > 0 ? options->activation.metrics : 0,
        .mode = options->control_mode,
        .has_uid = options->has_control_uid,
        .uid = options->control_uid,
        .format = control_metrics,
        .context = &bridge->subject,
    };

    return exporter_open(&bridge->exporter, &bridge->loop, &setup);
}
