/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters.h - what became of the frames since the bridge started; sessions come and go.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_COUNTERS_H
#define VOP_BRIDGE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/** All are of one size, so that the table below reaches each of them. */
struct counters {
    uint64_t tx_frames; /* TAP to link: frames taken from the TAP and sent */
    uint64_t tx_bytes;
    uint64_t tx_segments;  /* messages made in software of frames that were too long for the peer */
    uint64_t tx_checksums; /* checksums completed in software */
    uint64_t tx_full;      /* times the link had no room */
    uint64_t tx_stale;     /* dropped: queued while there was no peer */
    uint64_t tx_illegal;   /* dropped: too long, too short or not to be segmented */
    uint64_t tx_errors;    /* reads refused by the kernel */
    uint64_t rx_frames;    /* link to TAP: frames given to the kernel */
    uint64_t rx_bytes;
    uint64_t rx_coalesced;   /* of rx_frames: given to the kernel together with others of their flow */
    uint64_t rx_malformed;   /* dropped: header or length not legal */
    uint64_t rx_unsupported; /* dropped: uses what we did not offer */
    uint64_t rx_down;        /* dropped: the interface is down */
    uint64_t rx_errors;      /* dropped: refused by the kernel */
    uint64_t kicks;          /* times the peer was kicked, for messages and for what was given back */
    uint64_t wakeups;        /* times the thread that carries the frames was woken, by whomever */
    uint64_t spins;          /* times it looked on for a while, when the work had run out, before it slept */
    uint64_t spin_hits;      /* of spins: found some */
};

#define COUNTERS (sizeof(struct counters) / sizeof(uint64_t))

/** What one queue has to tell. */
struct queue_figures {
    struct counters counters;
    int64_t depth; /* frames sent that the peer has not given back yet; -1: there is no peer, or nobody knows */
};

/** The name of a counter as users see it, in the order of the struct. */
const char *counter_name(size_t index);

uint64_t counter_value(const struct counters *counters, size_t index);

/** Adds what one worker has counted to what the others have. */
void counters_add(struct counters *sum, const struct counters *counters);

/** Logs all of them, by name, in three lines: to the link, from it, and how the threads went about it. */
void counters_log(const struct counters *c);

#endif
