/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox_seccomp.h - lets a process make the system calls of a list, and no others.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_SANDBOX_SECCOMP_H
#define VOP_BRIDGE_SANDBOX_SECCOMP_H

#include "sandbox_list.h"

#include <stdbool.h>

/**
 * For all threads of the process. Those of sandbox_list_refusals() fail; any other ends the process.
 *
 * must_end   false: any other fails with EPERM, but for those that only an intruder makes
 *
 * 0 or -errno
 */
int sandbox_seccomp_enter(const struct sandbox_list *list, bool must_end);

/** The number of a system call on this machine; negative: it has none of this name. */
int sandbox_seccomp_number(const char *name);

#endif
