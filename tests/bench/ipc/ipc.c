/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipc.c - main() of every program of the comparison: two processes with an end of a carrier each, and commands that
 * measure between them.
 *
 * Room: tests/bench/ipc. Of a carrier, the process that was started runs prepare() and nothing else (util_pair.h).
 */
#include "ipc.h"

#include "util_content.h"
#include "util_json.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_pair.h"
#include "util_slice.h"
#include "util_ticks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIDES 2
#define SLICE_MS_MAX 60000
#define BATCH_MAX 1024

static const char *const waiting_names[IPC_WAITINGS] = {"spin", "adaptive", "sleep"};

/* ---- What the program carries with ---- */

static json_t *version_json(const struct ipc_carrier *carrier)
{
    return carrier->version ? json_string(carrier->version()) : json_null();
}

static json_t *carrier_json(const struct ipc_carrier *carrier)
{
    json_t *waitings = json_array();

    for (enum ipc_waiting w = 0; w < IPC_WAITINGS; w++) {
        if (carrier->waitings & 1u << w)
            json_array_append_new(waitings, json_string(waiting_names[w]));
    }
    return json_pack("{s:s, s:b, s:o, s:I, s:b, s:b, s:b, s:o}", "name", carrier->name, "floor", carrier->is_floor,
                     "waitings", waitings, "size_max", (json_int_t)carrier->size_max, "in_place", carrier->loan != NULL,
                     "batches", carrier->has_batches, "one_way", !carrier->is_lockstep, "version",
                     version_json(carrier));
}

/* One line, seen at once by whoever waits for it. */
static void print_json(json_t *root)
{
    if (json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(10)) < 0 || putchar('\n') == EOF ||
        fflush(stdout) == EOF)
        die(-errno, "cannot write to standard output");
    json_decref(root);
}

static void print_list(void)
{
    json_t *list = json_array();

    for (const struct ipc_carrier *const *c = ipc_carriers; *c; c++)
        json_array_append_new(list, carrier_json(*c));
    print_json(list);
}

/* ---- Commands ---- */

static const struct {
    const char *name;
    enum slice_kind kind;
    bool takes_batch;
} commands[] = {
    {"rtt", SLICE_RTT, false},     {"latency", SLICE_LATENCY, false},  {"rate", SLICE_RATE, true},
    {"copied", SLICE_RATE, false}, {"inplace", SLICE_IN_PLACE, false}, {"inplace-rtt", SLICE_IN_PLACE_RTT, false},
};

static bool read_number(unsigned long least, unsigned long most, unsigned long *ret_number)
{
    const char *text = strtok(NULL, " \t\r\n");
    char *end;

    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret_number = strtoul(text, &end, 10);
    return !errno && !*end && *ret_number >= least && *ret_number <= most;
}

/* Returns NULL, or what is wrong. */
static const char *parse(char *line, const struct ipc_carrier *carrier, size_t size_max, struct slice *ret_slice)
{
    const char *name = strtok(line, " \t\r\n");
    unsigned long size, batch = 1, ms;
    size_t i = 0;

    while (i < sizeof(commands) / sizeof(commands[0]) && (!name || strcmp(name, commands[i].name) != 0))
        i++;
    if (i == sizeof(commands) / sizeof(commands[0]))
        return "the commands are rtt, latency, rate, copied, inplace and inplace-rtt";
    if (!read_number(CONTENT_SIZE_MIN, size_max, &size) || size % 8)
        return "the size is a multiple of 8, 64 at least, and --size-max at most";
    if (commands[i].takes_batch && !read_number(1, BATCH_MAX, &batch))
        return "the batch is a number from 1 to 1024";
    if (!read_number(1, SLICE_MS_MAX, &ms) || strtok(NULL, " \t\r\n"))
        return "the last word is the length of the slice, in milliseconds";
    if (batch > 1 && !carrier->has_batches)
        return "this carrier publishes each message by itself";
    *ret_slice = (struct slice){
        .kind = commands[i].kind, .size = size, .batch = (unsigned)batch, .duration_ns = (uint64_t)ms * 1000000};
    if ((ret_slice->kind == SLICE_IN_PLACE || ret_slice->kind == SLICE_IN_PLACE_RTT) && !carrier->loan)
        return "this carrier cannot carry in place";
    if ((ret_slice->kind == SLICE_IN_PLACE || ret_slice->kind == SLICE_RATE) && carrier->is_lockstep)
        return "this carrier does round trips only";
    return NULL;
}

static void add_latencies(json_t *answer, const struct histogram *h)
{
    static const struct {
        const char *name;
        double share;
    } percentiles[] = {{"50", 0.5}, {"90", 0.9}, {"99", 0.99}, {"99.9", 0.999}};
    json_t *shares = json_object(), *buckets = json_array();
    double tick_ns = ticks_length_ns();

    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
        json_object_set_new(shares, percentiles[i].name,
                            json_figure(histogram_percentile(h, percentiles[i].share) * tick_ns));
    json_object_set_new(shares, "max", json_figure((double)h->most * tick_ns));
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->bucket[i])
            json_array_append_new(
                buckets, json_pack("[o, I]", json_figure(histogram_middle(i) * tick_ns), (json_int_t)h->bucket[i]));
    }
    json_object_set_new(answer, "percentiles", shares);
    json_object_set_new(answer, "buckets", buckets);
}

