/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * echo_client.c - sends its arguments, or else the lines of its standard input, and prints what comes back.
 *
 * Room: examples. Run it beside echo_server.c: echo_client shm:/tmp/echo.sock hello
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vopipc/vopipc.h>

#define TIMEOUT_MS 5000

static void die(const char *program, const char *text)
{
    fprintf(stderr, "%s: %s\n", program, text);
    exit(EXIT_FAILURE);
}

/* Sends one message and prints its echo straight from the shared memory, without a copy. */
static void echo(vop_channel *channel, const char *program, const char *text, size_t length)
{
    struct vop_buffer reply;
    int r;

    if (vop_channel_send(channel, text, length, TIMEOUT_MS) < 0)
        die(program, vop_error_text());
    r = vop_channel_peek(channel, TIMEOUT_MS, &reply);
    if (r <= 0)
        die(program, r == 0 ? "the server has closed the link" : vop_error_text());
    for (int i = 0; i < 2; i++)
        fwrite(reply.segment[i].iov_base, 1, reply.segment[i].iov_len, stdout);
    vop_channel_release(channel, &reply);
}

int main(int argc, char **argv)
{
    vop_channel *channel;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool is_help;

    is_help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc < 2 || is_help) {
        fprintf(is_help ? stdout : stderr, "usage: %s LINK [MESSAGE...]     for example %s shm:/tmp/echo.sock hello\n",
                argv[0], argv[0]);
        return is_help ? 0 : 2;
    }
    if (vop_channel_connect(argv[1], NULL, -1, &channel) < 0)
        die(argv[0], vop_error_text());
    for (int i = 2; i < argc; i++) {
        echo(channel, argv[0], argv[i], strlen(argv[i]));
        putchar('\n');
    }
    while (argc == 2 && (length = getline(&line, &size, stdin)) > 0) {
        echo(channel, argv[0], line, (size_t)length);
        fflush(stdout);
    }
    free(line);
    vop_channel_close(channel);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
