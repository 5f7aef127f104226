/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * broker_serve.h - what the broker does: it waits for questions, checks each, and answers.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_BROKER_SERVE_H
#define VOP_BRIDGE_BROKER_SERVE_H

#include "broker_link.h"
#include "broker_message.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

/** What a function that serves returns for what it refuses: a request that no honest worker makes. */
#define BROKER_REFUSED (-EREMOTEIO)

/** What the broker has while it runs. */
struct broker_place {
    const struct broker_setup *setup;
    const struct options *options; /* as it has read them last */
    const struct options *before;  /* and the time before; NULL: never */
    struct interface *interface;   /* of its own, but for the queues of the TAP */
    struct broker_link link;       /* what a worker may ask for of its link */
};

/** A question as it came, and where the answer goes. */
struct broker_call {
    const uint8_t *question;
    size_t size;
    uint8_t *answer; /* BROKER_BYTES_MAX */
    size_t answer_size;
    int shown;             /* the descriptor that came with it; -1: none. Closed here afterwards */
    struct broker_fds fds; /* for the worker: closed here once they are sent */
};

/**
 * Serves one kind of question. Nothing in it can be believed: sizes first, then each value. Returns what the worker is
 * told, or BROKER_REFUSED, which is logged and counted.
 */
typedef int broker_serve_fn(struct broker_place *place, struct broker_call *call);

/** Is this a bool? The byte that came for one may be any, and C does not say what reading another than 0 or 1 does. */
static inline bool broker_is_bool(const bool *at)
{
    return *(const uint8_t *)at <= 1;
}

extern const struct sandbox_need broker_serve_need;

/** Gives up what the broker does not need, and serves until the other side hangs up. 0 or -errno. */
int broker_serve(int socket, const struct broker_setup *setup, struct broker_message *message);

#endif
