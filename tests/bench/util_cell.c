/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_cell.c - one line of bench-echo's table: what is measured, the slices that count, and how they are reported.
 *
 * Room: tests/bench.
 */
#include "util_cell.h"

#include <stdio.h>

void cell_record(struct cell *cell, double ns, double bounce_before, double bounce_after)
{
    if (bounce_before > BOUNCE_MAX_NS || bounce_after > BOUNCE_MAX_NS)
        cell->slices[PLACEMENT_ALL].dropped++;
    else
        slices_record(cell->slices, ns, bounce_before, bounce_after, CLASS_F_BELOW_NS);
}

void cell_print_heading(void)
{
    printf("what        link       waiting     size  class  slices   ns each    bounce  ratio  p10-p90 / rate\n");
}

static const char *task_name(const struct cell *cell)
{
    return !cell->stream ? "echo" : cell->batch > 1 ? "stream x16" : "stream";
}

static void print_line(struct cell *cell, const struct bench_link *link, enum placement p)
{
    double ns = samples_percentile(&cell->slices[p].ns, 0.5),
           bounce = samples_percentile(&cell->slices[p].floor_ns, 0.5);
    printf("%-10s  %-9s  %-8s  %6zu  %-5s  %4zu  %9.0f  %8.0f  ", task_name(cell), link->name, link->waiting,
           cell->size, placement_names[p], cell->slices[p].ns.count, ns, bounce);
    if (!cell->stream)
        printf("%5.2f  %4.2f-%.2f\n", samples_percentile(&cell->slices[p].ratio, 0.5),
               samples_percentile(&cell->slices[p].ratio, 0.1), samples_percentile(&cell->slices[p].ratio, 0.9));
    else
        printf("%5s  %.3g M/s, %.3g GB/s\n", "", 1e3 / ns, (double)cell->size / ns);
}

void cell_print(struct cell *cell, const struct bench_link *link)
{
    size_t all = cell->slices[PLACEMENT_ALL].ns.count;

    if (cell->slices[PLACEMENT_F].ns.count < all && cell->slices[PLACEMENT_S].ns.count < all)
        print_line(cell, link, PLACEMENT_ALL);
    for (enum placement p = PLACEMENT_F; p <= PLACEMENT_S; p++)
        if (cell->slices[p].ns.count > 0)
            print_line(cell, link, p);
    if (all == 0)
        print_line(cell, link, PLACEMENT_ALL);
}

static void json_medians(json_t *to, struct cell *cell, enum placement p)
{
    double ns = samples_percentile(&cell->slices[p].ns, 0.5);

    json_object_set_new(to, "slices", json_integer((json_int_t)cell->slices[p].ns.count));
    json_object_set_new(to, "bounce_ns", json_figure(samples_percentile(&cell->slices[p].floor_ns, 0.5)));
    if (!cell->stream) {
        json_object_set_new(to, "echo_rtt_ns", json_figure(ns));
        json_object_set_new(to, "echo_ratio", json_figure(samples_percentile(&cell->slices[p].ratio, 0.5)));
        json_object_set_new(to, "echo_ratio_p10", json_figure(samples_percentile(&cell->slices[p].ratio, 0.1)));
        json_object_set_new(to, "echo_ratio_p90", json_figure(samples_percentile(&cell->slices[p].ratio, 0.9)));
    } else {
        json_object_set_new(to, "message_ns", json_figure(ns));
        json_object_set_new(to, "messages_per_s", json_figure(1e9 / ns));
        json_object_set_new(to, "gigabytes_per_s", json_figure((double)cell->size / ns));
    }
}

json_t *cell_json(struct cell *cell, const struct bench_link *link)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i}", "what", cell->stream ? "stream" : "echo", "link",
                               link->name, "waiting", link->waiting, "size", (int)cell->size, "batch", (int)cell->batch,
                               "slices_dropped", (int)cell->slices[PLACEMENT_ALL].dropped);

    json_medians(object, cell, PLACEMENT_ALL);
    for (enum placement p = PLACEMENT_F; p <= PLACEMENT_S; p++) {
        json_t *class = json_object();
        json_medians(class, cell, p);
        json_object_set_new(object, placement_names[p], class);
    }
    return object;
}

void cell_free(struct cell *cell)
{
    slices_free(cell->slices);
}
