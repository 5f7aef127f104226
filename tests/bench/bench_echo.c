/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_echo.c - how long an echo takes and how much a stream carries, each beside the bare bounce of two cache lines.
 *
 * Room: tests/bench.
 *
 * Two processes, pinned to two processors, measure in slices. Every slice lies between two slices of the bounce; if
 * these differ by more than 20 %, the virtual machine has moved our processors meanwhile and the slice is dropped. The
 * ratio of a slice is its figure by the mean of its two bounces, and what is reported is the median of the ratios, for
 * all slices and apart for the class F (fast: the processors are siblings) and S (slow: they are far apart).
 */
#include "util_bounce.h"
#include "util_cell.h"
#include "util_machine.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 16    /* messages of a stream published together */
#define ECHO_RUN 16 /* round trips between two looks at the clock */
#define CELLS_MAX 64

/* ---- What is measured ---- */

struct plan {
    struct cell cells[CELLS_MAX];
    size_t count;
    unsigned rounds;
    uint64_t slice_ns, bounce_ns;
    int cpus[2];
    const char *json_path;
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
    _Alignas(256) _Atomic uint32_t turn; /* counts up with each task; written by the client */
    enum task task;                      /* valid for this turn */
    enum link_kind kind;
    size_t size;
    _Alignas(256) _Atomic uint32_t done; /* the last turn finished; written by the server */
    const void *first_sent;              /* where the server's first message is in its memory */
};

static void server_run(struct shared *shared, struct bench_link *links)
{
    for (uint32_t turn = 1;; turn++) {
        while (atomic_load_explicit(&shared->turn, memory_order_acquire) != turn)
            cpu_pause();
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
        atomic_store_explicit(&shared->done, turn, memory_order_release);
    }
}

static void server_start(struct shared *shared, enum task task, const struct cell *cell)
{
    shared->task = task;
    shared->kind = cell ? cell->kind : LINK_VOP_SPIN;
    shared->size = cell ? cell->size : 0;
    atomic_fetch_add_explicit(&shared->turn, 1, memory_order_release);
}

static void server_wait(struct shared *shared)
{
    uint32_t turn = atomic_load_explicit(&shared->turn, memory_order_relaxed);

    while (atomic_load_explicit(&shared->done, memory_order_acquire) != turn)
        cpu_pause();
}

/* ---- One slice ---- */

static double slice_bounce(struct shared *shared, uint64_t duration_ns)
{
    server_start(shared, TASK_BOUNCE, NULL);
    double ns = bounce_measure(&shared->bounce, duration_ns);
    server_wait(shared);
    return ns;
}

