/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_echo.c - how long an echo takes and how much a stream carries, each beside the bare bounce of two cache lines.
 *
 * Room: tests/bench.
 *
 * Two processes, pinned to two processors, measure in slices. Every slice lies between two slices of the bounce; if
 * these differ by more than 20 %, the virtual machine has moved our processors in between and the slice is dropped. The
 * ratio of a slice is its figure divided by the mean of its two bounces. The median of the ratios is reported, for all
 * slices and separately for class F (fast: the processors are siblings) and S (slow: they are far apart).
 */
#include "util_bounce.h"
#include "util_cell.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_turn.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BATCH 16    /* messages of a stream published together */
#define ECHO_RUN 16 /* round trips between two looks at the clock */
#define CELLS_MAX 64

/* ---- What is measured ---- */

struct plan {
    struct cell cells[CELLS_MAX];
    size_t count;
    struct slice_options slices;
    uint64_t slice_ns, bounce_ns;
};

/* ---- Both processes: work handed over through shared memory ---- */

enum task {
    TASK_BOUNCE,
    TASK_ECHO,
    TASK_STREAM,
    TASK_END
};

struct shared {
    struct bounce bounce;
    struct turn turn;
    enum task task; /* valid for this turn */
    enum link_kind kind;
    size_t size;
    const void *first_sent; /* where the server's first message is in its memory */
};

static void server_run(struct shared *shared, struct bench_link *links)
{
    for (uint32_t turn = 1;; turn++) {
        turn_take(&shared->turn, turn);
        struct bench_link *link = &links[shared->kind];
        uint64_t number = 1;
        switch (shared->task) {
        case TASK_BOUNCE:
            bounce_answer(&shared->bounce);
            break;
        case TASK_ECHO:
            while (link->ops->echo(link, shared->size))
                ;
            break;
        case TASK_STREAM:
            while (link->ops->receive(link, number, shared->size) != 0)
                number++;
            break;
        case TASK_END:
            return;
        }
        shared->first_sent = links[LINK_VOP_SPIN].first_sent;
        turn_finish(&shared->turn, turn);
    }
}

static void server_start(struct shared *shared, enum task task, const struct cell *cell)
{
    shared->task = task;
    shared->kind = cell ? cell->kind : LINK_VOP_SPIN;
    shared->size = cell ? cell->size : 0;
    turn_give(&shared->turn);
}

/* ---- One slice ---- */

static double slice_bounce(struct shared *shared, uint64_t duration_ns)
{
    server_start(shared, TASK_BOUNCE, NULL);
    double ns = bounce_measure(&shared->bounce, duration_ns);
    turn_join(&shared->turn);
    return ns;
}

static void echo_run(struct bench_link *link, uint64_t *number, size_t size)
{
    for (int i = 0; i < ECHO_RUN; i++) {
        link->ops->send(link, ++*number, size, false);
        if (link->ops->receive(link, *number, size) != *number)
            die(0, "%s: the echo of message %llu is a different message", link->name, (unsigned long long)*number);
    }
}

static double slice_echo(struct shared *shared, struct bench_link *link, const struct cell *cell, uint64_t duration_ns)
{
    struct samples runs = {0};
    uint64_t number = 0, warm = clock_ns() + duration_ns / 8;

    server_start(shared, TASK_ECHO, cell);
    while (clock_ns() < warm)
        echo_run(link, &number, cell->size);
    for (uint64_t begin = clock_ns(), before = begin, now; before - begin < duration_ns; before = now) {
        echo_run(link, &number, cell->size);
        now = clock_ns();
        samples_add(&runs, (double)(now - before) / ECHO_RUN);
    }
    link->ops->send(link, 0, cell->size, false);
    link->ops->receive(link, 0, cell->size);
    turn_join(&shared->turn);
    double ns = samples_percentile(&runs, 0.5);
    samples_free(&runs);
    return ns;
}

