/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock.h - monotonic time and deadlines, in nanoseconds.
 *
 * Room: core.
 */
#ifndef VOP_CORE_CLOCK_H
#define VOP_CORE_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

#define VOP__NS_PER_US INT64_C(1000)
#define VOP__NS_PER_MS INT64_C(1000000)
#define VOP__NS_PER_S INT64_C(1000000000)
#define VOP__NEVER INT64_MAX

static inline int64_t vop__clock_read(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * VOP__NS_PER_S + ts.tv_nsec;
}

static inline int64_t vop__clock_ns(void)
{
    return vop__clock_read(CLOCK_MONOTONIC);
}

/** The same to some milliseconds, for a tenth of the cost. */
static inline int64_t vop__clock_coarse_ns(void)
{
    return vop__clock_read(CLOCK_MONOTONIC_COARSE);
}

/** Point in time `timeout_ms` from now; VOP__NEVER for a negative one. */
static inline int64_t vop__deadline(int timeout_ms)
{
    return timeout_ms < 0 ? VOP__NEVER : vop__clock_ns() + timeout_ms * VOP__NS_PER_MS;
}

/** Time left until `deadline`, at least 0; VOP__NEVER stays VOP__NEVER. */
static inline int64_t vop__time_left(int64_t deadline)
{
    int64_t left;

    if (deadline == VOP__NEVER)
        return VOP__NEVER;
    left = deadline - vop__clock_ns();
    return left > 0 ? left : 0;
}

/** The same for the system calls. Their fields are as wide as a machine's word. */
static inline struct timespec vop__timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / VOP__NS_PER_S), .tv_nsec = (long)(ns % VOP__NS_PER_S)};
}

/** The same for poll(2): milliseconds, not too few, and -1 (for ever) for more than it can count. */
static inline int vop__poll_ms(int64_t ns)
{
    return ns / VOP__NS_PER_MS >= INT_MAX ? -1 : (int)(ns / VOP__NS_PER_MS + 1);
}

#endif
