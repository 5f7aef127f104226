/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_wait.c - what a round trip costs where spinning helps, where it cannot, and on a busy machine, by how a channel
 * waits; beside a Unix stream socket.
 *
 * Room: tests/bench. Each place is played in turns of some thousand round trips, every way of waiting once in a turn,
 * so that a change of the machine meets all of them. The figure to look at is the last column: adaptive waiting beside
 * the better one of spinning and sleeping.
 */
#include "util_json.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_stats.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define SIZE 64

enum place {
    PLACE_SAME, /* both sides on one processor */
    PLACE_TWO,
    PLACE_LOADED, /* on two, with a busy process on each */
    PLACES
};

enum way {
    WAY_ADAPTIVE,
    WAY_SPIN,
    WAY_SLEEP,
    WAY_SOCKET,
    WAYS
};

static const char *const place_names[] = {"same processor", "two processors", "two, both busy"};
static const char *const place_keys[] = {"same", "two", "loaded"};
static const char *const way_names[] = {"adaptive", "spin", "sleep", "Unix stream"};
static const char *const way_keys[] = {"adaptive", "spin", "sleep", "unix"};

struct figures {
    struct samples median, p99; /* us, one a turn */
};

/* ---- One side of a connection, of either kind ---- */

struct end {
    vop_channel *channel; /* NULL: the socket */
    int socket;
};

static void put(const struct end *e, const void *data)
{
    if (e->channel ? vop_channel_send(e->channel, data, SIZE, -1) < 0 : write(e->socket, data, SIZE) != SIZE)
        die(0, "send: %s", e->channel ? vop_error_text() : strerror(errno));
}

/* False at the end. */
static bool take(const struct end *e, void *data)
{
    ssize_t length = e->channel ? vop_channel_recv(e->channel, data, SIZE, -1) : read(e->socket, data, SIZE);

    if (length < 0)
        die(0, "receive: %s", e->channel ? vop_error_text() : strerror(errno));
    return length > 0;
}

static void serve(const struct end *e)
{
    char data[SIZE];

    while (take(e, data))
        put(e, data);
}

static void close_end(const struct end *e)
{
    vop_channel_close(e->channel);
    if (e->socket >= 0)
        close(e->socket);
}

/* ---- A turn ---- */

static pid_t start(void (*run)(void *), void *context)
{
    pid_t child = fork();

    if (child < 0)
        die(-errno, "fork");
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
            die(-errno, "prctl");
        run(context);
        _exit(0);
    }
    return child;
}

static void be_busy(void *context)
{
    cpu_pin(*(const int *)context);
    for (volatile unsigned long n = 0;; n = n + 1)
        continue;
}

struct server {
    int cpu;
    vop_listener *listener; /* NULL: the socket */
    int socket;
    int client; /* the other end of it, which is not this process's */
};

static void run_server(void *context)
{
    const struct server *s = context;
    struct end e = {.socket = s->socket};

    cpu_pin(s->cpu);
    if (s->client >= 0)
        close(s->client);
    if (s->listener && vop_listener_accept(s->listener, 10000, &e.channel) < 0)
        die(0, "accept: %s", vop_error_text());
    serve(&e);
    close_end(&e);
}

static void measure(const struct end *e, unsigned long trips, struct figures *f)
{
    struct samples us = {0};
    char data[SIZE] = "x";

    for (unsigned long i = 0; i < trips; i++) {
        uint64_t before = clock_ns();

        put(e, data);
        if (!take(e, data))
            die(0, "the server ended");
        samples_add(&us, (double)(clock_ns() - before) / 1000);
    }
    samples_add(&f->median, samples_percentile(&us, 0.5));
    samples_add(&f->p99, samples_percentile(&us, 0.99));
    samples_free(&us);
}

static void play(enum way way, const char *uri, const int cpus[2], unsigned long trips, struct figures *f)
{
    static const uint32_t spin_us[] = {0, VOP_SPIN_FOREVER, VOP_SPIN_NEVER};
    int sockets[2] = {-1, -1};
    struct vop_options options;
    struct server s = {.cpu = cpus[1]};
    struct end e = {.socket = -1};
    pid_t server;

    if (way == WAY_SOCKET) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
            die(-errno, "socketpair");
    } else {
        vop_options_init(&options, sizeof(options));
        if (spin_us[way])
            options.spin_us = spin_us[way];
        if (vop_listener_open(uri, &options, &s.listener) < 0)
            die(0, "listen: %s", vop_error_text());
    }
    s.socket = sockets[1];
    s.client = sockets[0];
    server = start(run_server, &s);
    if (sockets[1] >= 0)
        close(sockets[1]);
    cpu_pin(cpus[0]);
    e.socket = sockets[0];
    if (s.listener && vop_channel_connect(uri, &options, -1, &e.channel) < 0)
        die(0, "connect: %s", vop_error_text());
    measure(&e, trips, f);
    close_end(&e);
    waitpid(server, NULL, 0);
    vop_listener_close(s.listener);
}

