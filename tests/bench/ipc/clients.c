/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clients.c - what many clients cost a server that has one loop for all of them, most of whom are idle.
 *
 * Room: tests/bench/ipc.
 *
 * A server waits for N clients with epoll. All of them are in one other process, which has a loop as well. Some of them
 * are active: in a burst each makes a few round trips, one after the other, beside those of the others; then there is a
 * pause, in which both processes sleep. The answer is one line of JSON for each kind of connection and each N.
 *
 * What an idle client costs is the difference between a server without any client and one whose clients have all
 * connected and said nothing. The memory of links and of the kernel is that of the whole machine, so it is right only
 * if nothing else begins or ends meanwhile.
 */
#include "util_histogram.h"
#include "util_json.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_pair.h"
#include "util_talk.h"
#include "util_turn.h"
#include "util_usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define CASES_MAX 16
#define DESCRIPTORS_MORE 64 /* of a process, beside its connections */

/* First word of a message; larger ones are carried, and sent back. */
enum word {
    WORD_STOP,  /* the server is to end */
    WORD_COUNT, /* it is to begin to count */
    WORD_FIRST
};

/* What a server counts, and what came out for the clients. */
struct figures {
    struct usage before, after; /* the clients have connected */
    uint64_t wakes, messages, cpu_ns;
    struct histogram latency; /* ns */
};

struct plan {
    const struct talk_kind *kind;
    const char *directory;
    unsigned long clients, active, trips, pause_us, duration_ms;
    int cpus[2];
    int may_connect[2], may_talk[2]; /* pipes, on which a side waits for the other */
    struct figures *figures;         /* shared */
};

/* ---- Both sides ---- */

static void tell(const int pipe[2])
{
    if (write(pipe[1], "", 1) != 1)
        die(-errno, "pipe");
}

static void hear(const int pipe[2])
{
    char byte;

    if (read(pipe[0], &byte, 1) != 1)
        die(-errno, "pipe");
}

static int loop_open(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    if (epoll < 0)
        die(-errno, "epoll_create1");
    return epoll;
}

static void loop_add(int epoll, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die(-errno, "epoll_ctl");
}

static int loop_wait(int epoll, struct epoll_event events[EVENTS_MAX])
{
    int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

    if (count < 0 && errno != EINTR)
        die(-errno, "epoll_wait");
    return count < 0 ? 0 : count;
}

static struct talk **new_talks(unsigned long count)
{
    struct talk **talks = calloc(count, sizeof(*talks));

    if (!talks)
        die(-ENOMEM, "connections");
    return talks;
}

/* ---- The server ---- */

static uint64_t cpu_ns(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* Answers what is there. False when the server is to end. */
static bool serve_client(const struct plan *plan, struct talk *t)
{
    struct figures *f = plan->figures;
    uint64_t message[TALK_SIZE / sizeof(uint64_t)];

    plan->kind->wake(t);
    do {
        while (plan->kind->receive(t, message)) {
            if (message[0] == WORD_STOP)
                return false;
            if (message[0] == WORD_COUNT) {
                f->wakes = f->messages = 0;
                f->cpu_ns = cpu_ns();
            }
            f->messages++;
            plan->kind->send(t, message);
        }
    } while (!plan->kind->sleep(t));
    return true;
}

static void serve(const struct plan *plan, int epoll)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int count = loop_wait(epoll, events);

        plan->figures->wakes++;
        for (int i = 0; i < count; i++) {
            if (!serve_client(plan, events[i].data.ptr))
                return;
        }
    }
}

static void run_server(const struct plan *plan)
{
    struct talk **talks = new_talks(plan->clients);
    struct talk_listener *listener = plan->kind->listen(plan->directory);
    struct figures *f = plan->figures;
    int epoll = loop_open();

    f->before = usage_now();
    tell(plan->may_connect);
    for (unsigned long i = 0; i < plan->clients; i++) {
        talks[i] = plan->kind->accept(listener);
        loop_add(epoll, plan->kind->fd(talks[i]), talks[i]);
        if (!plan->kind->sleep(talks[i]))
            die(0, "client %lu speaks before its time", i);
    }
    f->after = usage_now();
    tell(plan->may_talk);
    serve(plan, epoll);
    f->cpu_ns = cpu_ns() - f->cpu_ns;
    close(epoll);
    for (unsigned long i = 0; i < plan->clients; i++)
        plan->kind->close(talks[i]);
    plan->kind->stop_listening(listener);
    free(talks);
}

/* ---- The clients ---- */

struct client {
    struct talk *talk;
    uint64_t number, sent_ns;
    unsigned long left; /* round trips of this burst */
};

static void ask(const struct plan *plan, struct client *c, uint64_t word)
{
    uint64_t message[TALK_SIZE / sizeof(uint64_t)] = {0};

    message[0] = message[TALK_SIZE / sizeof(uint64_t) - 1] = word;
    c->sent_ns = clock_ns();
    plan->kind->send(c->talk, message);
}

