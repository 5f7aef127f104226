/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * echo_server.c - sends every message back to whom it came from; serves many clients and outlives each of them.
 *
 * Room: examples. The first thing to read; <vopipc/channel.h> is the second. Run it: echo_server shm:/tmp/echo.sock
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <vopipc/vopipc.h>

#define CLIENTS_MAX 100
#define MESSAGE_MAX 65536

static struct client {
    vop_channel *channel;
    char message[MESSAGE_MAX]; /* received and not yet sent back ... */
    ssize_t length;            /* ... of this length; 0 or less: none */
    int busy;                  /* there is more to do already: the descriptor will not tell us again */
} clients[CLIENTS_MAX + 1];
static struct pollfd fds[CLIENTS_MAX + 1]; /* fds[i] is that of clients[i]; fds[0] is the listener's */

/* Echoes until there is nothing to do. 0: sleep now, 1: come back after the others, negative: the client is gone. */
static int client_serve(struct client *c)
{
    for (int turn = 0; turn < 64; turn++) {
        if (c->length <= 0)
            c->length = vop_channel_recv(c->channel, c->message, MESSAGE_MAX, 0);
        if (c->length == 0)
            return -EPIPE; /* it has closed */
        int err = c->length < 0 ? (int)c->length : vop_channel_send(c->channel, c->message, (size_t)c->length, 0);
        if (err == -EAGAIN) /* it sends nothing, or does not read its echoes: ask to be woken, and look once more */
            return vop_channel_arm(c->channel, c->length < 0 ? VOP_ARM_RECV : VOP_ARM_SEND);
        if (err < 0)
            return err;
        c->length = 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct vop_options options;
    vop_listener *listener;
    int count = 0, busy = 0, err = 0;

    if (argc != 2)
        return fprintf(stderr, "usage: %s LINK     for example %s shm:/tmp/echo.sock\n", argv[0], argv[0]), 2;
    vop_options_init(&options, sizeof(options));
    options.queue_size = MESSAGE_MAX / options.slot_size; /* no message is longer than MESSAGE_MAX */
    if (vop_listener_open(argv[1], &options, &listener) < 0)
        return fprintf(stderr, "%s: %s\n", argv[0], vop_error_text()), 1;
    fds[0] = (struct pollfd){.fd = vop_listener_fd(listener), .events = POLLIN};
    for (;;) {
        poll(fds, (nfds_t)count + 1, busy ? 0 : -1);
        busy = 0;
        for (int i = count; i > 0; i--) {
            if (fds[i].revents)
                vop_channel_process(clients[i].channel); /* whatever it says, there may be messages left to read */
            else if (!clients[i].busy)
                continue;
            err = client_serve(&clients[i]);
            busy |= clients[i].busy = err > 0;
            if (err < 0) {
                vop_channel_close(clients[i].channel);
                clients[i] = clients[count]; /* the last one fills the gap, and there is room for another */
                fds[i] = fds[count--];
                fds[0].fd = vop_listener_fd(listener);
            }
        }
        if (fds[0].revents) {
            err = vop_listener_accept(listener, 0, &clients[count + 1].channel);
            if (err == 0) {
                struct client *c = &clients[++count];
                c->length = 0;
                c->busy = busy = 1;
                fds[count] = (struct pollfd){.fd = vop_channel_fd(c->channel), .events = POLLIN};
            } else if (err != -EAGAIN && count == 0) {
                return fprintf(stderr, "%s: %s\n", argv[0], vop_error_text()), 1;
            }
            if (count == CLIENTS_MAX || (err < 0 && err != -EAGAIN))
                fds[0].fd = -1; /* full: the next ones wait until somebody leaves */
        }
    }
}
