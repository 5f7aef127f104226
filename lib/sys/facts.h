/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * facts.h - fstat(2), of a descriptor and nothing else.
 *
 * Room: sys. C libraries make of it a system call that takes a path as well, and a program in a sandbox cannot allow
 * the one without the other.
 */
#ifndef VOP_SYS_FACTS_H
#define VOP_SYS_FACTS_H

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/** As fstat(2): 0, or -1 with errno. */
static inline int vop__facts_of(int fd, struct stat *ret_stat)
{
#if defined(__x86_64__) || defined(__aarch64__) /* there the kernel's structure is that of the C library */
    return (int)syscall(SYS_fstat, fd, ret_stat);
#else
    return fstat(fd, ret_stat);
#endif
}

#endif
