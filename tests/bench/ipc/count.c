/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * count.c - both ends of a link in one process, for who counts the instructions of a message (run, under callgrind).
 *
 * Room: tests/bench/ipc.
 *
 * Each of N messages is sent at one end and received at the other. Two runs with different N differ by what the
 * messages took, and by nothing else: all else is the same in both.
 */
#include "util_machine.h"
#include "util_options.h"
#include "util_pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/vopipc.h>

#define SIZE_MAX_MAX 65536u
#define STEP_MS 10

static void connect_both(vop_channel *ret_ends[2])
{
    vop_listener *listener;
    vop_connector *connector;
    char uri[64];
    int r = -EAGAIN;

    (void)snprintf(uri, sizeof(uri), "shm:%s/count.sock", pair_directory());
    if (vop_listener_open(uri, NULL, &listener) < 0 || vop_connector_open(uri, NULL, &connector) < 0)
        die(0, "%s", vop_error_text());
    ret_ends[0] = ret_ends[1] = NULL;
    while (r == -EAGAIN && (!ret_ends[0] || !ret_ends[1])) {
        r = ret_ends[1] ? -EAGAIN : vop_connector_connect(connector, 0, &ret_ends[1]);
        if ((r == 0 || r == -EAGAIN) && !ret_ends[0])
            r = vop_listener_accept(listener, STEP_MS, &ret_ends[0]);
        if (r == 0)
            r = -EAGAIN;
    }
    if (r != -EAGAIN)
        die(0, "%s", vop_error_text());
    vop_connector_close(connector);
    vop_listener_close(listener);
}

static void carry(vop_channel *ends[2], unsigned long count, size_t size)
{
    static char out[SIZE_MAX_MAX], in[SIZE_MAX_MAX];

    for (unsigned long i = 1; i <= count; i++) {
        memcpy(out, &i, sizeof(i));
        if (vop_channel_send(ends[0], out, size, -1) < 0 || vop_channel_recv(ends[1], in, size, -1) < 0)
            die(0, "%s", vop_error_text());
        if (memcmp(out, in, sizeof(i)) != 0)
            die(0, "message %lu came with wrong content", i);
    }
}

int main(int argc, char **argv)
{
    unsigned long count = 1000, size = 64;
    vop_channel *ends[2];
    const struct bench_option options[] = {
        {"count", "N", "messages", option_number, &count, 1, 100000000},
        {"size", "BYTES", "of each of them", option_number, &size, sizeof(count), SIZE_MAX_MAX},
    };

    options_parse("Sends messages to itself, so that somebody else can count what that takes.\n", options,
                  sizeof(options) / sizeof(options[0]), argc, argv);
    connect_both(ends);
    carry(ends, count, size);
    vop_channel_close(ends[0]);
    vop_channel_close(ends[1]);
    return EXIT_SUCCESS;
}
