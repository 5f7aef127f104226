/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bridge_rates.h - what bridges do in a second, from what they have counted now and before.
 *
 * Room: tools. No sockets and no terminal here: answers to `stats` come in, numbers go out.
 */
#ifndef TOOLS_BRIDGE_RATES_H
#define TOOLS_BRIDGE_RATES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RATES_QUEUES_MAX 16

/** What can be sorted by, and is shown. All but the depth are of a second. */
enum rate {
    RATE_TX_FRAMES,
    RATE_TX_BYTES,
    RATE_RX_FRAMES,
    RATE_RX_BYTES,
    RATE_DROPS,
    RATE_DEPTH, /* frames that the peer has not given back; below 0: nobody knows */
    RATE_KICKS,
    RATES,
};

/** The words of them, as JSON and keys have them. */
extern const char *const rate_names[RATES];

/** One queue of a bridge, or all of them. */
struct rates_line {
    int queue; /* -1: all */
    double value[RATES];
};

struct rates_bridge {
    char name[64];
    char why[256];  /* it has not answered; "": it has */
    bool is_up;     /* the link is */
    bool has_rates; /* it has answered twice */
    json_t *before; /* its last answer; NULL: none */
    bool is_seen;   /* in this round */
    unsigned queues, queues_in_use;
    struct rates_line total;
    struct rates_line queue[RATES_QUEUES_MAX];
    double imbalance; /* bytes of the busiest queue, of what each would have if all in use had the same: 1 is best */
};

/** All that were seen in the last round, in the order of their names. */
struct rates {
    struct rates_bridge *bridge;
    size_t count;
};

/** A round begins. */
void rates_begin(struct rates *rates);

/**
 * A bridge has answered, or has not.
 *
 * stats   its answer, which is taken over; NULL: none
 * why     then, why not
 *
 * Returns false if there is no memory.
 */
bool rates_add(struct rates *rates, const char *name, json_t *stats, const char *why);

/** A round is over: forgets those that were not seen in it. */
void rates_end(struct rates *rates);

/** The order: by name, or the greatest first, bridges as well as queues. `key` RATES: by name and number. */
void rates_sort(struct rates *rates, enum rate key);

void rates_free(struct rates *rates);

#endif
