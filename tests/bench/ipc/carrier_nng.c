/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_nng.c - nng as a carrier: a pair0 socket on each side, over ipc://.
 *
 * Room: tests/bench/ipc.
 *
 * Messages are made with nng_msg_alloc() and handed over, so that in place saves the copy into them, and the one out of
 * what came. Threads of nng send and receive; they have the processor of their side to share with the thread that
 * measures, so who waits here without sleeping yields, or they would wait as well.
 */
#include "ipc.h"
#include "util_machine.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_TAKEN (64u << 20)
#define QUEUE_BYTES (16u << 20)
#define QUEUE_MOST 1024 /* messages */
#define QUEUE_LEAST 16

struct end {
    nng_socket socket;
    int flags;   /* of each send and receive */
    size_t size; /* for which the queues are limited */
    nng_msg *out, *in;
};

static void check(int err, const char *what)
{
    if (err != 0)
        die(0, "nng: cannot %s: %s", what, nng_strerror(err));
}

/* True if the call is worth another try. */
static bool waits(int err)
{
    if (err != NNG_EAGAIN)
        return false;
    sched_yield();
    return true;
}

/* A queue has room for a number of messages, none unless told otherwise: then each waits for the socket. */
static void limit_queues(struct end *e, size_t size)
{
    size_t count = QUEUE_BYTES / size;

    if (size == e->size)
        return;
    e->size = size;
    if (count > QUEUE_MOST)
        count = QUEUE_MOST;
    if (count < QUEUE_LEAST)
        count = QUEUE_LEAST;
    check(nng_socket_set_int(e->socket, NNG_OPT_SENDBUF, (int)count), "set the queue of what is sent");
    check(nng_socket_set_int(e->socket, NNG_OPT_RECVBUF, (int)count), "set the queue of what comes");
}

/* ---- Messages ---- */

static void *pair_loan(void *end, size_t size)
{
    struct end *e = end;

    check(nng_msg_alloc(&e->out, size), "make a message");
    return nng_msg_body(e->out);
}

static void pair_publish(void *end, size_t size)
{
    struct end *e = end;
    int err;

    limit_queues(e, size);
    do {
        err = nng_sendmsg(e->socket, e->out, e->flags);
    } while (waits(err));
    check(err, "send");
}

static const void *pair_take(void *end, size_t size)
{
    struct end *e = end;
    int err;

    limit_queues(e, size);
    do {
        err = nng_recvmsg(e->socket, &e->in, e->flags);
    } while (waits(err));
    check(err, "receive");
    if (nng_msg_len(e->in) != size)
        die(0, "nng: a message of %zu bytes came where %zu were sent", nng_msg_len(e->in), size);
    return nng_msg_body(e->in);
}

static void pair_give_back(void *end)
{
    struct end *e = end;

    nng_msg_free(e->in);
}

static void pair_send(void *end, const void *data, size_t size, bool more)
{
    (void)more; /* there is no call for that */
    memcpy(pair_loan(end, size), data, size);
    pair_publish(end, size);
}

static void pair_receive(void *end, void *data, size_t size)
{
    memcpy(data, pair_take(end, size), size);
    pair_give_back(end);
}

/* ---- Ends ---- */

static void *pair_open(const struct ipc_terms *terms, int side)
{
    struct end *e = calloc(1, sizeof(*e));
    char address[256], greeting[8] = "hello";

    if (!e)
        die(-ENOMEM, "nng");
    e->flags = terms->waiting == IPC_SPIN ? NNG_FLAG_NONBLOCK : 0;
    snprintf(address, sizeof(address), "ipc://%s/nng", terms->directory);
    check(nng_pair0_open(&e->socket), "make a socket");
    check(nng_socket_set_size(e->socket, NNG_OPT_RECVMAXSZ, SIZE_MAX_TAKEN), "set the size of messages");
    check(nng_socket_set_ms(e->socket, NNG_OPT_RECONNMINT, 1), "set the pause between two attempts");
    /* Without NNG_FLAG_NONBLOCK a dialer would give up if the other side has not got so far. */
    check(side == 0 ? nng_listen(e->socket, address, NULL, 0) : nng_dial(e->socket, address, NULL, NNG_FLAG_NONBLOCK),
          side == 0 ? "listen" : "connect");
    pair_send(e, greeting, sizeof(greeting), false);
    pair_receive(e, greeting, sizeof(greeting));
    return e;
}

static void pair_close(void *end)
{
    struct end *e = end;

    nng_close(e->socket);
    nng_fini();
    free(e);
}

static const struct ipc_carrier nng = {
    .name = "nng",
    .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP,
    .size_max = SIZE_MAX_TAKEN,
    .version = nng_version,
    .open = pair_open,
    .send = pair_send,
    .receive = pair_receive,
    .loan = pair_loan,
    .publish = pair_publish,
    .take = pair_take,
    .give_back = pair_give_back,
    .close = pair_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&nng, NULL};
