/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_print.c - what a bridge has answered, for people to read.
 *
 * Room: tools.
 */
#include "bridge_print.h"

#include <inttypes.h>
#include <string.h>

static const char *get_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "-";
}

static json_int_t get_number(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void bridge_print_list_head(FILE *out)
{
    fprintf(out, "%-23s %-12s %-8s %-5s %-8s %s\n", "BRIDGE", "NETNS", "ROLE", "STATE", "PEER", "LINK");
}

void bridge_print_list(const char *name, const json_t *status, FILE *out)
{
    const json_t *interface = json_object_get(status, "interface");
    const json_t *link = json_object_get(status, "link");
    const json_t *peer = json_object_get(link, "peer_pid");
    char pid[24] = "-";

    if (json_is_integer(peer))
        snprintf(pid, sizeof(pid), "%" JSON_INTEGER_FORMAT, json_integer_value(peer));
    fprintf(out, "%-23s %-12s %-8s %-5s %-8s %s\n", name, get_text(interface, "netns"), get_text(link, "role"),
            get_text(link, "state"), pid, get_text(link, "uri"));
}

static void print_list_of_words(const json_t *list, FILE *out)
{
    size_t i;
    json_t *word;

    if (json_array_size(list) == 0)
        fputs(" none", out);
    json_array_foreach(list, i, word) fprintf(out, " %s", json_is_string(word) ? json_string_value(word) : "?");
}

/* A board's network device. */
static void print_device(const json_t *device, FILE *out)
{
    static const char *const names[] = {"interrupts", "storms", "rescues", "malformed", "dropped", "failed"};
    const json_t *queues = json_object_get(device, "queues");

    if (!json_is_object(device))
        return;
    fprintf(out,
            "  device %" JSON_INTEGER_FORMAT "   on the %s, %s, status %" JSON_INTEGER_FORMAT
            ", of the peer %" JSON_INTEGER_FORMAT,
            get_number(device, "device"), get_text(device, "side"),
            json_is_true(json_object_get(device, "is_met")) ? "started" : "not started", get_number(device, "status"),
            get_number(device, "peer_status"));
    for (size_t i = 0; i < json_array_size(queues); i++)
        fprintf(out, ", queue %zu at %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT, i,
                get_number(json_array_get(queues, i), "used"), get_number(json_array_get(queues, i), "avail"));
    fputs("\n            ", out);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        fprintf(out, "%s %s %" JSON_INTEGER_FORMAT, i ? "," : "", names[i], get_number(device, names[i]));
    fputc('\n', out);
}

void bridge_print_status(const char *name, const json_t *status, FILE *out)
{
    const json_t *interface = json_object_get(status, "interface");
    const json_t *link = json_object_get(status, "link");
    const json_t *peer = json_object_get(link, "peer_pid");
    const json_t *steering = json_object_get(status, "steering");

    fprintf(out, "%s: vop-bridge %s, process %" JSON_INTEGER_FORMAT ", for %" JSON_INTEGER_FORMAT " s\n", name,
            get_text(status, "version"), get_number(status, "pid"), get_number(status, "uptime_ms") / 1000);
    fprintf(out, "  interface  %s", get_text(interface, "name"));
    if (json_is_string(json_object_get(interface, "netns")))
        fprintf(out, " in %s", get_text(interface, "netns"));
    fprintf(out, ", MTU %" JSON_INTEGER_FORMAT ", %s", get_number(interface, "mtu"), get_text(interface, "mac"));
    fprintf(out, ", queues %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT ", offloads",
            get_number(status, "queues"), get_number(status, "queues_max"));
    print_list_of_words(json_object_get(interface, "offload"), out);
    fprintf(out, "\n  link       %s, %s, %s", get_text(link, "uri"), get_text(link, "role"), get_text(link, "state"));
    if (json_is_integer(peer))
        fprintf(out, ", peer is process %" JSON_INTEGER_FORMAT, json_integer_value(peer));
    fprintf(out, ", sessions %" JSON_INTEGER_FORMAT "\n", get_number(link, "sessions"));
    print_device(json_object_get(link, "net2009"), out);
    fprintf(out, "  steering   %s\n", get_text(steering, "mode"));
    if (json_is_string(json_object_get(steering, "fallback")))
        fprintf(out, "  FALLBACK   %s\n", get_text(steering, "fallback"));
}

void bridge_print_queues(const char *name, const json_t *queues, FILE *out)
{
    fprintf(out, "%s: queues %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT "\n", name,
            get_number(queues, "queues"), get_number(queues, "queues_max"));
}

void bridge_print_stats(const char *name, const json_t *stats, FILE *out)
{
    json_t *queues = json_object_get(stats, "queues");
    size_t queue_count = json_array_size(queues);
    const char *counter;
    json_t *value;

    fprintf(out, "%-16s %16s", name, "total");
    for (size_t i = 0; queue_count > 1 && i < queue_count; i++)
        fprintf(out, " %13s%zu", "queue ", i);
    fputc('\n', out);
    json_object_foreach(json_object_get(stats, "total"), counter, value)
    {
        fprintf(out, "  %-14s %16" JSON_INTEGER_FORMAT, counter, json_integer_value(value));
        for (size_t i = 0; queue_count > 1 && i < queue_count; i++)
            fprintf(out, " %14" JSON_INTEGER_FORMAT, get_number(json_array_get(queues, i), counter));
        fputc('\n', out);
    }
}

/* "  what: a, b", if there are any. */
static void print_names(const char *what, const json_t *names, FILE *out)
{
    size_t count = json_array_size(names);

    if (count == 0)
        return;
    fprintf(out, "  %s:", what);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s %s", i ? "," : "", json_string_value(json_array_get(names, i)));
    fputc('\n', out);
}

void bridge_print_reload(const char *name, const json_t *result, FILE *out)
{
    static const char *const members[][2] = {
        {"changed", "changed"},
        {"restart", "needs a restart"},
        {"failed", "could not be done, its log says why"},
    };
    size_t count = 0;

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        count += json_array_size(json_object_get(result, members[i][0]));
    fprintf(out, "%s: reloaded%s\n", name, count ? "" : ", and all is as before");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        print_names(members[i][1], json_object_get(result, members[i][0]), out);
}