static void echo_run(struct bench_link *link, uint64_t *number, size_t size)
{
    for (int i = 0; i < ECHO_RUN; i++) {
        link->ops->send(link, ++*number, size, false);
        if (link->ops->receive(link, *number, size) != *number)
            die(0, "%s: the echo of message %llu is another one", link->name, (unsigned long long)*number);
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
    server_wait(shared);
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
    server_wait(shared); /* the last message has arrived */
    return (double)(clock_ns() - begin) / (double)number;
}

/* ---- The client: cells in turn, each slice between two bounces ---- */

static void client_run(struct plan *plan, struct shared *shared, struct bench_link *links)
{
    double before = slice_bounce(shared, plan->bounce_ns);

    for (unsigned round = 0; round < plan->rounds; round++) {
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
        plan->cpus[0], plan->cpus[1], CLASS_F_BELOW_NS);
    cell_print_heading();
    for (struct cell *cell = plan->cells; cell < plan->cells + plan->count; cell++)
        cell_print(cell, &links[cell->kind]);
}

/* The figures of the first cell stand at the top too: that is the one that a target is set for. */
static void report_json(struct plan *plan, const struct bench_link *links)
{
    json_t *root = cell_json(&plan->cells[0], &links[plan->cells[0].kind]);
    json_t *cells = json_array();

    json_object_set_new(root, "cpus", json_pack("[i, i]", plan->cpus[0], plan->cpus[1]));
    for (struct cell *cell = plan->cells; cell < plan->cells + plan->count; cell++)
        json_array_append_new(cells, cell_json(cell, &links[cell->kind]));
    json_object_set_new(root, "cells", cells);
    json_write(plan->json_path, root);
}

/* ---- Command line ---- */

static const char help[] =
    "usage: bench-echo [--size BYTES]... [--waiting HOW]... [--no-stream] [--no-peers] [--rounds N] [--slice-ms N]\n"
    "                  [--cpus A,B] [--json FILE]\n"
    "\n"
    "Measures the echo round trip and the stream of messages between two processes on two processors, beside the\n"
    "bare bounce of two cache lines, and beside a pipe and a socket pair.\n"
    "\n"
    "  --size BYTES     length of the echoed messages, a multiple of 8, up to 262144; may be repeated (default 64)\n"
    "  --waiting HOW    spin, adaptive or sleep; may be repeated (default: all three)\n"
    "  --no-stream      echo only\n"
    "  --no-peers       without pipe and socket pair\n"
    "  --rounds N       slices of each line of the table (default 20)\n"
    "  --slice-ms N     length of a slice (default 80)\n"
    "  --cpus A,B       processors of client and server (default: the first two allowed)\n"
    "  --json FILE      write the same figures for machines to FILE\n";

static void plan_add(struct plan *plan, bool stream, enum link_kind kind, size_t size, unsigned batch)
{
    if (plan->count == CELLS_MAX)
        die_usage("more than %d lines of a table", CELLS_MAX);
    plan->cells[plan->count++] = (struct cell){.stream = stream, .kind = kind, .size = size, .batch = batch};
}

static enum link_kind parse_waiting(const char *text)
{
    static const char *const names[] = {"spin", "adaptive", "sleep"}; /* in the order of enum link_kind */

    for (enum link_kind kind = 0; kind <= LINK_VOP_SLEEP; kind++)
        if (strcmp(text, names[kind]) == 0)
            return kind;
    die_usage("--waiting is spin, adaptive or sleep, not '%s'", text);
}

static void parse_cpus(const char *text, int ret_cpus[2])
{
    char end;

    if (sscanf(text, "%d,%d%c", &ret_cpus[0], &ret_cpus[1], &end) != 2 || ret_cpus[0] == ret_cpus[1] ||
        ret_cpus[0] < 0 || ret_cpus[1] < 0)
        die_usage("--cpus takes two processors such as 0,1, not '%s'", text);
}

/** Which lines of the table the options ask for. */
struct wishes {
    size_t sizes[8], size_count;
    bool waiting[LINK_KINDS], any_waiting;
    bool no_stream, no_peers;
};

static bool wishes_link(const struct wishes *w, enum link_kind kind)
{
    return kind > LINK_VOP_SLEEP ? !w->no_peers : w->waiting[kind] || !w->any_waiting;
}

static void wishes_size(struct wishes *w, const char *text)
{
    if (w->size_count == sizeof(w->sizes) / sizeof(w->sizes[0]))
        die_usage("--size can be given eight times");
    w->sizes[w->size_count] = option_number("--size", text, 8, LINK_MESSAGE_MAX);
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
    enum {
        SIZE = 1,
        WAITING,
        NO_STREAM,
        NO_PEERS,
        ROUNDS,
        SLICE,
        CPUS,
        JSON,
        HELP
    };
    static const struct option options[] = {
        {"size", 1, NULL, SIZE},           {"waiting", 1, NULL, WAITING},
        {"no-stream", 0, NULL, NO_STREAM}, {"no-peers", 0, NULL, NO_PEERS},
        {"rounds", 1, NULL, ROUNDS},       {"slice-ms", 1, NULL, SLICE},
        {"cpus", 1, NULL, CPUS},           {"json", 1, NULL, JSON},
        {"help", 0, NULL, HELP},           {0},
    };
    struct wishes wishes = {.sizes = {64}};

    *plan = (struct plan){.rounds = 20, .slice_ns = 80000000, .cpus = {-1, -1}};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case SIZE:
            wishes_size(&wishes, optarg);
            break;
        case WAITING:
            wishes.any_waiting = wishes.waiting[parse_waiting(optarg)] = true;
            break;
        case NO_STREAM:
            wishes.no_stream = true;
            break;
        case NO_PEERS:
            wishes.no_peers = true;
            break;
        case ROUNDS:
            plan->rounds = (unsigned)option_number("--rounds", optarg, 1, 100000);
            break;
        case SLICE:
            plan->slice_ns = option_number("--slice-ms", optarg, 1, 10000) * 1000000;
            break;
        case CPUS:
            parse_cpus(optarg, plan->cpus);
            break;
        case JSON:
            plan->json_path = optarg;
            break;
        case HELP:
        case 'h':
            fputs(help, stdout);
            exit(EXIT_SUCCESS);
        default:
            exit(2); /* getopt has said why */
        }
    }
    plan->bounce_ns = plan->slice_ns * 3 / 8;
    if (optind < argc)
        die_usage("unexpected argument '%s'", argv[optind]);
    plan_fill(plan, &wishes);
}

