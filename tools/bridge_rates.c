/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_rates.c - what bridges do in a second, from what they have counted now and before.
 *
 * Room: tools.
 */
#include "bridge_rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const rate_names[RATES] = {
    [RATE_TX_FRAMES] = "tx_frames", [RATE_TX_BYTES] = "tx_bytes", [RATE_RX_FRAMES] = "rx_frames",
    [RATE_RX_BYTES] = "rx_bytes",   [RATE_DROPS] = "drops",       [RATE_DEPTH] = "depth",
    [RATE_KICKS] = "kicks",
};

/* ---- One answer and the one before ---- */

static double get_number(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static double count_drops(const json_t *counters)
{
    static const char *const names[] = {"tx_stale",       "tx_illegal", "tx_errors", "rx_malformed",
                                        "rx_unsupported", "rx_down",    "rx_errors"};
    double sum = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        sum += get_number(counters, names[i]);
    return sum;
}

static double count(const json_t *counters, enum rate rate)
{
    return rate == RATE_DROPS ? count_drops(counters) : get_number(counters, rate_names[rate]);
}

static void fill_line(struct rates_line *line, int queue, const json_t *now, const json_t *before, double seconds)
{
    line->queue = queue;
    for (unsigned rate = 0; rate < RATES; rate++) {
        double more = count(now, rate) - count(before, rate);

        line->value[rate] = seconds > 0 && more > 0 ? more / seconds : 0;
    }
}

/* Of the whole, as far as it is known. */
static void fill_depth(struct rates_bridge *bridge, const json_t *depth)
{
    bridge->total.value[RATE_DEPTH] = -1;
    for (unsigned i = 0; i < bridge->queues; i++) {
        const json_t *of_queue = json_array_get(depth, i);
        double value = json_is_integer(of_queue) ? (double)json_integer_value(of_queue) : -1;

        bridge->queue[i].value[RATE_DEPTH] = value;
        if (value >= 0)
            bridge->total.value[RATE_DEPTH] =
                value + (bridge->total.value[RATE_DEPTH] > 0 ? bridge->total.value[RATE_DEPTH] : 0);
    }
}

static double count_bytes(const struct rates_line *line)
{
    return line->value[RATE_TX_BYTES] + line->value[RATE_RX_BYTES];
}

static double find_imbalance(const struct rates_bridge *bridge)
{
    double most = 0, all = count_bytes(&bridge->total);

    for (unsigned i = 0; i < bridge->queues; i++) {
        if (count_bytes(&bridge->queue[i]) > most)
            most = count_bytes(&bridge->queue[i]);
    }
    return all > 0 && bridge->queues_in_use ? most * bridge->queues_in_use / all : 1;
}

static void fill(struct rates_bridge *bridge, json_t *stats)
{
    const json_t *queues = json_object_get(stats, "queues"), *before = json_object_get(bridge->before, "queues");
    const char *link = json_string_value(json_object_get(stats, "link"));
    double seconds = (get_number(stats, "uptime_ms") - get_number(bridge->before, "uptime_ms")) / 1000;
    size_t count = json_array_size(queues);

    bridge->has_rates = bridge->before != NULL;
    if (!bridge->has_rates)
        seconds = 0;
    bridge->is_up = link && strcmp(link, "up") == 0;
    bridge->queues = count < RATES_QUEUES_MAX ? (unsigned)count : RATES_QUEUES_MAX;
    bridge->queues_in_use = (unsigned)get_number(stats, "queues_in_use");
    fill_line(&bridge->total, -1, json_object_get(stats, "total"), json_object_get(bridge->before, "total"), seconds);
    for (unsigned i = 0; i < bridge->queues; i++)
        fill_line(&bridge->queue[i], (int)i, json_array_get(queues, i), json_array_get(before, i), seconds);
    fill_depth(bridge, json_object_get(stats, "depth"));
    bridge->imbalance = find_imbalance(bridge);
    json_decref(bridge->before);
    bridge->before = stats;
}

/* ---- Rounds ---- */

void rates_begin(struct rates *rates)
{
    for (size_t i = 0; i < rates->count; i++)
        rates->bridge[i].is_seen = false;
}

/* The one of this name, which may be new. NULL: no memory. */
static struct rates_bridge *find(struct rates *rates, const char *name)
{
    struct rates_bridge *more;

    for (size_t i = 0; i < rates->count; i++) {
        if (strcmp(rates->bridge[i].name, name) == 0)
            return &rates->bridge[i];
    }
    more = realloc(rates->bridge, (rates->count + 1) * sizeof(*more));
    if (!more)
        return NULL;
    rates->bridge = more;
    more += rates->count++;
    memset(more, 0, sizeof(*more));
    snprintf(more->name, sizeof(more->name), "%s", name);
    return more;
}

bool rates_add(struct rates *rates, const char *name, json_t *stats, const char *why)
{
    struct rates_bridge *bridge = find(rates, name);

    if (!bridge) {
        json_decref(stats);
        return false;
    }
    bridge->is_seen = true;
    snprintf(bridge->why, sizeof(bridge->why), "%s", stats ? "" : why);
    if (stats)
        fill(bridge, stats);
    return true;
}

void rates_end(struct rates *rates)
{
    size_t kept = 0;

    for (size_t i = 0; i < rates->count; i++) {
        if (rates->bridge[i].is_seen)
            rates->bridge[kept++] = rates->bridge[i];
        else
            json_decref(rates->bridge[i].before);
    }
    rates->count = kept;
}

void rates_free(struct rates *rates)
{
    rates_begin(rates);
    rates_end(rates);
    free(rates->bridge);
    rates->bridge = NULL;
}

/* ---- The order ---- */

static int compare_lines(const struct rates_line *a, const struct rates_line *b, enum rate key)
{
    if (key != RATES && a->value[key] != b->value[key])
        return a->value[key] > b->value[key] ? -1 : 1;
    return a->queue - b->queue;
}

static int compare_bridges(const void *a, const void *b, void *key)
{
    const struct rates_bridge *first = a, *second = b;
    int ret = compare_lines(&first->total, &second->total, *(const enum rate *)key);

    return ret ? ret : strcmp(first->name, second->name);
}

static int compare_queues(const void *a, const void *b, void *key)
{
    return compare_lines(a, b, *(const enum rate *)key);
}

void rates_sort(struct rates *rates, enum rate key)
{
    if (rates->count)
        qsort_r(rates->bridge, rates->count, sizeof(rates->bridge[0]), compare_bridges, &key);
    for (size_t i = 0; i < rates->count; i++)
        qsort_r(rates->bridge[i].queue, rates->bridge[i].queues, sizeof(rates->bridge[i].queue[0]), compare_queues,
                &key);
}
