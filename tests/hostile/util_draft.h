/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_draft.h - a right message of the shm wire with its descriptors, to be spoilt before it is sent.
 *
 * Room: tests.
 */
#ifndef VOP_TESTS_HOSTILE_DRAFT_H
#define VOP_TESTS_HOSTILE_DRAFT_H

#include "hostile/util_stage.h"

#define NOT_OURS "does not speak this protocol"

struct draft {
    struct vop_shm_message message;
    uint8_t tail[128]; /* behind the message: for long ones */
    size_t size;
    int fds[FDS_MAX];
    unsigned count;
};

/** The message that this peer would send; CONNECT with all descriptors, others without. */
struct draft draft_of(const struct peer *p, uint16_t type);

/** As many descriptors as the system lets through, all like the first. */
void draft_fill_fds(struct draft *d);

/** Sends it. 0, or -1 with errno. */
int draft_send(const struct draft *d, const struct peer *p);

/** Memory of `size` bytes, all of it allocated, with seals. -1 if there is none of that kind. */
int draft_memory(size_t size, unsigned flags, unsigned seals);

/* ---- What can be wrong with any message ---- */

void spoil_empty(struct draft *d);
void spoil_empty_alone(struct draft *d);
void spoil_short_by_one(struct draft *d);
void spoil_long_by_one(struct draft *d);
void spoil_garbage(struct draft *d);
void spoil_version_2(struct draft *d);
void spoil_type_up(struct draft *d);
void spoil_no_fds(struct draft *d);
void spoil_no_fds_and_says_so(struct draft *d);
void spoil_one_fd_more(struct draft *d);
void spoil_empty_with_many_fds(struct draft *d);
void spoil_no_pairs(struct draft *d);
void spoil_two_pairs(struct draft *d);

#endif
