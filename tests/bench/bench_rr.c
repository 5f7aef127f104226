/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_rr.c - how long a small request and its answer take over UDP, between two network namespaces.
 *
 * Room: tests/bench.
 *
 * One process answers in one namespace, the other asks in the other, one question at a time, each with its own number.
 * Both sleep in the kernel while they wait, so the figure includes all wake-ups on the way.
 */
#include "util_json.h"
#include "util_machine.h"
#include "util_options.h"
#include "util_stats.h"
#include "util_udp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE_MAX_BYTES 1472u
#define LOST_AFTER_MS 200

struct plan {
    const char *server_namespace, *client_namespace; /* names under /run/netns, or NULL: where we are */
    const char *address;
    unsigned long size;
    uint64_t duration_ns;
    const char *json_path;
};

struct outcome {
    struct samples us; /* of each round trip */
    uint64_t lost;
};

static void server_main(const struct plan *plan, int port_pipe)
{
    char buffer[SIZE_MAX_BYTES];
    struct sockaddr_storage from;
    in_port_t port;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    netns_enter(plan->server_namespace);
    int fd = udp_open_server(plan->address, &port);
    if (write(port_pipe, &port, sizeof(port)) != sizeof(port))
        die(-errno, "cannot pass on the port");
    for (;;) {
        socklen_t length = sizeof(from);
        ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);
        if (n < 0)
            die(-errno, "server: receive");
        sendto(fd, buffer, (size_t)n, 0, (struct sockaddr *)&from, length); /* the other process counts lost answers */
    }
}

/* Asks once. Returns the time it took in us, or a negative number if the answer did not come. */
static double ask(int fd, uint64_t number, size_t size)
{
    uint64_t question[SIZE_MAX_BYTES / 8] = {number}, answer[SIZE_MAX_BYTES / 8];
    uint64_t begin = clock_ns();

    if (send(fd, question, size, 0) < 0 && errno != ENOBUFS)
        die(-errno, "client: send");
    do {
        ssize_t n = recv(fd, answer, sizeof(answer), 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return -1;
        if (n < 0)
            die(-errno, "client: receive");
        if ((size_t)n != size)
            die(0, "the answer has %zd bytes instead of %zu", n, size);
    } while (answer[0] != number); /* a late answer to a question that was given up */
    return (double)(clock_ns() - begin) / 1e3;
}

static void client_run(const struct plan *plan, in_port_t port, struct outcome *outcome)
{
    const struct timeval patience = {.tv_usec = LOST_AFTER_MS * 1000};
    int fd = udp_open_client(plan->address, port);
    uint64_t begin = clock_ns();

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        die(-errno, "SO_RCVTIMEO");
    for (uint64_t number = 1; clock_ns() - begin < plan->duration_ns; number++) {
        double us = ask(fd, number, plan->size);
        if (us < 0)
            outcome->lost++;
        else if (number > 10) /* the first ones wait for neighbour discovery */
            samples_add(&outcome->us, us);
    }
    close(fd);
    if (outcome->us.count == 0)
        die(0, "no answer from %s", plan->address);
}

static void report(const struct plan *plan, struct outcome *outcome)
{
    double p50 = samples_percentile(&outcome->us, 0.50), p99 = samples_percentile(&outcome->us, 0.99);

    printf("UDP %s, %lu bytes each way: %zu round trips, %llu lost, p50 %.1f us, p99 %.1f us\n", plan->address,
           plan->size, outcome->us.count, (unsigned long long)outcome->lost, p50, p99);
    if (!plan->json_path)
        return;
    json_t *root = json_pack("{s:s, s:i, s:i, s:i}", "address", plan->address, "size", (int)plan->size, "round_trips",
                             (int)outcome->us.count, "lost", (int)outcome->lost);
    json_object_set_new(root, "p50_us", json_figure(p50));
    json_object_set_new(root, "p99_us", json_figure(p99));
    json_write(plan->json_path, root);
}

static void plan_parse(struct plan *plan, int argc, char **argv)
{
    unsigned long ms = 1000;
    *plan = (struct plan){.size = 64};
    const struct bench_option options[] = {
        {"address", "ADDRESS", "numeric address of the server, in its namespace", option_text, &plan->address, 0, 0},
        {"server-netns", "NAME", "network namespace that answers, as in `ip netns` (default: this one)", option_text,
         &plan->server_namespace, 0, 0},
        {"client-netns", "NAME", "network namespace that asks (default: this one)", option_text,
         &plan->client_namespace, 0, 0},
        {"size", "BYTES", "payload", option_number, &plan->size, 8, SIZE_MAX_BYTES},
        {"ms", "N", "duration", option_number, &ms, 10, 3600000},
        OPTION_JSON(&plan->json_path),
    };

    options_parse("Measures the time of a request and its answer over UDP, one at a time.\n", options,
                  sizeof(options) / sizeof(options[0]), argc, argv);
    plan->duration_ns = ms * 1000000;
    if (!plan->address)
        die_usage("--address is missing");
}

int main(int argc, char **argv)
{
    struct plan plan;
    struct outcome outcome = {0};
    in_port_t port;
    int port_pipe[2], status;

    plan_parse(&plan, argc, argv);
    json_check_path(plan.json_path);
    if (pipe2(port_pipe, O_CLOEXEC) < 0)
        die(-errno, "pipe");
    pid_t child = fork();
    if (child < 0)
        die(-errno, "fork");
    if (child == 0)
        server_main(&plan, port_pipe[1]);
    close(port_pipe[1]);
    if (read(port_pipe[0], &port, sizeof(port)) != sizeof(port)) /* the server has said why */
        return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
    netns_enter(plan.client_namespace);
    client_run(&plan, port, &outcome);
    report(&plan, &outcome);
    samples_free(&outcome.us);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return EXIT_SUCCESS;
}
