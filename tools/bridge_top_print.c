/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_top_print.c - what bridges do just now, in lines for people and for programs.
 *
 * Room: tools.
 */
#include "bridge_top.h"

#include <string.h>

/* Four digits at most, so that columns stay what they are: 9999, 12.3k, 4.56M. */
static const char *scale(double value, char ret_text[16])
{
    static const char units[] = " kMGTP";
    unsigned unit = 0;

    while (value >= 9999.5 && unit < sizeof(units) - 2) {
        value /= 1000;
        unit++;
    }
    while (unit > 0 && value >= 999.5 && unit < sizeof(units) - 2) {
        value /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(ret_text, 16, "%.0f", value);
    else
        snprintf(ret_text, 16, "%.*f%c", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
    return ret_text;
}

char *top_format_head(char ret_line[TOP_LINE_SIZE])
{
    snprintf(ret_line, TOP_LINE_SIZE, "%-23s %5s %-4s %8s %8s %8s %8s %8s %6s %8s %6s", "BRIDGE", "QUEUE", "LINK",
             "TX/s", "TX B/s", "RX/s", "RX B/s", "DROPS/s", "DEPTH", "KICKS/s", "IMBAL");
    return ret_line;
}

char *top_format_line(const struct rates_bridge *bridge, const struct rates_line *line, char ret_line[TOP_LINE_SIZE])
{
    char text[RATES][16], queue[12] = "all", imbalance[16] = "";

    for (unsigned i = 0; i < RATES; i++)
        scale(line->value[i], text[i]);
    if (line->value[RATE_DEPTH] < 0)
        strcpy(text[RATE_DEPTH], "-");
    if (line->queue >= 0)
        snprintf(queue, sizeof(queue), "%d", line->queue);
    else
        snprintf(imbalance, sizeof(imbalance), "%.2f", bridge->imbalance);
    snprintf(ret_line, TOP_LINE_SIZE, "%-23s %5s %-4s %8s %8s %8s %8s %8s %6s %8s %6s", bridge->name, queue,
             bridge->is_up ? "up" : "down", text[RATE_TX_FRAMES], text[RATE_TX_BYTES], text[RATE_RX_FRAMES],
             text[RATE_RX_BYTES], text[RATE_DROPS], text[RATE_DEPTH], text[RATE_KICKS], imbalance);
    return ret_line;
}

char *top_format_failure(const struct rates_bridge *bridge, char ret_line[TOP_LINE_SIZE])
{
    snprintf(ret_line, TOP_LINE_SIZE, "%-23s %.*s", bridge->name, TOP_LINE_SIZE - 80, bridge->why);
    return ret_line;
}

void top_print(const struct rates *rates, FILE *out)
{
    char line[TOP_LINE_SIZE];

    fprintf(out, "%s\n", top_format_head(line));
    for (size_t i = 0; i < rates->count; i++) {
        const struct rates_bridge *bridge = &rates->bridge[i];

        if (*bridge->why)
            fprintf(out, "%s\n", top_format_failure(bridge, line));
        if (*bridge->why || !bridge->has_rates)
            continue;
        fprintf(out, "%s\n", top_format_line(bridge, &bridge->total, line));
        for (unsigned queue = 0; queue < bridge->queues; queue++)
            fprintf(out, "%s\n", top_format_line(bridge, &bridge->queue[queue], line));
    }
    fputc('\n', out);
}

/* ---- For programs ---- */

static json_t *describe_line(const struct rates_line *line)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < RATES; i++) {
        bool is_known = i != RATE_DEPTH || line->value[i] >= 0;

        json_object_set_new(object, rate_names[i], is_known ? json_real(line->value[i]) : json_null());
    }
    return object;
}

static json_t *describe_bridge(const struct rates_bridge *bridge)
{
    json_t *queues = json_array();

    for (unsigned i = 0; i < bridge->queues; i++)
        json_array_append_new(queues, describe_line(&bridge->queue[i]));
    return json_pack("{s:s, s:s, s:i, s:f, s:o, s:o}", "bridge", bridge->name, "link", bridge->is_up ? "up" : "down",
                     "queues_in_use", (int)bridge->queues_in_use, "imbalance", bridge->imbalance, "total",
                     describe_line(&bridge->total), "queues", queues);
}

void top_print_json(const struct rates *rates, FILE *out)
{
    json_t *list = json_array();

    for (size_t i = 0; i < rates->count; i++) {
        const struct rates_bridge *bridge = &rates->bridge[i];

        if (*bridge->why)
            json_array_append_new(list, json_pack("{s:s, s:s}", "bridge", bridge->name, "error", bridge->why));
        else if (bridge->has_rates)
            json_array_append_new(list, describe_bridge(bridge));
    }
    json_dumpf(list, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
    fputc('\n', out);
    json_decref(list);
}
