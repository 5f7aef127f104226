/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier_vopipc.c - the library itself as a carrier: shared, static, or optimised together with its caller.
 *
 * Room: tests/bench/ipc. Which of the three it is, the build says with VOPIPC_NAME.
 */
#include "ipc.h"
#include "util_machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <vopipc/vopipc.h>

#define DEFAULT_SIZE_MAX 65536u /* up to here the default options do */
#define LARGE_SLOT 65536u
#define LARGE_MESSAGES 8u /* that fit into a queue */
#define SIZE_MAX_MAX (128u << 20)
#define CONNECT_MS 30000

struct vopipc_end {
    vop_channel *channel;
    struct vop_buffer taken;
};

/* ---- Opening ---- */

static void set_options(const struct ipc_terms *terms, bool futex, struct vop_options *options)
{
    static const uint32_t spin_us[IPC_WAITINGS] = {
        [IPC_SPIN] = VOP_SPIN_FOREVER, [IPC_ADAPTIVE] = 0, [IPC_SLEEP] = VOP_SPIN_NEVER};

    vop_options_init(options, sizeof(*options));
    options->spin_us = spin_us[terms->waiting];
    options->message_min = (uint32_t)terms->size_max;
    options->contiguous = 1;
    options->connect_wait = 1; /* the other side may not listen yet */
    options->futex = futex;
    if (terms->size_max > DEFAULT_SIZE_MAX) {
        options->slot_size = LARGE_SLOT;
        for (options->queue_size = LARGE_MESSAGES;
             (size_t)options->queue_size * LARGE_SLOT < LARGE_MESSAGES * terms->size_max;)
            options->queue_size *= 2;
    }
}

static void *open_end(const struct ipc_terms *terms, int side, bool futex)
{
    struct vopipc_end *e = calloc(1, sizeof(*e));
    struct vop_options options;
    vop_listener *listener;
    char uri[128];

    if (!e)
        die(-ENOMEM, "vopipc");
    set_options(terms, futex, &options);
    (void)snprintf(uri, sizeof(uri), "shm:%s/vopipc.sock", terms->directory);
    if (side == 0) {
        if (vop_listener_open(uri, &options, &listener) < 0 ||
            vop_listener_accept(listener, CONNECT_MS, &e->channel) < 0)
            die(0, "%s", vop_error_text());
        vop_listener_close(listener);
    } else if (vop_channel_connect(uri, &options, CONNECT_MS, &e->channel) < 0) {
        die(0, "%s", vop_error_text());
    }
    return e;
}

static void *vopipc_open(const struct ipc_terms *terms, int side)
{
    return open_end(terms, side, false);
}

#ifdef VOPIPC_WITH_FUTEX
static void *futex_open(const struct ipc_terms *terms, int side)
{
    return open_end(terms, side, true);
}
#endif

static void vopipc_close(void *end)
{
    struct vopipc_end *e = end;

    vop_channel_close(e->channel);
    free(e);
}

/* ---- Copied ---- */

static void vopipc_send(void *end, const void *data, size_t size, bool more)
{
    struct vopipc_end *e = end;
    int ret = more ? vop_channel_send_more(e->channel, data, size, -1) : vop_channel_send(e->channel, data, size, -1);

    if (ret < 0)
        die(0, "send: %s", vop_error_text());
}

static void vopipc_receive(void *end, void *data, size_t size)
{
    struct vopipc_end *e = end;
    ssize_t length = vop_channel_recv(e->channel, data, size, -1);

    if (length < 0)
        die(0, "receive: %s", vop_error_text());
    if ((size_t)length != size)
        die(0, "receive: %zd bytes instead of %zu", length, size);
}

/* ---- In place ---- */

static void *vopipc_loan(void *end, size_t size)
{
    struct vopipc_end *e = end;
    struct vop_buffer buffer;

    if (vop_channel_reserve(e->channel, size, -1, &buffer) < 0)
        die(0, "reserve: %s", vop_error_text());
    return buffer.segment[0].iov_base;
}

static void vopipc_publish(void *end, size_t size)
{
    struct vopipc_end *e = end;

    if (vop_channel_commit(e->channel, size, 0) < 0)
        die(0, "commit: %s", vop_error_text());
}

static const void *vopipc_take(void *end, size_t size)
{
    struct vopipc_end *e = end;
    int r = vop_channel_peek(e->channel, -1, &e->taken);

    if (r <= 0)
        die(0, "peek: %s", r < 0 ? vop_error_text() : "the other side has closed");
    if (e->taken.length != size)
        die(0, "peek: %zu bytes instead of %zu", e->taken.length, size);
    return e->taken.segment[0].iov_base;
}

static void vopipc_give_back(void *end)
{
    struct vopipc_end *e = end;

    if (vop_channel_release(e->channel, &e->taken) < 0)
        die(0, "release: %s", vop_error_text());
}

static const struct ipc_carrier vopipc = {
    .name = VOPIPC_NAME,
    .waitings = 1u << IPC_SPIN | 1u << IPC_ADAPTIVE | 1u << IPC_SLEEP,
    .size_max = SIZE_MAX_MAX,
    .has_batches = true,
    .version = vop_version,
    .open = vopipc_open,
    .send = vopipc_send,
    .receive = vopipc_receive,
    .loan = vopipc_loan,
    .publish = vopipc_publish,
    .take = vopipc_take,
    .give_back = vopipc_give_back,
    .close = vopipc_close,
};

#ifdef VOPIPC_WITH_FUTEX
/* Sleepers sleep on the index. Awake it is the same. */
static const struct ipc_carrier vopipc_futex = {
    .name = VOPIPC_NAME " futex",
    .waitings = 1u << IPC_SLEEP,
    .size_max = SIZE_MAX_MAX,
    .has_batches = true,
    .version = vop_version,
    .open = futex_open,
    .send = vopipc_send,
    .receive = vopipc_receive,
    .loan = vopipc_loan,
    .publish = vopipc_publish,
    .take = vopipc_take,
    .give_back = vopipc_give_back,
    .close = vopipc_close,
};

const struct ipc_carrier *const ipc_carriers[] = {&vopipc, &vopipc_futex, NULL};
#else
const struct ipc_carrier *const ipc_carriers[] = {&vopipc, NULL};
#endif
