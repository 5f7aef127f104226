/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_ring.c - what a buffer costs in each layout of a virtqueue, beside a plain ring of pointers and a bare bounce.
 *
 * Room: tests/bench.
 *
 * Two processes, pinned to two processors, drive and serve a queue in slices. Each slice lies between two slices of its
 * floor, and is dropped if these differ by more than 20 %; its ratio is its figure divided by the mean of its two
 * floors. The median of the ratios is reported, separately for class F (fast: the processors are siblings) and S (slow:
 * they are far apart), and, where there is a target, that of the worse class.
 *
 *   full            up to N = 256 buffers in flight, published 32 at a time. A buffer is added, taken, completed and
 *                   got back; its floor is one pointer moved through one plain ring of 256 pointers, one way
 *   outstanding 1   one buffer in flight: a round trip. Its floor is the round trip of two cache lines
 *
 * The pointer's way back (a second ring) is printed too, but is not part of the floor.
 */
#include "util_bounce.h"
#include "util_count.h"
#include "util_floor.h"
#include "util_json.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_ring.h"
#include "util_stats.h"
#include "util_turn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ring_kind kinds[] = {
    {"split", VOP_RING_SPLIT, false, false},           {"split, event index", VOP_RING_SPLIT, false, true},
    {"split in-order", VOP_RING_SPLIT, true, false},   {"split in-order, event index", VOP_RING_SPLIT, true, true},
    {"packed", VOP_RING_PACKED, false, false},         {"packed, event index", VOP_RING_PACKED, false, true},
    {"packed in-order", VOP_RING_PACKED, true, false}, {"packed in-order, event index", VOP_RING_PACKED, true, true},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- What is measured ---- */

/** A floor: measured before and after each slice above it. */
enum floor {
    FLOOR_POINTER, /* ns per pointer, one way */
    FLOOR_BOUNCE,  /* ns per round trip of two cache lines */
    FLOORS,
    FLOOR_RETURN = FLOORS, /* ns per pointer there and back ... */
    FLOOR_BATCH,           /* ... or one way in batches. Neither is a floor here; both are reported beside it */
    FLOORS_TOLD
};

static const char *const floor_names[FLOORS_TOLD] = {
    [FLOOR_POINTER] = "pointer, one way",
    [FLOOR_BOUNCE] = "bounce of two cache lines",
    [FLOOR_RETURN] = "pointer, there and back",
    [FLOOR_BATCH] = "pointer, one way, index published for 32",
};

/** One line of the table. */
struct cell {
    const struct ring_kind *kind;
    bool full, sleep;
    struct slices slices[PLACEMENTS];
};

/* Class F: the floor takes less than this many nanoseconds. In class S it took five to seven times as long as in class
 * F. */
static const double fast_below[FLOORS] = {[FLOOR_POINTER] = 10, [FLOOR_BOUNCE] = 260};

#define CLASS_LEAST 5 /* a class with fewer slices says nothing */

struct plan {
    struct slice_options slices;
    uint64_t slice_ns, floor_ns;
    bool no_sleep, no_full, no_single, no_count;
    const char *queue;
    struct cell cells[KINDS * 4];
    size_t count;
    struct samples floors[FLOORS_TOLD];
    double instructions[KINDS][2]; /* per buffer, published one by one and in batches; NaN: not counted */
};

/* ---- The two processes ---- */

enum task {
    TASK_FLOOR,
    TASK_RING,
    TASK_END
};

struct shared {
    struct turn turn;
    enum task task; /* valid for this turn, like the fields below */
    enum floor floor;
    struct cell cell;
    struct bounce bounce;
    struct floor_rings floors;
    struct ring_place place;
};

struct other {
    const struct plan *plan;
    struct shared *shared;
};

static void answer_floor(struct shared *s)
{
    if (s->floor == FLOOR_BOUNCE)
        bounce_answer(&s->bounce);
    else
        floor_answer(&s->floors, s->floor == FLOOR_RETURN, s->floor == FLOOR_BATCH ? RING_BATCH : 1);
}

static void other_main(void *context)
{
    const struct other *other = context;
    struct shared *s = other->shared;

    cpu_pin(other->plan->slices.cpus[1]);
    for (uint32_t turn = 1;; turn++) {
        turn_take(&s->turn, turn);
        if (s->task == TASK_END)
            return;
        if (s->task == TASK_FLOOR)
            answer_floor(s);
        else
            ring_answer(&s->place, s->cell.kind, s->cell.sleep);
        turn_finish(&s->turn, turn);
    }
}

