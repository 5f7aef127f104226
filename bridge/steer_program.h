/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_program.h - loads a steering program into the kernel: that of this project, or one of the user's.
 *
 * Room: bridge. The only part that knows libbpf. Where this is built without it, steer_program_none.c takes its place,
 * and each call says so. Loading needs CAP_BPF; all that comes later does not.
 */
#ifndef VOP_BRIDGE_STEER_PROGRAM_H
#define VOP_BRIDGE_STEER_PROGRAM_H

#include "bpf/steer_maps.h"

/** A program that is loaded has a descriptor. */
struct steer_program {
    int fd;       /* for TUNSETSTEERINGEBPF; -1: none is loaded */
    void *object; /* private */

    /* The maps of this project's program, in memory; NULL for one of the user's. */
    struct steer_control *control;
    struct steer_policy *policies;
    struct steer_stats *stats; /* one for each processor */
    unsigned processors;
};

/** Why a program could not be loaded, and what to do. */
typedef char steer_why[256];

/**
 * Loads this project's program. Its maps are zero: the caller puts a policy in.
 *
 * -EOPNOTSUPP   this is built without the program
 * -EPERM        it takes CAP_BPF
 * -errno        as bpf(2) says; `why` has it in words
 */
int steer_program_load(struct steer_program *ret_program, steer_why why);

/**
 * Loads one of the user's: the program `name` of the object file `path`, which must be of the type for socket filters.
 *
 * -ENOENT   there is no such file, or no such program in it
 * -EINVAL   it is no object file for BPF, or the program is of another type
 * -errno    as above
 */
int steer_program_load_user(const char *path, const char *name, struct steer_program *ret_program, steer_why why);

/** Does nothing if none is loaded. A TAP to which it is attached goes on to use it. */
void steer_program_unload(struct steer_program *program);

#endif
