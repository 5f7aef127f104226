/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop_server.c - echo_server.c on an event loop: one thread, which no client can keep from serving the others.
 *
 * Room: examples. Read echo_server.c first; <vopipc/channel.h>, In an event loop, describes the calls. The loop is
 * libuv's, and any other will do. Run it: loop_server shm:/tmp/echo.sock
 *
 * A client is ready or asleep.
 *
 * - Ready: it is in a list, and each turn of the loop lets it echo a few messages, no more (BUDGET): so the one that
 *   sends without end gets its share and the others theirs. While somebody is ready, an active idle handle keeps the
 *   loop from sleeping.
 * - Asleep: nothing can be done for it, and its channel is armed for the one thing that would change that: a message,
 *   or, while an echo does not fit, room. (With room missing, messages are no news: armed for them it would never
 *   sleep.) Its descriptor is watched all the time, and wakes it.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include <vopipc/vopipc.h>

#define CLIENTS_MAX 500
#define MESSAGE_MAX 65536
#define BUDGET 16 /* messages of a client in a turn */
#define RETRY_MS 1000

struct client {
    uv_poll_t poll; /* its `data` is the client */
    vop_channel *channel;
    struct client *next; /* in the list of those that are ready */
    bool is_ready;
    size_t held; /* bytes of a message that is not echoed yet */
    char message[MESSAGE_MAX];
};

static struct {
    const char *name;
    vop_listener *listener;
    uv_poll_t poll;   /* of the listener */
    uv_timer_t retry; /* listens again after an error */
    uv_idle_t turn;   /* active while somebody is ready */
    uv_signal_t signal[2];
    struct client *ready, **last;
    unsigned clients;
} server;

static void on_turn(uv_idle_t *idle);
static void on_listener(uv_poll_t *poll, int status, int events);

/* ---- A client ---- */

static void client_wake(struct client *client)
{
    if (client->is_ready)
        return;
    client->is_ready = true;
    client->next = NULL;
    *server.last = client;
    server.last = &client->next;
    uv_idle_start(&server.turn, on_turn);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct client *client = poll->data;

    (void)status;
    (void)events;
    /* Whatever it returns: what is left to receive, and then how the link ended, is found in the turn. */
    (void)vop_channel_process(client->channel);
    client_wake(client);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* The loop forgets the descriptor first: once the channel has closed it, its number may be that of another file. */
static void client_close(struct client *client)
{
    uv_close((uv_handle_t *)&client->poll, on_closed);
    vop_channel_close(client->channel);
    if (server.clients-- == CLIENTS_MAX && !uv_is_closing((uv_handle_t *)&server.poll))
        uv_poll_start(&server.poll, UV_READABLE, on_listener);
}

static void client_open(vop_channel *channel)
{
    struct client *client = malloc(sizeof(*client));
    int fd = vop_channel_fd(channel);

    if (!client || fd < 0 || uv_poll_init(uv_default_loop(), &client->poll, fd) != 0) {
        fprintf(stderr, "%s: no memory or descriptors for another client\n", server.name);
        free(client);
        vop_channel_close(channel);
        return;
    }
    client->poll.data = client;
    client->channel = channel;
    client->is_ready = false;
    client->held = 0;
    uv_poll_start(&client->poll, UV_READABLE, on_client);
    client_wake(client); /* messages may be there already */
    if (++server.clients == CLIENTS_MAX)
        uv_poll_stop(&server.poll);
}

/* Returns 0 when the budget is spent, what to arm for when nothing more can be done, or -1 at the end of the link. */
static int client_echo(struct client *client)
{
    for (int i = 0; i < BUDGET; i++) {
        int ret;

        if (client->held == 0) {
            ssize_t length = vop_channel_recv(client->channel, client->message, sizeof(client->message), 0);

            if (length <= 0)
                return length == -EAGAIN ? VOP_ARM_RECV : -1;
            client->held = (size_t)length;
        }
        ret = vop_channel_send(client->channel, client->message, client->held, 0);
        if (ret < 0)
            return ret == -EAGAIN ? VOP_ARM_SEND : -1;
        client->held = 0;
    }
    return 0;
}

static void client_turn(struct client *client)
{
    int what = client_echo(client);

    if (what < 0)
        client_close(client);
    else if (what == 0 || vop_channel_arm(client->channel, (unsigned)what) != 0) /* there is something to do already */
        client_wake(client);
}

/* ---- All of them ---- */

static void on_turn(uv_idle_t *idle)
{
    struct client *client = server.ready;

    /* Those that are ready again after their share are for the next turn: signals and newcomers come in between. */
    server.ready = NULL;
    server.last = &server.ready;
    while (client) {
        struct client *next = client->next;

        client->is_ready = false;
        client_turn(client);
        client = next;
    }
    if (!server.ready)
        uv_idle_stop(idle);
}

static void on_retry(uv_timer_t *timer)
{
    (void)timer;
    uv_poll_start(&server.poll, UV_READABLE, on_listener);
}

/* One at a time: if there are more, the descriptor is still readable. */
static void on_listener(uv_poll_t *poll, int status, int events)
{
    vop_channel *channel;
    int ret = vop_listener_accept(server.listener, 0, &channel);

    (void)status;
    (void)events;
    if (ret == 0) {
        client_open(channel);
    } else if (ret != -EAGAIN) { /* out of descriptors or memory: it stays readable, so look away for a while */
        fprintf(stderr, "%s: %s\n", server.name, vop_error_text());
        uv_poll_stop(poll);
        uv_timer_start(&server.retry, on_retry, RETRY_MS, 0);
    }
}

static void close_one(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (uv_is_closing(handle))
        return;
    if (handle->data)
        client_close(handle->data);
    else
        uv_close(handle, NULL);
}

/* The loop ends when nothing is left in it. Clients see the end of the stream. */
static void on_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    uv_walk(uv_default_loop(), close_one, NULL);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct vop_options options;
    bool is_help;

    is_help = argc == 2 && strcmp(argv[1], "--help") == 0;
    if (argc != 2 || is_help) {
        fprintf(is_help ? stdout : stderr, "usage: %s LINK     for example %s shm:/tmp/echo.sock\n", argv[0], argv[0]);
        return is_help ? 0 : 2;
    }
    server.name = argv[0];
    server.last = &server.ready;
    vop_options_init(&options, sizeof(options));
    options.slot_size = 2048;
    options.queue_size = MESSAGE_MAX / options.slot_size; /* no message is longer than MESSAGE_MAX */
    if (vop_listener_open(argv[1], &options, &server.listener) < 0)
        return fprintf(stderr, "%s: %s\n", argv[0], vop_error_text()), 1;
    uv_poll_init(loop, &server.poll, vop_listener_fd(server.listener));
    uv_poll_start(&server.poll, UV_READABLE, on_listener);
    uv_timer_init(loop, &server.retry);
    uv_idle_init(loop, &server.turn);
    for (int i = 0; i < 2; i++) {
        uv_signal_init(loop, &server.signal[i]);
        uv_signal_start(&server.signal[i], on_signal, i ? SIGTERM : SIGINT);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    vop_listener_close(server.listener);
    uv_loop_close(loop);
    return 0;
}