/* ---- Two processes ---- */

static char directory[] = "/tmp/bench-echo.XXXXXX"; /* of the sockets; gone as soon as all are connected */

static void directory_remove(void)
{
    rmdir(directory);
}

static void child_has_died(int signal_number)
{
    static const char text[] = "bench-echo: the server process has ended, so there is nothing to measure\n";
    int status;

    (void)signal_number;
    if (waitpid(-1, &status, WNOHANG) > 0 && status != 0) {
        rmdir(directory);
        _exit(write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ? 3 : EXIT_FAILURE);
    }
}

static void server_main(const struct plan *plan, struct shared *shared, const struct link_kernel_ends *ends)
{
    struct bench_link links[LINK_KINDS];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cpu_pin(plan->cpus[1]);
    /* A hole first, so that nothing is mapped at the same address in both. */
    if (mmap(NULL, 0x12345000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
        die(-errno, "cannot reserve addresses");
    link_open_all(0, directory, ends, links);
    if (rmdir(directory) < 0) /* its sockets are gone: from here nothing is left behind, however this ends */
        die(-errno, "cannot remove %s", directory);
    server_run(shared, links);
    link_close_all(links);
    exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    static struct plan plan;
    struct bench_link links[LINK_KINDS];
    struct link_kernel_ends ends;

    plan_parse(&plan, argc, argv);
    if (plan.cpus[0] < 0)
        cpu_pick_two(plan.cpus);
    cpu_pin(plan.cpus[1]); /* a wrong one is told before anything begins */
    cpu_pin(plan.cpus[0]);
    json_check_path(plan.json_path);
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !mkdtemp(directory))
        die(-errno, "cannot set up %s", directory);
    atexit(directory_remove);
    link_kernel_open(&ends);
    signal(SIGCHLD, child_has_died);
    pid_t child = fork();
    if (child < 0)
        die(-errno, "fork");
    if (child == 0)
        server_main(&plan, shared, &ends);
    link_open_all(1, directory, &ends, links);

    client_run(&plan, shared, links);
    if (links[LINK_VOP_SPIN].first_received && links[LINK_VOP_SPIN].first_received == shared->first_sent)
        die(0, "both processes have the memory at the same address: the measurement proves less than it says");
    report_table(&plan, links);
    if (plan.json_path)
        report_json(&plan, links);
    link_close_all(links);
    for (size_t i = 0; i < plan.count; i++)
        cell_free(&plan.cells[i]);
    return EXIT_SUCCESS;
}