/* Takes the answer and asks again. Returns 1 if this was the client's last one of the burst. */
static unsigned long take_answer(const struct plan *plan, struct client *c, const uint64_t *message)
{
    uint64_t last = message[TALK_SIZE / sizeof(uint64_t) - 1];

    if (c->left == 0 || message[0] != c->number || last != c->number)
        die(0, "an answer to another question: %llu instead of %llu", (unsigned long long)message[0],
            (unsigned long long)c->number);
    histogram_add(&plan->figures->latency, clock_ns() - c->sent_ns);
    if (--c->left == 0)
        return 1;
    ask(plan, c, ++c->number);
    return 0;
}

static unsigned long hear_client(const struct plan *plan, struct client *c)
{
    uint64_t message[TALK_SIZE / sizeof(uint64_t)];
    unsigned long done = 0;

    plan->kind->wake(c->talk);
    do {
        while (plan->kind->receive(c->talk, message))
            done += take_answer(plan, c, message);
    } while (!plan->kind->sleep(c->talk));
    return done;
}

/* All active clients ask at once, and each again when it has its answer. */
static void burst(const struct plan *plan, int epoll, struct client *clients)
{
    struct epoll_event events[EVENTS_MAX];

    for (unsigned long i = 0; i < plan->active; i++) {
        clients[i].left = plan->trips;
        ask(plan, &clients[i], ++clients[i].number);
    }
    for (unsigned long done = 0; done < plan->active;) {
        int count = loop_wait(epoll, events);

        for (int i = 0; i < count; i++)
            done += hear_client(plan, events[i].data.ptr);
    }
}

static void bursts(const struct plan *plan, int epoll, struct client *clients, unsigned long duration_ms)
{
    const struct timespec pause = {.tv_sec = (time_t)(plan->pause_us / 1000000),
                                   .tv_nsec = (long)(plan->pause_us % 1000000 * 1000)};
    uint64_t deadline = clock_ns() + (uint64_t)duration_ms * 1000000;

    do {
        nanosleep(&pause, NULL);
        burst(plan, epoll, clients);
    } while (clock_ns() < deadline);
}

/* One client tells the server to begin to count, as one of its round trips. */
static void begin_to_count(const struct plan *plan, int epoll, struct client *c)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t number = c->number;

    c->number = WORD_COUNT;
    c->left = 1;
    ask(plan, c, c->number);
    while (c->left > 0) {
        for (int i = loop_wait(epoll, events); i > 0; i--)
            hear_client(plan, events[i - 1].data.ptr);
    }
    c->number = number;
    memset(&plan->figures->latency, 0, sizeof(plan->figures->latency));
}

static void run_clients(const struct plan *plan)
{
    struct talk **talks = new_talks(plan->clients);
    struct client *clients = calloc(plan->active, sizeof(*clients));
    int epoll = loop_open();

    if (!clients)
        die(-ENOMEM, "clients");
    hear(plan->may_connect);
    for (unsigned long i = 0; i < plan->clients; i++)
        talks[i] = plan->kind->connect(plan->directory);
    hear(plan->may_talk);
    /* The active ones are spread among all of them. */
    for (unsigned long i = 0; i < plan->active; i++) {
        clients[i] = (struct client){.talk = talks[i * plan->clients / plan->active], .number = WORD_FIRST};
        loop_add(epoll, plan->kind->fd(clients[i].talk), &clients[i]);
    }
    bursts(plan, epoll, clients, plan->duration_ms / 8);
    begin_to_count(plan, epoll, &clients[0]);
    bursts(plan, epoll, clients, plan->duration_ms);
    ask(plan, &clients[0], WORD_STOP);
    close(epoll);
    for (unsigned long i = 0; i < plan->clients; i++)
        plan->kind->close(talks[i]);
    free(clients);
    free(talks);
}

/* ---- A case ---- */

static void run_side(void *context, int side)
{
    const struct plan *plan = context;

    cpu_pin(plan->cpus[side]);
    if (side == 0)
        run_clients(plan);
    else
        run_server(plan);
}

static json_t *of_one(const struct plan *plan, unsigned long before, unsigned long after)
{
    return json_figure(((double)after - (double)before) / (double)plan->clients);
}

static void add_figures(json_t *root, const struct plan *plan)
{
    const struct figures *f = plan->figures;
    const struct histogram *h = &f->latency;

    json_object_set_new(root, "messages", json_integer((json_int_t)f->messages));
    json_object_set_new(root, "wakes", json_integer((json_int_t)f->wakes));
    json_object_set_new(root, "p50_us", json_figure(histogram_percentile(h, 0.5) / 1000));
    json_object_set_new(root, "p99_us", json_figure(histogram_percentile(h, 0.99) / 1000));
    json_object_set_new(root, "server_us_per_wake", json_figure((double)f->cpu_ns / 1000 / (double)f->wakes));
    json_object_set_new(root, "server_us_per_message", json_figure((double)f->cpu_ns / 1000 / (double)f->messages));
    json_object_set_new(root, "descriptors", of_one(plan, f->before.descriptors, f->after.descriptors));
    json_object_set_new(root, "private_kib", of_one(plan, f->before.private_kib, f->after.private_kib));
    json_object_set_new(root, "shared_kib", of_one(plan, f->before.shared_kib, f->after.shared_kib));
    json_object_set_new(root, "kernel_kib", of_one(plan, f->before.kernel_kib, f->after.kernel_kib));
}