static double slice_floor(struct shared *s, enum floor floor, uint64_t duration_ns)
{
    double ns;

    memset(&s->floors, 0, sizeof(s->floors));
    s->task = TASK_FLOOR;
    s->floor = floor;
    turn_give(&s->turn);
    if (floor == FLOOR_BOUNCE)
        ns = bounce_measure(&s->bounce, duration_ns);
    else
        ns = floor_measure(&s->floors, floor == FLOOR_RETURN, floor == FLOOR_BATCH ? RING_BATCH : 1, duration_ns);
    turn_join(&s->turn);
    return ns;
}

static double slice_ring(struct shared *s, const struct cell *cell, uint64_t duration_ns)
{
    ring_reset(&s->place);
    s->task = TASK_RING;
    s->cell = *cell;
    turn_give(&s->turn);
    double ns = ring_measure(&s->place, cell->kind, cell->sleep, cell->full ? RING_SIZE : 1, duration_ns);
    turn_join(&s->turn);
    return ns;
}

static void measure(struct plan *plan, struct shared *s)
{
    double before[FLOORS];

    for (unsigned long round = 0; round < plan->slices.rounds; round++) {
        for (enum floor f = 0; f < FLOORS_TOLD; f++) {
            double ns = slice_floor(s, f, plan->floor_ns);
            samples_add(&plan->floors[f], ns);
            if (f < FLOORS)
                before[f] = ns;
        }
        for (struct cell *cell = plan->cells; cell < plan->cells + plan->count; cell++) {
            enum floor f = cell->full ? FLOOR_POINTER : FLOOR_BOUNCE;
            double ns = slice_ring(s, cell, plan->slice_ns), after = slice_floor(s, f, plan->floor_ns);
            slices_record(cell->slices, ns, before[f], after, fast_below[f]);
            before[f] = after;
        }
    }
    s->task = TASK_END;
    turn_give(&s->turn);
}

/* ---- Instructions ---- */

#define COUNT_CYCLES 6400 /* the second of two runs has this many buffers more; the difference counts */

/* The program under valgrind: "KIND,BATCH,BUFFERS". */
static void run_loop(const struct bench_option *option, const char *text)
{
    struct ring_place *place = shared_memory(sizeof(*place));
    unsigned kind, batch, buffers;

    if (sscanf(text, "%u,%u,%u", &kind, &batch, &buffers) != 3 || kind >= KINDS || batch < 1 || batch > RING_BATCH)
        die_usage("--%s takes a kind, a batch and a number of buffers, not '%s'", option->name, text);
    ring_open(place);
    ring_loop(place, &kinds[kind], batch, buffers);
    exit(EXIT_SUCCESS);
}

static double count_run(size_t kind, unsigned batch, unsigned buffers)
{
    char text[64];

    snprintf(text, sizeof(text), "%zu,%u,%u", kind, batch, buffers);
    return count_instructions("loop", text);
}

static void count(struct plan *plan)
{
    const char *why = "--no-count";
    bool possible = !plan->no_count && count_possible(&why);

    if (!possible)
        printf("Instructions are not counted: %s.\n\n", why);
    for (size_t kind = 0; kind < KINDS; kind++)
        for (unsigned i = 0; i < 2; i++) {
            unsigned batch = i == 0 ? 1 : RING_BATCH;
            plan->instructions[kind][i] =
                possible
                    ? (count_run(kind, batch, 2 * COUNT_CYCLES) - count_run(kind, batch, COUNT_CYCLES)) / COUNT_CYCLES
                    : NAN;
        }
}

/* ---- Report ---- */

/* The ratio of the worse class, among those with enough slices. */
static double worse_class(struct cell *c)
{
    double ratio = NAN;

    for (enum placement p = PLACEMENT_F; p < PLACEMENTS; p++)
        if (c->slices[p].ns.count >= CLASS_LEAST)
            ratio = fmax(ratio, samples_percentile(&c->slices[p].ratio, 0.5));
    return isnan(ratio) ? samples_percentile(&c->slices[PLACEMENT_ALL].ratio, 0.5) : ratio;
}

/* The worst of a kind's lines that spin, with and without event index. */
static double worst(struct plan *plan, enum vop_ring_layout layout, bool in_order, bool full)
{
    double ratio = NAN;

    for (struct cell *c = plan->cells; c < plan->cells + plan->count; c++)
        if (c->kind->layout == layout && c->kind->in_order == in_order && c->full == full && !c->sleep)
            ratio = fmax(ratio, worse_class(c));
    return ratio;
}

