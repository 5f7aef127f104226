/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - numbered messages from one end to the other: random sizes, contents that follow from the number.
 *
 * Room: tests. For children and threads too: a failure ends the process.
 */
#ifndef TESTS_SUPPORT_STREAM_H
#define TESTS_SUPPORT_STREAM_H

#include "support/link.h"

/** What both ends know. */
struct stream {
    uint64_t seed;
    uint64_t count; /* messages */
    size_t longest; /* 1 byte to this, log-uniform; 0: as long as the channel allows */
};

/** Sends all, in every way there is: copying, in place, longer reservations, batches, with timeout 0 and without. */
void stream_send(vop_channel *channel, const struct stream *stream);

/** Receives all and looks at every byte: copying, in place, several held at once. */
void stream_recv(vop_channel *channel, const struct stream *stream);

/** Sends each back as it comes, until the end of stream. */
void stream_echo(vop_channel *channel);

#endif
