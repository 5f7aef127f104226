/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics.c - what a bridge has to tell, in the text format that Prometheus reads.
 *
 * Room: bridge. A metric begins with two lines about it; each line after them is one value, with labels that tell it
 * from the others. All have the interface for a label, so that texts of several bridges can be put into one.
 */
#include "metrics.h"

#include "steer_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Lines ---- */

struct text {
    FILE *out;
    const struct metrics *metrics;
};

enum metric_type {
    COUNTER,
    GAUGE,
};

static void begin(const struct text *text, const char *name, enum metric_type type, const char *help)
{
    fprintf(text->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type == COUNTER ? "counter" : "gauge");
}

/* A value of a label may have any bytes, but three of them not as they are. */
static void put_label(const struct text *text, const char *name, const char *value)
{
    fprintf(text->out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", text->out);
        else if (*value == '"' || *value == '\\')
            fprintf(text->out, "\\%c", *value);
        else
            fputc(*value, text->out);
    }
    fputc('"', text->out);
}

/* The name and the label that all have. */
static void put_name(const struct text *text, const char *name)
{
    fprintf(text->out, "%s{", name);
    put_label(text, "interface", text->metrics->interface);
}

static void put_value(const struct text *text, uint64_t value)
{
    fprintf(text->out, "} %" PRIu64 "\n", value);
}

/* A metric of one value. */
static void put_single(const struct text *text, const char *name, enum metric_type type, const char *help,
                       uint64_t value)
{
    begin(text, name, type, help);
    put_name(text, name);
    put_value(text, value);
}

/* ---- Counters of the queues ---- */

/* One value of each queue. A metric may have several, which lie one after another and are told apart by labels. */
struct queue_metric {
    const char *name;
    const char *help; /* NULL: as the one before */
    const char *labels;
    size_t offset; /* of the counter */
};

#define VALUE(labels, counter) labels, offsetof(struct counters, counter)

static const struct queue_metric queue_metrics[] = {
    {"vop_bridge_frames_total", "Frames carried: tx from the interface to the link, rx from the link to the interface.",
     VALUE(",direction=\"tx\"", tx_frames)},
    {"vop_bridge_frames_total", NULL, VALUE(",direction=\"rx\"", rx_frames)},
    {"vop_bridge_bytes_total", "Bytes of the frames carried.", VALUE(",direction=\"tx\"", tx_bytes)},
    {"vop_bridge_bytes_total", NULL, VALUE(",direction=\"rx\"", rx_bytes)},
    {"vop_bridge_dropped_frames_total", "Frames that were dropped, by reason.",
     VALUE(",direction=\"tx\",reason=\"stale\"", tx_stale)},
    {"vop_bridge_dropped_frames_total", NULL, VALUE(",direction=\"tx\",reason=\"illegal\"", tx_illegal)},
    {"vop_bridge_dropped_frames_total", NULL, VALUE(",direction=\"tx\",reason=\"error\"", tx_errors)},
    {"vop_bridge_dropped_frames_total", NULL, VALUE(",direction=\"rx\",reason=\"malformed\"", rx_malformed)},
    {"vop_bridge_dropped_frames_total", NULL, VALUE(",direction=\"rx\",reason=\"unsupported\"", rx_unsupported)},
    {"vop_bridge_dropped_frames_total", NULL, VALUE(",direction=\"rx\",reason=\"down\"", rx_down)},
    {"vop_bridge_dropped_frames_total", NULL, VALUE(",direction=\"rx\",reason=\"error\"", rx_errors)},
    {"vop_bridge_link_full_total", "Times the link had no room for a frame.", VALUE("", tx_full)},
    {"vop_bridge_segments_total", "Frames cut in software, of those that were too long for the peer.",
     VALUE("", tx_segments)},
    {"vop_bridge_checksums_total", "Checksums completed in software for the peer.", VALUE("", tx_checksums)},
    {"vop_bridge_coalesced_frames_total", "Received frames given to the kernel together with others of their flow.",
     VALUE("", rx_coalesced)},
    {"vop_bridge_kicks_total", "Times the peer was kicked, for frames and for what was given back.", VALUE("", kicks)},
    {"vop_bridge_wakeups_total", "Times the thread of the queue was woken.", VALUE("", wakeups)},
    {"vop_bridge_spins_total", "Times the thread of the queue looked on for frames before it slept.", VALUE("", spins)},
    {"vop_bridge_spin_hits_total", "Times looking on found a frame.", VALUE("", spin_hits)},
};

#undef VALUE

static void put_queue(const struct text *text, const char *name, const char *labels, unsigned queue, uint64_t value)
{
    put_name(text, name);
    fprintf(text->out, ",queue=\"%u\"%s", queue, labels);
    put_value(text, value);
}

