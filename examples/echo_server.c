/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * echo_server.c - sends every message back to where it came from; serves many clients and outlives each of them.
 *
 * Room: examples. The first thing to read; <vopipc/channel.h> is the second. Run it: echo_server shm:/tmp/echo.sock
 *
 * Each client has a channel, and a thread that waits on it. A program with an event loop would watch vop_channel_fd()
 * instead.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vopipc/vopipc.h>

#define CLIENTS_MAX 100
#define MESSAGE_MAX 65536

static void *client_serve(void *argument)
{
    vop_channel *channel = argument;
    char message[MESSAGE_MAX];
    ssize_t length;

    /* Both calls wait as long as it takes. They fail once the client is gone, for whatever reason. */
    do
        length = vop_channel_recv(channel, message, sizeof(message), -1);
    while (length > 0 && vop_channel_send(channel, message, (size_t)length, -1) == 0);
    vop_channel_close(channel);
    return NULL;
}

int main(int argc, char **argv)
{
    struct vop_options options;
    vop_listener *listener;
    vop_channel *channel;
    pthread_t thread;
    bool is_help;

    is_help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc != 2 || is_help) {
        fprintf(is_help ? stdout : stderr, "usage: %s LINK     for example %s shm:/tmp/echo.sock\n", argv[0], argv[0]);
        return is_help ? 0 : 2;
    }
    vop_options_init(&options, sizeof(options));
    options.slot_size = 2048;
    options.queue_size = MESSAGE_MAX / options.slot_size; /* no message is longer than MESSAGE_MAX */
    options.links_max = CLIENTS_MAX;                      /* one more is refused, and told why */
    if (vop_listener_open(argv[1], &options, &listener) < 0)
        return fprintf(stderr, "%s: %s\n", argv[0], vop_error_text()), 1;
    for (;;) {
        while (vop_listener_accept(listener, -1, &channel) < 0) {
            fprintf(stderr, "%s: %s\n", argv[0], vop_error_text());
            sleep(1); /* out of descriptors or memory, until a client leaves */
        }
        if (pthread_create(&thread, NULL, client_serve, channel) != 0) {
            fprintf(stderr, "%s: cannot start a thread for another client\n", argv[0]);
            vop_channel_close(channel);
            continue;
        }
        pthread_detach(thread);
    }
}
