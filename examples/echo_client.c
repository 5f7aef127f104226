/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * echo_client.c - sends its arguments, or else the lines of its standard input, and prints what comes back.
 *
 * Room: examples. Run it beside echo_server.c: echo_client shm:/tmp/echo.sock hello
 *
 * With --wait it may be started before the server, and outlives it: what was not answered is sent to the next one.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/vopipc.h>

#define TIMEOUT_MS 5000

static struct {
    const char *name;
    bool waits;
    vop_connector *connector;
    vop_channel *channel;
} client;

static void die(const char *text)
{
    fprintf(stderr, "%s: %s\n", client.name, text);
    exit(EXIT_FAILURE);
}

/* With --wait there is no limit to it. */
static void find_server(void)
{
    int r;

    do {
        r = vop_connector_connect(client.connector, -1, &client.channel);
    } while (r == -EINTR);
    if (r < 0)
        die(vop_error_text());
}

/* Sends one message and prints its echo straight from the shared memory, without a copy. False: the server is gone. */
static bool echo(const char *text, size_t length)
{
    struct vop_buffer reply;
    int r = vop_channel_send(client.channel, text, length, TIMEOUT_MS);

    if (r == 0 && (r = vop_channel_peek(client.channel, TIMEOUT_MS, &reply)) > 0) {
        for (int i = 0; i < 2; i++)
            fwrite(reply.segment[i].iov_base, 1, reply.segment[i].iov_len, stdout);
        vop_channel_release(client.channel, &reply);
        return true;
    }
    if (client.waits && (r == 0 || r == -EPIPE || r == -ECONNRESET))
        return false;
    die(r == 0 ? "the server has closed the link" : vop_error_text());
    return false;
}

static void echo_surely(const char *text, size_t length)
{
    while (!echo(text, length)) {
        vop_channel_close(client.channel);
        find_server();
    }
}

int main(int argc, char **argv)
{
    struct vop_options options;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool is_help;

    client.name = argv[0];
    client.waits = argc > 1 && strcmp(argv[1], "--wait") == 0;
    argc -= client.waits;
    argv += client.waits;
    is_help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc < 2 || is_help) {
        fprintf(is_help ? stdout : stderr,
                "usage: %s [--wait] LINK [MESSAGE...]     for example %s shm:/tmp/echo.sock hello\n", client.name,
                client.name);
        return is_help ? 0 : 2;
    }
    vop_options_init(&options, sizeof(options));
    options.connect_wait = client.waits;
    if (vop_connector_open(argv[1], &options, &client.connector) < 0)
        die(vop_error_text());
    find_server();
    for (int i = 2; i < argc; i++) {
        echo_surely(argv[i], strlen(argv[i]));
        putchar('\n');
    }
    while (argc == 2 && (length = getline(&line, &size, stdin)) > 0) {
        echo_surely(line, (size_t)length);
        fflush(stdout);
    }
    free(line);
    vop_channel_close(client.channel);
    vop_connector_close(client.connector);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
