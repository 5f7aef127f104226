/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_zmq.c - ZeroMQ as a carrier: a PAIR socket on each side, over ipc://.
 *
 * Room: tests/bench/ipc.
 *
 * A message is made with zmq_msg_init_size(), so that in place saves the copy into it, and the one out of what came.
 * ZeroMQ sends and receives in a thread of its own, its one I/O thread, which has the processor of its side to share
 * with the thread that measures; so who waits here without sleeping yields, or the I/O thread would wait as well.
 */
#include "ipc.h"
#include "util_machine.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define LANES 2

/*
 * A queue is limited by its number of messages, so large ones have a pair of sockets of their own. To change the limit
 * of a socket that is connected, which the library allows, can leave its sender waiting for ever.
 */
static const struct {
    size_t size_max;
    int queue; /* messages; 1000 is the library's default */
} lanes[LANES] = {{16384, 1000}, {64u << 20, 16}};

struct end {
    void *context, *socket[LANES];
    int flags; /* of each send and receive */
    zmq_msg_t out, in;
};

static _Noreturn void zmq_failed(const char *what)
{
    die(0, "ZeroMQ: cannot %s: %s", what, zmq_strerror(zmq_errno()));
}

/* True if the call is worth another try. */
static bool waits(const struct end *e)
{
    if (zmq_errno() == EINTR)
        return true;
    if (zmq_errno() != EAGAIN || !(e->flags & ZMQ_DONTWAIT))
        return false;
    sched_yield();
    return true;
}

static void *socket_for(const struct end *e, size_t size)
{
    return e->socket[size > lanes[0].size_max];
}

/* ---- Messages ---- */

static void *zmq_loan(void *end, size_t size)
{
    struct end *e = end;

    if (zmq_msg_init_size(&e->out, size) < 0)
        zmq_failed("make a message");
    return zmq_msg_data(&e->out);
}

static void zmq_publish(void *end, size_t size)
{
    struct end *e = end;

    while (zmq_msg_send(&e->out, socket_for(e, size), e->flags) < 0) {
        if (!waits(e))
            zmq_failed("send");
    }
}

static const void *zmq_take(void *end, size_t size)
{
    struct end *e = end;

    zmq_msg_init(&e->in);
    while (zmq_msg_recv(&e->in, socket_for(e, size), e->flags) < 0) {
        if (!waits(e))
            zmq_failed("receive");
    }
    if (zmq_msg_size(&e->in) != size)
        die(0, "ZeroMQ: a message of %zu bytes came where %zu were sent", zmq_msg_size(&e->in), size);
    return zmq_msg_data(&e->in);
}

static void zmq_give_back(void *end)
{
    struct end *e = end;

    zmq_msg_close(&e->in);
}

static void zmq_send_copied(void *end, const void *data, size_t size, bool more)
{
    (void)more; /* parts of one message are something else, and the I/O thread makes its batches itself */
    memcpy(zmq_loan(end, size), data, size);
    zmq_publish(end, size);
}

static void zmq_receive(void *end, void *data, size_t size)
{
    memcpy(data, zmq_take(end, size), size);
    zmq_give_back(end);
}

/* ---- Ends ---- */

static void set_option(void *socket, int option, int value)
{
    if (zmq_setsockopt(socket, option, &value, sizeof(value)) < 0)
        zmq_failed("set an option");
}

static void *open_lane(void *context, const char *directory, int side, int lane)
{
    void *socket = zmq_socket(context, ZMQ_PAIR);
    char address[256];

    if (!socket)
        zmq_failed("make a socket");
    set_option(socket, ZMQ_SNDHWM, lanes[lane].queue);
    set_option(socket, ZMQ_RCVHWM, lanes[lane].queue);
    set_option(socket, ZMQ_LINGER, 0);
    set_option(socket, ZMQ_RECONNECT_IVL, 1); /* the other side may not have got so far */
    snprintf(address, sizeof(address), "ipc://%s/zmq%d", directory, lane);
    if ((side == 0 ? zmq_bind(socket, address) : zmq_connect(socket, address)) < 0)
        zmq_failed(side == 0 ? "bind a socket" : "connect");
    return socket;
}

static void *zmq_open(const struct ipc_terms *terms, int side)
{
    struct end *e = calloc(1, sizeof(*e));
    char greeting[8] = "hello";

    if (!e)
        die(-ENOMEM, "ZeroMQ");
    e->flags = terms->waiting == IPC_SPIN ? ZMQ_DONTWAIT : 0;
    e->context = zmq_ctx_new();
    if (!e->context)
        zmq_failed("begin");
    for (int i = 0; i < LANES; i++)
        e->socket[i] = open_lane(e->context, terms->directory, side, i);
    zmq_send_copied(e, greeting, sizeof(greeting), false);
    zmq_receive(e, greeting, sizeof(greeting));
    return e;
}

static void zmq_close_end(void *end)
{
    struct end *e = end;

    for (int i = 0; i < LANES; i++)
        zmq_close(e->socket[i]);
    zmq_ctx_term(e->context);
    free(e);
}

static const char *zmq_version_text(void)
{
    static char text[32];
    int major, minor, patch;

    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof(text), "%d.%d.%d", major, minor, patch);
    return text;
}

static const struct ipc_carrier zmq = {
    .name = "ZeroMQ",
    .waitings = 1u << IPC_SPIN | 1u << IPC_SLEEP,
    .size_max = 64u << 20,
    .version = zmq_version_text,
    .open = zmq_open,
    .send = zmq_send_copied,
    .receive = zmq_receive,
    .loan = zmq_loan,
    .publish = zmq_publish,
    .take = zmq_take,
    .give_back = zmq_give_back,
    .close = zmq_close_end,
};

const struct ipc_carrier *const ipc_carriers[] = {&zmq, NULL};
