/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control_methods.c - what clients of the control socket can ask of a bridge.
 *
 * Room: bridge.
 */
#include "control_methods.h"

#include "capture_methods.h"
#include "metrics.h"
#include "offload.h"
#include "steer_methods.h"
#include "steer_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Pieces ---- */

static bool take_none(json_t *params, struct control_failure *failure)
{
    if (json_object_size(params) == 0)
        return true;
    control_fail(failure, CONTROL_BAD_PARAMS, "%.64s: no such parameter; this method has none",
                 json_object_iter_key(json_object_iter(params)));
    return false;
}

static void look(void *context, struct control_facts *ret_facts)
{
    const struct control_subject *subject = context;

    memset(ret_facts, 0, sizeof(*ret_facts));
    subject->look(subject->context, ret_facts);
}

static json_t *describe_offload(unsigned set)
{
    json_t *list = json_array();
    char text[OFFLOAD_TEXT_SIZE];
    char *rest = text;

    if (set)
        offload_format(set, text, sizeof(text));
    for (char *name = set ? strsep(&rest, ",") : NULL; name; name = strsep(&rest, ","))
        json_array_append_new(list, json_string(name));
    return list;
}

static json_t *describe_counters(const struct counters *counters)
{
    json_t *object = json_object();

    for (size_t i = 0; i < COUNTERS; i++)
        json_object_set_new(object, counter_name(i), json_integer((json_int_t)counter_value(counters, i)));
    return object;
}

/* A process of another host, or of another PID namespace, has no number here. */
static json_t *describe_peer(vop_channel *channel)
{
    struct vop_channel_info info = {.struct_size = sizeof(info)};

    if (!channel || vop_channel_get_info(channel, &info) < 0 || info.peer_pid <= 0)
        return json_null();
    return json_integer(info.peer_pid);
}

/* A board's network device, or null. */
static json_t *describe_device(const struct control_facts *facts)
{
#define NUMBER(name) #name, (json_int_t)info.name
    struct vop_net2009_info info;

    if (!facts->link.net2009)
        return json_null();
    vop_net2009_get_info(facts->link.net2009, facts->link.device, &info, sizeof(info));
    return json_pack("{s:i, s:s, s:b, s:I, s:I, s:[{s:i, s:i}, {s:i, s:i}], s:I, s:I, s:I, s:I, s:I, s:I}", "device",
                     (int)facts->link.device, "side", info.is_board ? "board" : "host", "is_met", info.is_met,
                     NUMBER(status), NUMBER(peer_status), "queues", "avail", info.queue[0].avail, "used",
                     info.queue[0].used, "avail", info.queue[1].avail, "used", info.queue[1].used, NUMBER(interrupts),
                     NUMBER(storms), NUMBER(rescues), NUMBER(malformed), NUMBER(dropped), NUMBER(failed));
#undef NUMBER
}

