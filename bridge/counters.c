/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters.c - what became of the frames since the bridge started; sessions come and go.
 *
 * Room: bridge.
 */
#include "counters.h"

#include "log.h"

#include <inttypes.h>

void counters_add(struct counters *sum, const struct counters *counters)
{
    sum->tx_frames += counters->tx_frames;
    sum->tx_bytes += counters->tx_bytes;
    sum->tx_segments += counters->tx_segments;
    sum->tx_checksums += counters->tx_checksums;
    sum->tx_full += counters->tx_full;
    sum->tx_stale += counters->tx_stale;
    sum->tx_illegal += counters->tx_illegal;
    sum->tx_errors += counters->tx_errors;
    sum->rx_frames += counters->rx_frames;
    sum->rx_bytes += counters->rx_bytes;
    sum->rx_coalesced += counters->rx_coalesced;
    sum->rx_malformed += counters->rx_malformed;
    sum->rx_unsupported += counters->rx_unsupported;
    sum->rx_down += counters->rx_down;
    sum->rx_errors += counters->rx_errors;
}

void counters_log(const struct counters *c)
{
    log_answer("tx_frames %" PRIu64 " tx_bytes %" PRIu64 " tx_segments %" PRIu64 " tx_checksums %" PRIu64
               " tx_full %" PRIu64 " tx_stale %" PRIu64 " tx_illegal %" PRIu64 " tx_errors %" PRIu64,
               c->tx_frames, c->tx_bytes, c->tx_segments, c->tx_checksums, c->tx_full, c->tx_stale, c->tx_illegal,
               c->tx_errors);
    log_answer("rx_frames %" PRIu64 " rx_bytes %" PRIu64 " rx_coalesced %" PRIu64 " rx_malformed %" PRIu64
               " rx_unsupported %" PRIu64 " rx_down %" PRIu64 " rx_errors %" PRIu64,
               c->rx_frames, c->rx_bytes, c->rx_coalesced, c->rx_malformed, c->rx_unsupported, c->rx_down,
               c->rx_errors);
}