static double slice_stream(struct shared *shared, struct bench_link *link, const struct cell *cell,
                           uint64_t duration_ns)
{
    uint64_t number = 0, begin = clock_ns();

    server_start(shared, TASK_STREAM, cell);
    while (clock_ns() - begin < duration_ns)
        for (unsigned i = 1; i <= BATCH; i++)
            link->ops->send(link, ++number, cell->size, i % cell->batch != 0);
    link->ops->send(link, 0, cell->size, false);
    turn_join(&shared->turn); /* the last message has arrived */
    return (double)(clock_ns() - begin) / (double)number;
}

/* ---- The client: cells in turn, each slice between two bounces ---- */

static void client_run(struct plan *plan, struct shared *shared, struct bench_link *links)
{
    double before = slice_bounce(shared, plan->bounce_ns);

    for (unsigned long round = 0; round < plan->slices.rounds; round++) {
        for (struct cell *cell = plan->cells; cell < plan->cells + plan->count; cell++) {
            struct bench_link *link = &links[cell->kind];
            double ns = cell->stream ? slice_stream(shared, link, cell, plan->slice_ns)
                                     : slice_echo(shared, link, cell, plan->slice_ns);
            double after = slice_bounce(shared, plan->bounce_ns);
            cell_record(cell, ns, before, after);
            before = after;
        }
    }
    server_start(shared, TASK_END, NULL);
}

/* ---- Report ---- */

static void report_table(struct plan *plan, const struct bench_link *links)
{
    printf(
        "Echo and stream between two processes on processors %d and %d, content written and checked. Medians of\n"
        "slices; a slice counts if the bounce of two cache lines before and after it differs by at most 20 %%.\n"
        "Class F: bounce below %.0f ns; S: above. Waiting: spin never sleeps, sleep never spins, adaptive decides.\n\n",
        plan->slices.cpus[0], plan->slices.cpus[1], CLASS_F_BELOW_NS);
    cell_print_heading();
    for (struct cell *cell = plan->cells; cell < plan->cells + plan->count; cell++)
        cell_print(cell, &links[cell->kind]);
}

/* The figures of the first cell are repeated at the top: it is the one that has a target. */
static void report_json(struct plan *plan, const struct bench_link *links)
{
    json_t *root = cell_json(&plan->cells[0], &links[plan->cells[0].kind]);
    json_t *cells = json_array();

    json_object_set_new(root, "cpus", json_pack("[i, i]", plan->slices.cpus[0], plan->slices.cpus[1]));
    for (struct cell *cell = plan->cells; cell < plan->cells + plan->count; cell++)
        json_array_append_new(cells, cell_json(cell, &links[cell->kind]));
    json_object_set_new(root, "cells", cells);
    json_write(plan->slices.json_path, root);
}

/* ---- Command line ---- */

static void plan_add(struct plan *plan, bool stream, enum link_kind kind, size_t size, unsigned batch)
{
    if (plan->count == CELLS_MAX)
        die_usage("more than %d lines of a table", CELLS_MAX);
    plan->cells[plan->count++] = (struct cell){.stream = stream, .kind = kind, .size = size, .batch = batch};
}

/** The lines of the table that the options ask for. */
struct wishes {
    size_t sizes[8], size_count;
    bool waiting[LINK_KINDS], any_waiting;
    bool no_stream, no_peers;
};

static void wish_waiting(const struct bench_option *option, const char *text)
{
    static const char *const names[] = {"spin", "adaptive", "sleep"}; /* in the order of enum link_kind */
    struct wishes *w = option->to;

    for (enum link_kind kind = 0; kind <= LINK_VOP_SLEEP; kind++) {
        if (strcmp(text, names[kind]) == 0) {
            w->any_waiting = w->waiting[kind] = true;
            return;
        }
    }
    die_usage("--waiting is spin, adaptive or sleep, not '%s'", text);
}

static bool wishes_link(const struct wishes *w, enum link_kind kind)
{
    return kind > LINK_VOP_SLEEP ? !w->no_peers : w->waiting[kind] || !w->any_waiting;
}

static void wish_size(const struct bench_option *option, const char *text)
{
    struct wishes *w = option->to;

    if (w->size_count == sizeof(w->sizes) / sizeof(w->sizes[0]))
        die_usage("--size can be given eight times");
    w->sizes[w->size_count] = option_parse_number(option, text);
    if (w->sizes[w->size_count++] % 8)
        die_usage("--size takes a multiple of 8, not '%s'", text);
}