/* Returns NULL, or why the case is left out. */
static const char *missing(const struct plan *plan)
{
    static char text[128];
    unsigned long wanted = plan->clients * plan->kind->descriptors + DESCRIPTORS_MORE;
    unsigned long limit = usage_allow(wanted);

    if (plan->clients < plan->active)
        return "fewer clients than active ones";
    if (limit >= wanted)
        return NULL;
    (void)snprintf(text, sizeof(text), "it may need %lu descriptors, and the limit is %lu (ulimit -n)", wanted, limit);
    return text;
}

static void run_case(struct plan *plan)
{
    json_t *root = json_pack("{s:s, s:I, s:I, s:I, s:I}", "carrier", plan->kind->name, "clients",
                             (json_int_t)plan->clients, "active", (json_int_t)plan->active, "trips",
                             (json_int_t)plan->trips, "pause_us", (json_int_t)plan->pause_us);
    const char *why = missing(plan);

    if (why) {
        json_object_set_new(root, "error", json_string(why));
    } else {
        memset(plan->figures, 0, sizeof(*plan->figures));
        pair_run(run_side, plan);
        add_figures(root, plan);
    }
    if (json_dumpf(root, stdout, JSON_COMPACT | JSON_REAL_PRECISION(10)) < 0 || putchar('\n') == EOF ||
        fflush(stdout) == EOF)
        die(-errno, "cannot write to standard output");
    json_decref(root);
}

/* ---- Command line ---- */

struct wishes {
    unsigned long clients[CASES_MAX];
    unsigned count;
    const char *carrier;
};

static void wish_clients(const struct bench_option *option, const char *text)
{
    struct wishes *w = option->to;

    if (w->count == CASES_MAX)
        die_usage("--clients can be given %d times", CASES_MAX);
    w->clients[w->count++] = option_parse_number(option, text);
}

static void run_all(struct plan *plan, const struct wishes *w)
{
    bool any = false;

    for (const struct talk_kind *const *kind = talk_kinds; *kind; kind++) {
        if (w->carrier && strcmp(w->carrier, (*kind)->name) != 0)
            continue;
        any = true;
        for (unsigned i = 0; i < w->count; i++) {
            plan->kind = *kind;
            plan->clients = w->clients[i];
            run_case(plan);
        }
    }
    if (!any)
        die_usage("there is no carrier '%s' here", w->carrier);
}

int main(int argc, char **argv)
{
    struct plan plan = {.active = 10, .trips = 4, .pause_us = 200, .duration_ms = 1000, .cpus = {-1, -1}};
    struct wishes wishes = {0};
    const struct bench_option options[] = {
        {"clients", "N", "clients; may be repeated (default 10, 100 and 1000)", wish_clients, &wishes, 1, 100000},
        {"active", "N", "clients that speak; the others are idle", option_number, &plan.active, 1, EVENTS_MAX},
        {"trips", "N", "round trips of an active client in a burst", option_number, &plan.trips, 1, 100000},
        {"pause-us", "N", "pause between two bursts", option_number, &plan.pause_us, 0, 10000000},
        {"duration-ms", "N", "length of a case", option_number, &plan.duration_ms, 1, 600000},
        {"carrier", "NAME", "vopipc, Unix stream or Unix seqpacket (default: all)", option_text, &wishes.carrier, 0, 0},
        {"cpus", "A,B", "processors of clients and server (default: the first two allowed)", option_cpus, plan.cpus, 0,
         0},
    };

    options_parse("Measures a server with many clients, most of them idle; prints a line of JSON for each case.\n",
                  options, sizeof(options) / sizeof(options[0]), argc, argv);
    if (wishes.count == 0) {
        const unsigned long defaults[] = {10, 100, 1000};

        memcpy(wishes.clients, defaults, sizeof(defaults));
        wishes.count = sizeof(defaults) / sizeof(defaults[0]);
    }
    if (plan.cpus[0] < 0)
        cpu_pick_two(plan.cpus);
    plan.directory = pair_directory();
    plan.figures = shared_memory(sizeof(*plan.figures));
    if (pipe2(plan.may_connect, O_CLOEXEC) < 0 || pipe2(plan.may_talk, O_CLOEXEC) < 0)
        die(-errno, "pipe");
    run_all(&plan, &wishes);
    return EXIT_SUCCESS;
}
