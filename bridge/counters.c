/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counters.c - what became of the frames since the bridge started; sessions come and go.
 *
 * Room: bridge.
 */
#include "counters.h"

#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME(counter) [offsetof(struct counters, counter) / sizeof(uint64_t)] = #counter

static const char *const names[] = {
    NAME(tx_frames),    NAME(tx_bytes),     NAME(tx_segments),    NAME(tx_checksums), NAME(tx_full),
    NAME(tx_stale),     NAME(tx_illegal),   NAME(tx_errors),      NAME(rx_frames),    NAME(rx_bytes),
    NAME(rx_coalesced), NAME(rx_malformed), NAME(rx_unsupported), NAME(rx_down),      NAME(rx_errors),
    NAME(kicks),        NAME(wakeups),      NAME(spins),          NAME(spin_hits),
};

_Static_assert(sizeof(names) / sizeof(names[0]) == COUNTERS, "each counter has a name");

const char *counter_name(size_t index)
{
    return names[index];
}

uint64_t counter_value(const struct counters *counters, size_t index)
{
    uint64_t value;

    memcpy(&value, (const uint8_t *)counters + index * sizeof(value), sizeof(value));
    return value;
}

void counters_add(struct counters *sum, const struct counters *counters)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        uint64_t value = counter_value(sum, i) + counter_value(counters, i);

        memcpy((uint8_t *)sum + i * sizeof(value), &value, sizeof(value));
    }
}

static void log_some(const struct counters *counters, size_t from, size_t to)
{
    char text[512];
    size_t length = 0;

    for (size_t i = from; i < to && length < sizeof(text); i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %" PRIu64, i > from ? " " : "", names[i],
                                   counter_value(counters, i));
    log_answer("%s", text);
}

void counters_log(const struct counters *c)
{
    const size_t rx = offsetof(struct counters, rx_frames) / sizeof(uint64_t);
    const size_t work = offsetof(struct counters, kicks) / sizeof(uint64_t);

    log_some(c, 0, rx);
    log_some(c, rx, work);
    log_some(c, work, COUNTERS);
}
