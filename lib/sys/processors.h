/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * processors.h - how many processors there are, and how many of them this thread may use.
 *
 * Room: sys.
 */
#ifndef VOP_SYS_PROCESSORS_H
#define VOP_SYS_PROCESSORS_H

struct vop__processors {
    unsigned online;
    unsigned mine; /* that sched_setaffinity(2) leaves to this thread */
    unsigned
        quota; /* whole ones that the quota of its cgroup, or of one above it, is worth, at least 1; UINT_MAX: none */
};

/** The quota is read once for the process. */
struct vop__processors vop__processors(void);

/** What the quota in the file system below `root` allows to the cgroup that `root`/proc/self/cgroup names. For tests.
 */
unsigned vop__processors_quota(const char *root);

#endif