static json_t *describe_mac(const uint8_t mac[6])
{
    return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static json_t *describe_altnames(const struct options *options)
{
    json_t *list = json_array();

    for (size_t i = 0; i < options->altname_count; i++)
        json_array_append_new(list, json_string(options->altnames[i]));
    return list;
}

static const char *name_state(const struct control_facts *facts)
{
    if (facts->tap->is_lost)
        return "lost";
    return facts->interface->is_up ? "up" : "down";
}

static json_t *describe_interface(const struct control_facts *facts)
{
    const struct options *options = facts->options;

    return json_pack("{s:s, s:o, s:s?, s:s, s:b, s:i, s:o, s:o, s:b}", "name", facts->tap->name, "altnames",
                     describe_altnames(options), "netns", options->netns[0] ? options->netns : NULL, "state",
                     name_state(facts), "carrier", facts->has_carrier, "mtu", (int)facts->interface->mtu, "mac",
                     describe_mac(facts->interface->mac), "offload", describe_offload(facts->tap->offload), "persist",
                     options->persist || facts->tap->was_there);
}

/* ---- Methods ---- */

static json_t *run_status(void *context, json_t *params, struct control_failure *failure)
{
    const struct control_subject *subject = context;
    struct control_facts facts;
    const struct options *options;

    if (!take_none(params, failure))
        return NULL;
    look(context, &facts);
    options = facts.options;
    return json_pack("{s:s, s:I, s:I, s:o, s:{s:s, s:s, s:s, s:o, s:I, s:o}, s:i, s:i, s:o}", "version", vop_version(),
                     "pid", (json_int_t)facts.pid, "uptime_ms", (json_int_t)facts.uptime_ms, "interface",
                     describe_interface(&facts), /* */
                     "link", "uri", options->link, "role", options->listen ? "listen" : "connect", "state",
                     facts.is_up ? "up" : "down", "peer_pid", describe_peer(facts.link.channel), "sessions",
                     (json_int_t)facts.sessions, "net2009", describe_device(&facts), /* */
                     "queues", (int)facts.tap->queues_in_use, "queues_max", (int)facts.queues_max, "steering",
                     steer_describe_mode(subject->steer));
}

static json_t *run_stats(void *context, json_t *params, struct control_failure *failure)
{
    const struct control_subject *subject = context;
    struct queue_figures figures[CREW_MAX];
    struct counters sum = {.tx_frames = 0};
    struct control_facts facts;
    json_t *queues, *depth;
    unsigned count;

    if (!take_none(params, failure))
        return NULL;
    look(context, &facts);
    count = subject->look_queues(subject->context, figures);
    queues = json_array();
    depth = json_array();
    for (unsigned i = 0; i < count; i++) {
        counters_add(&sum, &figures[i].counters);
        json_array_append_new(queues, describe_counters(&figures[i].counters));
        json_array_append_new(depth, figures[i].depth < 0 ? json_null() : json_integer(figures[i].depth));
    }
    return json_pack("{s:o, s:o, s:o, s:i, s:I, s:s}", "total", describe_counters(&sum), "queues", queues, "depth",
                     depth, "queues_in_use", (int)facts.tap->queues_in_use, "uptime_ms", (json_int_t)facts.uptime_ms,
                     "link", facts.is_up ? "up" : "down");
}

static struct metrics_capture count_captured(struct capture *capture)
{
    struct capture_facts facts;

    capture_look(capture, &facts);
    return (struct metrics_capture){
        .is_running = facts.state == CAPTURE_RUNNING,
        .accepted = facts.counts.accepted,
        .dropped = facts.counts.dropped,
    };
}

char *control_metrics(void *context, size_t *ret_length)
{
    const struct control_subject *subject = context;
    struct queue_figures figures[CREW_MAX];
    struct control_facts facts;
    struct metrics_capture capture = {.is_running = false};
    struct steer_stats stats;
    struct metrics metrics;

    look(context, &facts);
    steer_stats(subject->steer, &stats);
    if (subject->capture)
        capture = count_captured(subject->capture);
    metrics = (struct metrics){
        .version = vop_version(),
        .started_at = facts.started_at,
        .interface = facts.tap->name,
        .netns = facts.options->netns,
        .link = facts.options->link,
        .role = facts.options->listen ? "listen" : "connect",
        .is_up = facts.is_up,
        .has_carrier = facts.has_carrier,
        .sessions = facts.sessions,
        .mtu = facts.interface->mtu,
        .queues_in_use = facts.tap->queues_in_use,
        .queues = subject->look_queues(subject->context, figures),
        .queue = figures,
        .steering = steer_mode_words.word[subject->steer->mode],
        .has_fallen_back = subject->steer->has_fallen_back,
        .steer = steer_policy(subject->steer) ? &stats : NULL,
        .steer_changes = steer_changes(subject->steer),
        .capture = subject->capture ? &capture : NULL,
    };
    return metrics_format(&metrics, ret_length);
}

static json_t *run_metrics(void *context, json_t *params, struct control_failure *failure)
{
    size_t length;
    json_t *json;
    char *text;

    if (!take_none(params, failure))
        return NULL;
    text = control_metrics(context, &length);
    json = text ? json_pack("{s:s, s:s}", "type", METRICS_TYPE, "text", text) : NULL;
    free(text);
    return json;
}

/* Without a parameter it changes nothing. */
static json_t *run_queues(void *context, json_t *params, struct control_failure *failure)
{
    const struct control_subject *subject = context;
    const json_t *count = json_object_get(params, "count");
    json_int_t number = json_integer_value(count); /* 0: it is none */
    bool has_count = count != NULL;
    struct control_facts facts;
    int ret = 0;

    json_object_del(params, "count");
    if (!take_none(params, failure))
        return NULL;
    look(context, &facts);
    if (has_count && (number < 1 || number > (json_int_t)facts.queues_max))
        return control_fail(
            failure, CONTROL_BAD_PARAMS, "count: not a whole number from 1 to %u, the most queues %s", facts.queues_max,
            facts.queues_max < facts.tap->queues ? "that the peer has too" : "that --queues has opened");
    if (has_count)
        ret = subject->set_queues(subject->context, (unsigned)number);
    if (ret)
        return control_fail(failure, CONTROL_FAILED, "the kernel refuses to change the queues in use: %s; %u are now",
                            strerror(-ret), facts.tap->queues_in_use);
    return json_pack("{s:i, s:i}", "queues", (int)facts.tap->queues_in_use, "queues_max", (int)facts.queues_max);
}

static json_t *describe_names(const struct reload_names *names)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < names->count; i++)
        json_array_append_new(list, json_string(names->name[i]));
    return list;
}

