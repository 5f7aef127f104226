/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sandbox_landlock.h - forbids all files, sockets and signals by Landlock, where the kernel has it.
 *
 * Room: bridge.
 */
#ifndef VOP_BRIDGE_SANDBOX_LANDLOCK_H
#define VOP_BRIDGE_SANDBOX_LANDLOCK_H

/**
 * For this thread and those that it will start; no_new_privs must be set. What is open already stays usable.
 *
 * 1: done, 0: the kernel has no Landlock, or it is switched off; -errno
 */
int sandbox_landlock_enter(void);

#endif
