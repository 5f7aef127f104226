/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - two channels that are up: over the loop wire, over shm in one process, or with a child process.
 *
 * Room: tests.
 */
#ifndef TESTS_SUPPORT_LINK_H
#define TESTS_SUPPORT_LINK_H

#include "support/test.h"

#include "channel/channel.h"
#include "channel/life.h"
#include "channel/options.h"

#include <vopipc/vopipc.h>

/** Both ends in this process. side[0] accepted, side[1] connected. */
struct link {
    vop_channel *side[2];
};

/** Options with a geometry and a spinning time; the rest are defaults. */
struct vop_options link_options(uint32_t queue_size, uint32_t slot_size, uint32_t spin_us);

/** Both ends over the loop wire: one mapping, two segments. `window_flags` are those of the remote windows. */
void link_open_loop(struct link *l, const struct vop_options *options, unsigned window_flags);

/** The same with sides that do not offer LAST_LEN: bit i of `older` for side i. */
void link_open_loop_older(struct link *l, const struct vop_options *options, unsigned window_flags, unsigned older);

/** Both ends over shm. */
void link_open_shm(struct link *l, const struct vop_options *options);

/** Closes the ends that are still there. */
void link_close(struct link *l);

/** Ends one side as kill -9 would: the other sees no CLOSING, only that the wire is dead. */
void link_die(struct link *l, unsigned side);

/** What a child process does with its end, the connecting one; it exits with what this returns. */
typedef int (*link_child_fn)(vop_channel *channel, void *context);

/** Forks, then connects: the mappings of the two processes are at different addresses. Returns the child. */
pid_t link_fork(const struct vop_options *mine, const struct vop_options *its, link_child_fn fn, void *context,
                vop_channel **ret_channel);

/** Waits for a child and returns its exit status, or minus its signal. */
int link_join(pid_t child);

/** A new link name in a directory of its own, to be given back. */
const char *link_uri(char uri[128]);
void link_uri_remove(const char *uri);

/* Contents that follow from a number. */
void link_fill(const struct vop_buffer *buffer, uint64_t number);
bool link_holds(const struct vop_buffer *buffer, uint64_t number);
void link_fill_bytes(uint8_t *bytes, size_t length, uint64_t number);
bool link_holds_bytes(const uint8_t *bytes, size_t length, uint64_t number);

#endif
