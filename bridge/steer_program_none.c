/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * steer_program_none.c - in place of steer_program.c where this is built without libbpf, clang or bpftool.
 *
 * Room: bridge.
 */
#include "steer_program.h"

#include <errno.h>
#include <stdio.h>

static int refuse(steer_why why)
{
    (void)snprintf(why, sizeof(steer_why),
                   "this vop-bridge was built without steering programs; build it where libbpf, clang and bpftool are");
    return -EOPNOTSUPP;
}

int steer_program_load(struct steer_program *ret_program, steer_why why)
{
    (void)ret_program;
    return refuse(why);
}

int steer_program_load_user(const char *path, const char *name, struct steer_program *ret_program, steer_why why)
{
    (void)path;
    (void)name;
    (void)ret_program;
    return refuse(why);
}

void steer_program_unload(struct steer_program *program)
{
    (void)program;
}
