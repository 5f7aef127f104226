/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_idle.c - what a client costs a server that only has it: descriptors, mappings, memory; how long a link takes to
 * make, and how soon a death is heard.
 *
 * Room: tests/bench.
 */
#include "util_json.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_usage.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define DESCRIPTORS_OF_ONE 10 /* more than a link takes at either end */

/* ---- Clients ---- */

static void connect_all(const char *uri, const struct vop_options *options, unsigned long clients)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        die(-errno, "prctl");
    for (unsigned long i = 0; i < clients; i++) {
        vop_channel *channel;

        if (vop_channel_connect(uri, options, -1, &channel) < 0)
            die(0, "client %lu: %s", i, vop_error_text());
    }
    for (;;)
        pause();
}

static void raise_limit(unsigned long clients)
{
    unsigned long wanted = DESCRIPTORS_OF_ONE * clients + 64;

    if (usage_allow(wanted) < wanted)
        die(0, "so many clients need a higher limit of open files (ulimit -n %lu)", wanted);
}

/* ---- The server ---- */

struct result {
    double descriptors, mappings, shared_kib, private_kib; /* of one client */
    double make_us;                                        /* a link, connecting and accepting */
    double death_us;                                       /* from a kill to the last channel that polls readable */
};

static void accept_all(vop_listener *listener, vop_channel **channels, unsigned long clients)
{
    for (unsigned long i = 0; i < clients; i++) {
        int ret;

        while ((ret = vop_listener_accept(listener, 20000, &channels[i])) == -EINTR)
            continue;
        if (ret < 0)
            die(0, "accepting client %lu: %s", i, vop_error_text());
    }
}

/* All clients are one process, and its death is that of all. */
static double hear_death(vop_channel **channels, unsigned long clients, pid_t client)
{
    uint64_t before;

    for (unsigned long i = 0; i < clients; i++) {
        if (vop_channel_arm(channels[i], VOP_ARM_RECV) != 0)
            die(0, "arm: client %lu is not idle", i);
    }
    before = clock_ns();
    kill(client, SIGKILL);
    for (unsigned long i = 0; i < clients; i++) {
        struct pollfd fd = {.fd = vop_channel_fd(channels[i]), .events = POLLIN};

        if (poll(&fd, 1, 20000) != 1 || vop_channel_process(channels[i]) != -ECONNRESET)
            die(0, "client %lu was killed, and its channel does not say so", i);
    }
    return (double)(clock_ns() - before) / 1000;
}

static struct result measure(const char *uri, const struct vop_options *options, unsigned long clients)
{
    vop_channel **channels = calloc(clients, sizeof(vop_channel *));
    struct usage before, after;
    vop_listener *listener;
    struct result result;
    uint64_t start;
    pid_t client;

    if (!channels)
        die(-ENOMEM, "channels");
    if (vop_listener_open(uri, options, &listener) < 0)
        die(0, "listen: %s", vop_error_text());
    client = fork();
    if (client < 0)
        die(-errno, "fork");
    if (client == 0) {
        vop_listener_close(listener);
        connect_all(uri, options, clients);
    }
    before = usage_now();
    start = clock_ns();
    accept_all(listener, channels, clients);
    result.make_us = (double)(clock_ns() - start) / 1000 / (double)clients;
    after = usage_now();
    result.descriptors = ((double)after.descriptors - (double)before.descriptors) / (double)clients;
    result.mappings = ((double)after.mappings - (double)before.mappings) / (double)clients;
    result.shared_kib = ((double)after.shared_kib - (double)before.shared_kib) / (double)clients;
    result.private_kib = ((double)after.private_kib - (double)before.private_kib) / (double)clients;
    result.death_us = hear_death(channels, clients, client);
    waitpid(client, NULL, 0);
    for (unsigned long i = 0; i < clients; i++)
        vop_channel_close(channels[i]);
    vop_listener_close(listener);
    free(channels);
    return result;
}

int main(int argc, char **argv)
{
    unsigned long clients = 100, queue_size, slot_size;
    const char *json_path = NULL;
    const struct bench_option bench_options[] = {
        {"clients", "N", "idle clients", option_number, &clients, 1, 10000},
        {"queue-size", "N", "slots of a queue", option_number, &queue_size, 2, 32768},
        {"slot-size", "BYTES", "bytes of a slot", option_number, &slot_size, 64, 1048576},
        OPTION_JSON(&json_path),
    };
    char directory[] = "/tmp/bench-idle.XXXXXX", uri[64];
    struct vop_options options;
    struct result r;

    vop_options_init(&options, sizeof(options));
    queue_size = options.queue_size;
    slot_size = options.slot_size;
    options_parse("Measures what an idle client costs a server, and how soon its death is heard.\n", bench_options,
                  sizeof(bench_options) / sizeof(bench_options[0]), argc, argv);
    if (json_path)
        json_check_path(json_path);
    raise_limit(clients);
    if (!mkdtemp(directory))
        die(-errno, "cannot make %s", directory);
    (void)snprintf(uri, sizeof(uri), "shm:%s/s", directory);
    options.queue_size = (uint32_t)queue_size;
    options.slot_size = (uint32_t)slot_size;
    r = measure(uri, &options, clients);
    rmdir(directory);

    printf("%lu idle clients, %lu slots of %lu bytes; for each, at the server\n\n", clients, queue_size, slot_size);
    printf("file descriptors             %8.1f\n", r.descriptors);
    printf("mappings                     %8.1f\n", r.mappings);
    printf("memory of the link, KiB      %8.0f   shared, and allocated by the client\n", r.shared_kib);
    printf("memory of its own, KiB       %8.1f\n", r.private_kib);
    printf("making the link, us          %8.0f   connecting and accepting, one after the other\n", r.make_us);
    printf("all killed, all heard, us    %8.0f\n", r.death_us);
    if (json_path) {
        json_t *root = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "clients", (json_int_t)clients, "descriptors",
                                 json_figure(r.descriptors), "mappings", json_figure(r.mappings), "shared_kib",
                                 json_figure(r.shared_kib), "private_kib", json_figure(r.private_kib), "make_us",
                                 json_figure(r.make_us), "death_us", json_figure(r.death_us));

        json_write(json_path, root);
        json_decref(root);
    }
    return EXIT_SUCCESS;
}