static json_t *answer_command(struct stage *s, char *line, size_t size_max)
{
    static struct histogram histogram;
    struct slice slice;
    const char *wrong = parse(line, s->carrier, size_max, &slice);
    struct slice_result r;
    json_t *answer;

    if (wrong)
        return json_pack("{s:s}", "error", wrong);
    memset(&histogram, 0, sizeof(histogram));
    r = slice_measure(s, &slice, slice.kind == SLICE_LATENCY ? &histogram : NULL);
    answer = json_pack("{s:o, s:o, s:o, s:I}", "ns", json_figure(r.ns), "bounce_before", json_figure(r.bounce_before),
                       "bounce_after", json_figure(r.bounce_after), "count", (json_int_t)r.count);
    if (slice.kind == SLICE_LATENCY)
        add_latencies(answer, &histogram);
    return answer;
}

/* ---- The two sides ---- */

struct plan {
    const struct ipc_carrier *carrier;
    struct ipc_terms terms;
    struct stage_shared *shared;
    int cpus[SIDES];
    int wake[2]; /* a pipe */
};

static void measure(struct stage *s, const struct plan *plan)
{
    json_t *ready = carrier_json(plan->carrier);
    char *line = NULL;
    size_t size = 0;

    ticks_begin();
    json_object_set_new(ready, "ready", json_true());
    json_object_set_new(ready, "waiting", json_string(waiting_names[plan->terms.waiting]));
    json_object_set_new(ready, "directory", json_string(plan->terms.directory));
    json_object_set_new(ready, "cpus", json_pack("[i, i]", plan->cpus[0], plan->cpus[1]));
    print_json(ready);
    while (getline(&line, &size, stdin) >= 0)
        print_json(answer_command(s, line, plan->terms.size_max));
    free(line);
    slice_end(s);
}

static void run_side(void *context, int side)
{
    struct plan *plan = context;
    struct stage stage = {.carrier = plan->carrier, .shared = plan->shared, .wake_fd = plan->wake[side == 0 ? 1 : 0]};

    plan->terms.cpu = plan->cpus[side];
    cpu_pin(plan->terms.cpu);
    stage_begin(&stage, plan->terms.size_max);
    stage.end = plan->carrier->open(&plan->terms, side);
    if (side == 0)
        measure(&stage, plan);
    else
        slice_answer(&stage);
    plan->carrier->close(stage.end);
    stage_end(&stage);
}

static void run(struct plan *plan)
{
    plan->terms.directory = pair_directory();
    plan->shared = shared_memory(sizeof(*plan->shared));
    if (pipe2(plan->wake, O_CLOEXEC) < 0)
        die(-errno, "pipe");
    if (plan->carrier->prepare)
        plan->terms.prepared = plan->carrier->prepare(&plan->terms);
    pair_run(run_side, plan);
}

/* ---- Command line ---- */

static const struct ipc_carrier *find_carrier(const char *name)
{
    const struct ipc_carrier *const *c = ipc_carriers;

    if (!name)
        die_usage("--carrier is missing");
    while (*c && strcmp((*c)->name, name) != 0)
        c++;
    if (!*c)
        die_usage("there is no carrier '%s' here (see --list)", name);
    return *c;
}

static enum ipc_waiting find_waiting(const struct ipc_carrier *carrier, const char *name)
{
    for (enum ipc_waiting w = 0; w < IPC_WAITINGS; w++) {
        if ((carrier->waitings & 1u << w) && (!name || strcmp(waiting_names[w], name) == 0))
            return w;
    }
    die_usage("%s does not wait by '%s' (see --list)", carrier->name, name ? name : "anything");
}

int main(int argc, char **argv)
{
    const char *carrier = NULL, *waiting = NULL;
    unsigned long size_max = 65536;
    struct plan plan = {.cpus = {-1, -1}};
    bool list = false;
    const struct bench_option options[] = {
        {"list", NULL, "print the carriers of this program as JSON, and end", option_flag, &list, 0, 0},
        {"carrier", "NAME", "what carries the messages", option_text, &carrier, 0, 0},
        {"waiting", "HOW", "spin, adaptive or sleep (default: the first that the carrier can)", option_text, &waiting,
         0, 0},
        {"size-max", "BYTES", "largest message", option_number, &size_max, CONTENT_SIZE_MIN, 1ul << 30},
        {"cpus", "A,B", "processors of both sides (default: the first two allowed)", option_cpus, plan.cpus, 0, 0},
    };

    options_parse("Measures messages between two processes; commands come from standard input (util_slice.h).\n",
                  options, sizeof(options) / sizeof(options[0]), argc, argv);
    if (list) {
        print_list();
        return EXIT_SUCCESS;
    }
    plan.carrier = find_carrier(carrier);
    plan.terms.waiting = find_waiting(plan.carrier, waiting);
    plan.terms.size_max = size_max;
    if (size_max > plan.carrier->size_max)
        die_usage("%s carries at most %zu bytes", plan.carrier->name, plan.carrier->size_max);
    if (plan.cpus[0] < 0)
        cpu_pick_two(plan.cpus);
    run(&plan);
    return EXIT_SUCCESS;
}