static void play_place(enum place place, const char *uri, const int cpus[2], unsigned long trips,
                       struct figures f[WAYS])
{
    const int used[2] = {cpus[0], cpus[place == PLACE_SAME ? 0 : 1]};
    pid_t busy[2] = {0};

    for (unsigned i = 0; i < 2 && place == PLACE_LOADED; i++)
        busy[i] = start(be_busy, (void *)(uintptr_t)&cpus[i]);
    for (enum way way = 0; way < WAYS; way++) {
        if (place != PLACE_TWO && way == WAY_SPIN)
            continue; /* for ever, on one processor or beside others, is a matter of the scheduler's slices */
        play(way, uri, used, trips, &f[way]);
    }
    for (unsigned i = 0; i < 2 && place == PLACE_LOADED; i++) {
        kill(busy[i], SIGKILL);
        waitpid(busy[i], NULL, 0);
    }
}

/* ---- Report ---- */

static double median_of(struct samples *s)
{
    return samples_percentile(s, 0.5);
}

static double best_of(struct figures f[WAYS])
{
    double sleep = median_of(&f[WAY_SLEEP].median);
    double spin = f[WAY_SPIN].median.count ? median_of(&f[WAY_SPIN].median) : sleep;

    return spin < sleep ? spin : sleep;
}

static void report(struct figures f[PLACES][WAYS], const char *json_path)
{
    json_t *root = json_object();

    printf("Round trip of %d bytes, us: median and 99th percentile, medians of all turns\n\n", SIZE);
    printf("%-16s %-12s %10s %10s   %s\n", "place", "waiting", "p50", "p99", "beside the better of spin and sleep");
    for (enum place place = 0; place < PLACES; place++) {
        json_t *object = json_object();

        for (enum way way = 0; way < WAYS; way++) {
            double p50, p99;

            if (f[place][way].median.count == 0)
                continue;
            p50 = median_of(&f[place][way].median);
            p99 = median_of(&f[place][way].p99);
            printf("%-16s %-12s %10.2f %10.2f", place_names[place], way_names[way], p50, p99);
            if (way == WAY_ADAPTIVE)
                printf("   %.2f", p50 / best_of(f[place]));
            printf("\n");
            json_object_set_new(object, way_keys[way],
                                json_pack("{s:o, s:o}", "p50_us", json_figure(p50), "p99_us", json_figure(p99)));
        }
        json_object_set_new(object, "adaptive_ratio",
                            json_figure(median_of(&f[place][WAY_ADAPTIVE].median) / best_of(f[place])));
        json_object_set_new(root, place_keys[place], object);
    }
    if (json_path)
        json_write(json_path, root);
    json_decref(root);
}

int main(int argc, char **argv)
{
    unsigned long turns = 7, trips = 3000;
    int cpus[2] = {-1, -1};
    const char *json_path = NULL;
    const struct bench_option options[] = {
        {"turns", "N", "how often each way of waiting is played", option_number, &turns, 1, 1000},
        {"trips", "N", "round trips of one turn", option_number, &trips, 100, 10000000},
        {"cpus", "A,B", "processors to use (default: the first two allowed)", option_cpus, cpus, 0, 0},
        OPTION_JSON(&json_path),
    };
    static struct figures figures[PLACES][WAYS];
    char directory[] = "/tmp/bench-wait.XXXXXX", uri[64];

    options_parse("Measures round trips by how a channel waits: on one processor, on two, and on two busy ones.\n",
                  options, sizeof(options) / sizeof(options[0]), argc, argv);
    if (json_path)
        json_check_path(json_path);
    if (cpus[0] < 0)
        cpu_pick_two(cpus);
    if (!mkdtemp(directory))
        die(-errno, "cannot make %s", directory);
    (void)snprintf(uri, sizeof(uri), "shm:%s/s", directory);
    for (unsigned long turn = 0; turn < turns; turn++) {
        for (enum place place = 0; place < PLACES; place++)
            play_place(place, uri, cpus, trips, figures[place]);
    }
    rmdir(directory);
    report(figures, json_path);
    return EXIT_SUCCESS;
}
