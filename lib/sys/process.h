/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process.h - which process this is.
 *
 * Room: sys.
 */
#ifndef VOP_SYS_PROCESS_H
#define VOP_SYS_PROCESS_H

#include <sys/types.h>

/** getpid(2), asked once in each process: a child of fork() is noticed without a system call. */
pid_t vop__process(void);

#endif