struct targets {
    double packed, split_inorder, outstanding1;
};

static struct targets targets_of(struct plan *plan)
{
    return (struct targets){
        .packed = worst(plan, VOP_RING_PACKED, false, true),
        .split_inorder = worst(plan, VOP_RING_SPLIT, true, true),
        .outstanding1 = fmax(worst(plan, VOP_RING_PACKED, false, false), worst(plan, VOP_RING_SPLIT, true, false)),
    };
}

static void print_line(struct cell *c, enum placement p)
{
    struct slices *s = &c->slices[p];

    printf("%-28s  %-9s  %-7s  %-5s  %6zu  %9.2f  %8.2f  %6.2f  %.2f-%.2f\n", c->kind->name, c->full ? "full" : "1",
           c->sleep ? "sleep" : "spin", placement_names[p], s->ns.count, samples_percentile(&s->ns, 0.5),
           samples_percentile(&s->floor_ns, 0.5), samples_percentile(&s->ratio, 0.5),
           samples_percentile(&s->ratio, 0.1), samples_percentile(&s->ratio, 0.9));
}

static void print_instructions(const struct plan *plan)
{
    if (isnan(plan->instructions[0][0]))
        return; /* count() has said why */
    printf("\n%-28s  instructions per buffer, all four calls: one by one, in batches of %u\n", "queue", RING_BATCH);
    for (size_t kind = 0; kind < KINDS; kind++)
        printf("%-28s  %6.0f  %6.0f\n", kinds[kind].name, plan->instructions[kind][0], plan->instructions[kind][1]);
}

static void report_table(struct plan *plan)
{
    struct targets t = targets_of(plan);

    printf(
        "A queue of %u between two processes on processors %d and %d; buffers of one readable segment, added, taken,\n"
        "completed and got back. full: published %u at a time, floor: pointer, one way. 1: one buffer in flight,\n"
        "floor: bounce. A slice counts if its floor before and after it differs by at most 20 %%; medians.\n"
        "Class F: bounce below %.0f ns, pointer below %.0f ns; S: above.\n\n",
        RING_SIZE, plan->slices.cpus[0], plan->slices.cpus[1], RING_BATCH, fast_below[FLOOR_BOUNCE],
        fast_below[FLOOR_POINTER]);
    printf("%-42s  %9s\n", "floor", "ns each");
    for (enum floor f = 0; f < FLOORS_TOLD; f++)
        printf("%-42s  %9.2f\n", floor_names[f], samples_percentile(&plan->floors[f], 0.5));
    printf("\n%-28s  in flight  waiting  class  slices    ns each     floor   ratio  p10-p90\n", "queue");
    for (struct cell *c = plan->cells; c < plan->cells + plan->count; c++)
        for (enum placement p = PLACEMENT_F; p < PLACEMENTS; p++)
            if (c->slices[p].ns.count > 0)
                print_line(c, p);
    print_instructions(plan);
    printf("\nSpinning, the worse of with and without event index, and of the classes with 5 slices or more:\n"
           "packed, full, by a pointer one way:             %6.2f  (wanted: at most 3)\n"
           "split in-order, full, by a pointer one way:     %6.2f  (wanted: at most 3)\n"
           "one in flight, by a bounce, the worse of both:  %6.2f  (wanted: at most 2)\n",
           t.packed, t.split_inorder, t.outstanding1);
}

static json_t *slices_json(struct slices *s)
{
    json_t *object = json_pack("{s:i}", "slices", (int)s->ns.count);

    json_object_set_new(object, "buffer_ns", json_figure(samples_percentile(&s->ns, 0.5)));
    json_object_set_new(object, "floor_ns", json_figure(samples_percentile(&s->floor_ns, 0.5)));
    json_object_set_new(object, "ratio", json_figure(samples_percentile(&s->ratio, 0.5)));
    json_object_set_new(object, "ratio_p10", json_figure(samples_percentile(&s->ratio, 0.1)));
    json_object_set_new(object, "ratio_p90", json_figure(samples_percentile(&s->ratio, 0.9)));
    return object;
}

