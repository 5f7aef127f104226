/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer.h - which queue of the TAP takes a frame: an eBPF program that is attached to it, and how that decides.
 *
 * Room: bridge. It knows the TAP by a descriptor and by how many queues are in use, and nothing of who reads them. Used
 * by one thread. Changes are stores into memory that the program sees (bpf/steer_maps.h): they need no privilege and no
 * pause, and a flow that a change does not move keeps its queue all the while.
 *
 *   KERNEL    the kernel's automatic steering: a flow goes to the queue that last wrote a frame of it to the TAP
 *   PROGRAM   this project's program
 *   USER      a program of the user's
 */
#ifndef VOP_BRIDGE_STEER_H
#define VOP_BRIDGE_STEER_H

#include "steer_policy.h"
#include "steer_program.h"

#include <limits.h>
#include <stdbool.h>

enum steer_mode {
    STEER_MODE_KERNEL,
    STEER_MODE_PROGRAM,
    STEER_MODE_USER,
};

/** What the user wants. */
struct steer_wish {
    enum steer_mode mode;
    char object[PATH_MAX]; /* USER: the file */
    char program[128];     /* USER: which of it */
};

/** Private to steer.c, but for reading. */
struct steer {
    int tap_fd; /* -1: there is none */
    enum steer_mode mode;
    bool has_fallen_back; /* KERNEL, because what was wished for did not work */
    steer_why why;
    unsigned queues;
    struct steer_program program;
    uint8_t key[STEER_KEY_SIZE];
    struct steer_spread spread;
};

/** What steer_rss() changes. */
struct steer_rss {
    bool has_key, has_spread, has_hash, has_types, has_inner, has_default, has_sparse;
    uint8_t key[STEER_KEY_SIZE];
    struct steer_spread spread;
    enum steer_hash hash;
    unsigned types; /* set of enum steer_hash_type */
    unsigned inner; /* set of enum steer_inner */
    unsigned default_queue;
    bool is_sparse; /* sparse flows escape from busy queues */
};

/**
 * Loads and attaches what is wished for. Where that does not work the kernel steers, which is logged.
 *
 * tap_fd   any queue of the TAP. It stays the caller's, who keeps it open until steer_close()
 * queues   1 to STEER_QUEUES: as many are attached, and there will never be more. With one nothing is loaded
 */
void steer_open(struct steer *steer, int tap_fd, unsigned queues, const struct steer_wish *wish);

/**
 * Steers another TAP, with as many queues, in place of the one that was there; -1: none, until the next call. Policy
 * and counters stay. A failure was logged; then the kernel steers.
 */
void steer_move(struct steer *steer, int tap_fd);

/** Detaches the program, which a persistent TAP would keep. Does nothing if it is closed. */
void steer_close(struct steer *steer);

/**
 * Follows a change of the number of queues, after each TUNSETQUEUE. Pinned flows and classes of a queue that is not
 * there fall to the next stage, and come back with it; weights keep their proportion among those that are there.
 */
void steer_set_queues(struct steer *steer, unsigned queues);

/** The policy in force; NULL without this project's program. Valid until the next change. */
const struct steer_policy *steer_policy(const struct steer *steer);

/** So many changes since steer_open(). */
unsigned steer_changes(const struct steer *steer);

/** Adds up what all processors have counted. All 0 without this project's program. */
void steer_stats(const struct steer *steer, struct steer_stats *ret_stats);

/*
 * Changes. Each takes place as a whole, or fails and changes nothing.
 *
 * -EOPNOTSUPP   this project's program does not steer
 * -ERANGE       a queue, or a value, that is not there
 * and as steer_policy.h says.
 */

/** Changes the hash, its table, and what is not hashed. */
int steer_rss(struct steer *steer, const struct steer_rss *rss);

/** All of that back to how it was after steer_open(). */
int steer_rss_reset(struct steer *steer);

/** Pins a flow; `queue` STEER_NO_QUEUE: unpins it. */
int steer_pin(struct steer *steer, const struct steer_flow *flow, unsigned queue);

/** Sends a class to a queue, or with STEER_NO_QUEUE to none. */
int steer_class(struct steer *steer, enum steer_stage stage, uint32_t value, unsigned queue);

/** Back to how it was after steer_open(), but for the counters. */
int steer_reset(struct steer *steer);

#endif