static void put_queues(const struct text *text)
{
    const struct metrics *m = text->metrics;

    for (size_t i = 0; i < sizeof(queue_metrics) / sizeof(queue_metrics[0]); i++) {
        const struct queue_metric *metric = &queue_metrics[i];

        if (metric->help)
            begin(text, metric->name, COUNTER, metric->help);
        for (unsigned queue = 0; queue < m->queues; queue++)
            put_queue(text, metric->name, metric->labels, queue,
                      counter_value(&m->queue[queue].counters, metric->offset / sizeof(uint64_t)));
    }
}

static void put_depth(const struct text *text)
{
    static const char name[] = "vop_bridge_queue_depth_frames";
    const struct metrics *m = text->metrics;

    begin(text, name, GAUGE, "Frames sent that the peer has not given back yet, where that can be known.");
    for (unsigned queue = 0; queue < m->queues; queue++) {
        if (m->queue[queue].depth >= 0)
            put_queue(text, name, "", queue, (uint64_t)m->queue[queue].depth);
    }
}

/* ---- Steering ---- */

/* Those that escape were decided about by another stage before, so they are no stage here: the sum is all frames. */
static void put_stages(const struct text *text)
{
    static const char name[] = "vop_bridge_steered_frames_total";
    const struct steer_stats *stats = text->metrics->steer;

    begin(text, name, COUNTER, "Frames whose queue was decided by each stage of steering.");
    for (unsigned stage = STEER_PINNED; stage <= STEER_DEFAULT; stage++) {
        put_name(text, name);
        fputc(',', text->out);
        put_label(text, "stage", steer_stage_words.word[stage]);
        put_value(text, stats->stages[stage]);
    }
    put_single(text, "vop_bridge_escaped_frames_total", COUNTER,
               "Frames of sparse flows that went to another queue than a busy one.", stats->stages[STEER_SPARSE]);
    put_single(text, "vop_bridge_moved_frames_total", COUNTER,
               "Frames that took another queue than the one before them of their flow.", stats->moved);
    put_single(text, "vop_bridge_steering_changes_total", COUNTER, "Changes of how frames are steered.",
               text->metrics->steer_changes);
}

/* ---- Captures ---- */

static void put_capture(const struct text *text)
{
    const struct metrics_capture *capture = text->metrics->capture;

    put_single(text, "vop_bridge_capture_running", GAUGE, "Whether frames are captured.", capture->is_running);
    put_single(text, "vop_bridge_captured_frames_total", COUNTER, "Frames that the newest capture wanted.",
               capture->accepted);
    put_single(text, "vop_bridge_capture_dropped_frames_total", COUNTER,
               "Of those, frames that are missing in it, for lack of room.", capture->dropped);
}

/* ---- The bridge ---- */

static void put_bridge(const struct text *text)
{
    const struct metrics *m = text->metrics;

    begin(text, "process_start_time_seconds", GAUGE, "Start time of the process since unix epoch in seconds.");
    put_name(text, "process_start_time_seconds");
    fprintf(text->out, "} %.3f\n", m->started_at);
    begin(text, "vop_bridge_build_info", GAUGE, "Which vop-bridge this is.");
    put_name(text, "vop_bridge_build_info");
    fputc(',', text->out);
    put_label(text, "version", m->version);
    put_value(text, 1);
    begin(text, "vop_bridge_info", GAUGE, "How the bridge is set up.");
    put_name(text, "vop_bridge_info");
    fputc(',', text->out);
    put_label(text, "netns", m->netns);
    fputc(',', text->out);
    put_label(text, "link", m->link);
    fputc(',', text->out);
    put_label(text, "role", m->role);
    fputc(',', text->out);
    put_label(text, "steering", m->steering);
    put_value(text, 1);
}

static void put_state(const struct text *text)
{
    const struct metrics *m = text->metrics;

    put_single(text, "vop_bridge_link_up", GAUGE, "Whether there is a peer.", m->is_up);
    put_single(text, "vop_bridge_carrier", GAUGE, "Whether the interface has its carrier, so that frames are carried.",
               m->has_carrier);
    put_single(text, "vop_bridge_sessions_total", COUNTER, "How often the link has come up.", m->sessions);
    put_single(text, "vop_bridge_mtu_bytes", GAUGE, "MTU of the interface.", m->mtu);
    put_single(text, "vop_bridge_queues", GAUGE, "Queues of the interface in use: the first so many.",
               m->queues_in_use);
    put_single(text, "vop_bridge_queues_open", GAUGE, "Queues of the interface that are open.", m->queues);
    put_single(text, "vop_bridge_steering_fallback", GAUGE,
               "Whether the kernel steers because what was asked for does not work.", m->has_fallen_back);
}

char *metrics_format(const struct metrics *metrics, size_t *ret_length)
{
    char *bytes = NULL;
    const struct text text = {.out = open_memstream(&bytes, ret_length), .metrics = metrics};

    if (!text.out)
        return NULL;
    put_bridge(&text);
    put_state(&text);
    put_queues(&text);
    put_depth(&text);
    if (metrics->steer)
        put_stages(&text);
    if (metrics->capture)
        put_capture(&text);
    if (fclose(text.out) == 0)
        return bytes;
    free(bytes);
    return NULL;
}