static json_t *run_reload(void *context, json_t *params, struct control_failure *failure)
{
    const struct control_subject *subject = context;
    struct reload_result result;
    char why[RELOAD_WHY_SIZE];

    if (!take_none(params, failure))
        return NULL;
    if (subject->reload(subject->context, &result, why) < 0)
        return control_fail(failure, CONTROL_FAILED, "%s", why);
    return json_pack("{s:o, s:o, s:o}", "changed", describe_names(&result.changed), "restart",
                     describe_names(&result.restart), "failed", describe_names(&result.failed));
}

/* The loop hears of it when this answer is on its way, and ends as it always does. */
static json_t *run_stop(void *context, json_t *params, struct control_failure *failure)
{
    const struct control_subject *subject = context;

    if (!take_none(params, failure))
        return NULL;
    subject->stop(subject->context);
    return json_object();
}

/* ---- Methods of steering ---- */

#define STEER_METHOD(name)                                                                          \
    static json_t *run_steer_##name(void *context, json_t *params, struct control_failure *failure) \
    {                                                                                               \
        const struct control_subject *subject = context;                                            \
                                                                                                    \
        return steer_run_##name(subject->steer, params, failure);                                   \
    }

STEER_METHOD(show)
STEER_METHOD(rss)
STEER_METHOD(pin)
STEER_METHOD(class)
STEER_METHOD(reset)

/* ---- Methods of captures ---- */

#define CAPTURE_METHOD(name)                                                                          \
    static json_t *run_capture_##name(void *context, json_t *params, struct control_failure *failure) \
    {                                                                                                 \
        const struct control_subject *subject = context;                                              \
                                                                                                      \
        return capture_run_##name(subject->capture, params, failure);                                 \
    }

CAPTURE_METHOD(start)
CAPTURE_METHOD(stop)
CAPTURE_METHOD(show)

const struct control_method control_methods[] = {
    {"status", run_status},
    {"stats", run_stats},
    {"metrics", run_metrics},
    {"queues", run_queues},
    {"stop", run_stop},
    {"reload", run_reload},
    {"steer.show", run_steer_show},
    {"steer.rss", run_steer_rss},
    {"steer.pin", run_steer_pin},
    {"steer.class", run_steer_class},
    {"steer.reset", run_steer_reset},
    {"capture.start", run_capture_start},
    {"capture.stop", run_capture_stop},
    {"capture.show", run_capture_show},
    {NULL, NULL},
};
