/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox_list.h - the system calls that a bridge with these options makes, gathered from all parts.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_SANDBOX_LIST_H
#define VOP_BRIDGE_SANDBOX_LIST_H

#include "options.h"
#include "sandbox_need.h"

#define SANDBOX_LIST_MAX 256

struct sandbox_list {
    struct sandbox_call call[SANDBOX_LIST_MAX]; /* one with a rule stands there for each value */
    unsigned count;
    unsigned names; /* different system calls that this machine has */
};

/** What a bridge with these options may call. */
void sandbox_list_worker(const struct options *options, struct sandbox_list *ret_list);

/** What its broker may. */
void sandbox_list_broker(struct sandbox_list *ret_list);

/** A call that fails with a number, in place of ending the process: what the C library tries, and can do without. */
struct sandbox_refusal {
    const char *name;
    int err;
};

/** All of them; the last one has no name. */
const struct sandbox_refusal *sandbox_list_refusals(void);

#endif