static void plan_fill(struct plan *plan, const struct wishes *w)
{
    for (size_t i = 0; i < (w->size_count ? w->size_count : 1); i++)
        for (enum link_kind kind = 0; kind < LINK_KINDS; kind++)
            if (wishes_link(w, kind))
                plan_add(plan, false, kind, w->sizes[i], 1);
    for (enum link_kind kind = 0; kind < LINK_KINDS; kind++) {
        if (w->no_stream || !wishes_link(w, kind))
            continue;
        plan_add(plan, true, kind, 64, 1);
        if (kind <= LINK_VOP_SLEEP)
            plan_add(plan, true, kind, 64, BATCH);
        plan_add(plan, true, kind, 65536, 1);
    }
}

static void plan_parse(struct plan *plan, int argc, char **argv)
{
    struct wishes wishes = {.sizes = {64}};

    *plan = (struct plan){.slices = {.rounds = 20, .slice_ms = 80, .cpus = {-1, -1}}};
    const struct bench_option options[] = {
        {"size", "BYTES", "length of the echoed messages, a multiple of 8; may be repeated (default 64)", wish_size,
         &wishes, 8, LINK_MESSAGE_MAX},
        {"waiting", "HOW", "spin, adaptive or sleep; may be repeated (default: all three)", wish_waiting, &wishes, 0,
         0},
        {"no-stream", NULL, "echo only", option_flag, &wishes.no_stream, 0, 0},
        {"no-peers", NULL, "without pipe and socket pair", option_flag, &wishes.no_peers, 0, 0},
        OPTIONS_OF_SLICES(&plan->slices),
    };

    options_parse("Measures the echo round trip and the stream of messages between two processes on two processors,\n"
                  "beside the bare bounce of two cache lines, and beside a pipe and a socket pair.\n",
                  options, sizeof(options) / sizeof(options[0]), argc, argv);
    plan->slice_ns = plan->slices.slice_ms * 1000000;
    plan->bounce_ns = plan->slice_ns * 3 / 8;
    plan_fill(plan, &wishes);
}

/* ---- Two processes ---- */

static char directory[] = "/tmp/bench-echo.XXXXXX"; /* of the sockets; gone as soon as all are connected */

static void directory_remove(void)
{
    rmdir(directory);
}

/** What the server process is started with. */
struct server {
    const struct plan *plan;
    struct shared *shared;
    struct link_kernel_ends ends;
};

static void server_main(void *context)
{
    const struct server *server = context;
    struct bench_link links[LINK_KINDS];

    cpu_pin(server->plan->slices.cpus[1]);
    /* A hole first, so that nothing is mapped at the same address in both processes. */
    if (mmap(NULL, 0x12345000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
        die(-errno, "cannot reserve addresses");
    link_open_all(0, directory, &server->ends, links);
    if (rmdir(directory) < 0) /* its sockets are gone: from here nothing is left behind, whatever happens */
        die(-errno, "cannot remove %s", directory);
    server_run(server->shared, links);
    link_close_all(links);
}

int main(int argc, char **argv)
{
    static struct plan plan;
    struct bench_link links[LINK_KINDS];

    plan_parse(&plan, argc, argv);
    slices_begin(&plan.slices);
    struct shared *shared = shared_memory(sizeof(*shared));
    struct server server = {.plan = &plan, .shared = shared};
    if (!mkdtemp(directory))
        die(-errno, "cannot set up %s", directory);
    atexit(directory_remove);
    link_kernel_open(&server.ends);
    child_start(server_main, &server, directory);
    link_open_all(1, directory, &server.ends, links);

    client_run(&plan, shared, links);
    if (links[LINK_VOP_SPIN].first_received && links[LINK_VOP_SPIN].first_received == shared->first_sent)
        die(0, "both processes have the memory at the same address: the measurement proves less than it says");
    report_table(&plan, links);
    if (plan.slices.json_path)
        report_json(&plan, links);
    link_close_all(links);
    for (size_t i = 0; i < plan.count; i++)
        cell_free(&plan.cells[i]);
    return EXIT_SUCCESS;
}