static json_t *cell_json(struct cell *c)
{
    json_t *object = json_pack("{s:s, s:b, s:b, s:i}", "queue", c->kind->name, "full", c->full, "sleep", c->sleep,
                               "slices_dropped", (int)c->slices[PLACEMENT_ALL].dropped);

    for (enum placement p = 0; p < PLACEMENTS; p++)
        json_object_set_new(object, placement_names[p], slices_json(&c->slices[p]));
    return object;
}

static void report_json(struct plan *plan)
{
    struct targets t = targets_of(plan);
    json_t *root = json_pack("{s:[i, i]}", "cpus", plan->slices.cpus[0], plan->slices.cpus[1]);
    json_t *floors = json_object(), *cells = json_array(), *instructions = json_object();

    json_object_set_new(root, "packed_ratio", json_figure(t.packed));
    json_object_set_new(root, "split_inorder_ratio", json_figure(t.split_inorder));
    json_object_set_new(root, "outstanding1_ratio", json_figure(t.outstanding1));
    for (enum floor f = 0; f < FLOORS_TOLD; f++)
        json_object_set_new(floors, floor_names[f], json_figure(samples_percentile(&plan->floors[f], 0.5)));
    for (size_t kind = 0; kind < KINDS; kind++) {
        json_t *counts = json_object();
        json_object_set_new(counts, "one_by_one", json_figure(plan->instructions[kind][0]));
        json_object_set_new(counts, "in_batches", json_figure(plan->instructions[kind][1]));
        json_object_set_new(instructions, kinds[kind].name, counts);
    }
    for (struct cell *c = plan->cells; c < plan->cells + plan->count; c++)
        json_array_append_new(cells, cell_json(c));
    json_object_set_new(root, "floor_ns", floors);
    json_object_set_new(root, "instructions", instructions);
    json_object_set_new(root, "cells", cells);
    json_write(plan->slices.json_path, root);
}

/* ---- Start ---- */

static void plan_parse(struct plan *plan, int argc, char **argv)
{
    plan->queue = "";
    plan->slices = (struct slice_options){.rounds = 20, .slice_ms = 10, .cpus = {-1, -1}};
    const struct bench_option options[] = {
        {"queue", "NAME", "only kinds of queue whose name begins with NAME, such as 'packed' (default: all)",
         option_text, &plan->queue, 0, 0},
        {"no-sleep", NULL, "spin only", option_flag, &plan->no_sleep, 0, 0},
        {"no-full", NULL, "one buffer in flight only", option_flag, &plan->no_full, 0, 0},
        {"no-single", NULL, "full queues only", option_flag, &plan->no_single, 0, 0},
        {"no-count", NULL, "do not count instructions (with valgrind)", option_flag, &plan->no_count, 0, 0},
        OPTIONS_OF_SLICES(&plan->slices),
        {"loop", "K,B,N", "run N buffers of kind K in batches of B in one thread: what is counted", run_loop, NULL, 0,
         0},
    };

    options_parse(
        "Measures what a buffer costs in each layout of a virtqueue between two processes on two processors,\n"
        "beside a plain ring of pointers and the bare bounce of two cache lines.\n",
        options, sizeof(options) / sizeof(options[0]), argc, argv);
    plan->slice_ns = plan->slices.slice_ms * 1000000;
    plan->floor_ns = plan->slice_ns / 2;
    for (unsigned sleep = 0; sleep < (plan->no_sleep ? 1 : 2); sleep++)
        for (unsigned single = plan->no_full; single < (plan->no_single ? 1 : 2); single++)
            for (size_t kind = 0; kind < KINDS; kind++)
                if (strncmp(kinds[kind].name, plan->queue, strlen(plan->queue)) == 0)
                    plan->cells[plan->count++] = (struct cell){.kind = &kinds[kind], .full = !single, .sleep = sleep};
    if (plan->count == 0)
        die_usage("there is nothing to measure");
}

int main(int argc, char **argv)
{
    static struct plan plan;

    plan_parse(&plan, argc, argv);
    slices_begin(&plan.slices);
    struct shared *shared = shared_memory(sizeof(*shared));
    struct other other = {.plan = &plan, .shared = shared};
    ring_open(&shared->place);
    count(&plan);
    child_start(other_main, &other, NULL);
    measure(&plan, shared);
    report_table(&plan);
    if (plan.slices.json_path)
        report_json(&plan);
    for (size_t i = 0; i < plan.count; i++)
        slices_free(plan.cells[i].slices);
    for (enum floor f = 0; f < FLOORS_TOLD; f++)
        samples_free(&plan.floors[f]);
    return EXIT_SUCCESS;
}
