/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters.h - what became of the frames since the bridge started; sessions come and go.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_COUNTERS_H
#define VOP_BRIDGE_COUNTERS_H

#include <stdint.h>

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
};

/** Adds what one worker has counted to what the others have. */
void counters_add(struct counters *sum, const struct counters *counters);

/** Logs all of them, by name, in two lines. */
void counters_log(const struct counters *c);

#endif
