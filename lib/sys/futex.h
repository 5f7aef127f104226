/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * futex.h - a thread waits for another one to change a word: futex(2).
 *
 * Room: sys. Within a process in place of a condition variable, where a wait must end with EINTR when a signal handler
 * has run; between processes in place of a descriptor.
 */
#ifndef VOP_SYS_FUTEX_H
#define VOP_SYS_FUTEX_H

#include "core/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where long has 32 bits there are two system calls, for either width of time_t. */
#ifdef SYS_futex_time64
#define VOP__FUTEX (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define VOP__FUTEX SYS_futex
#endif

#define VOP__FUTEX_LONGEST_NS (3600 * VOP__NS_PER_S) /* without any end, SA_RESTART would make the wait go on */

static inline int vop__futex_sleep(int operation, const void *word, uint32_t value, int64_t timeout_ns)
{
    struct timespec ts = vop__timespec(timeout_ns < VOP__FUTEX_LONGEST_NS ? timeout_ns : VOP__FUTEX_LONGEST_NS);

    if (syscall(VOP__FUTEX, word, operation, value, &ts, NULL, 0) == 0 || errno == EAGAIN)
        return 0;
    return -errno;
}

/**
 * Sleeps while *word is `value`, for `timeout_ns` at most (an hour, if that is less). Returns 0 woken or changed, or
 * woken for nothing; -ETIMEDOUT; -EINTR.
 */
static inline int vop__futex_wait(const uint32_t *word, uint32_t value, int64_t timeout_ns)
{
    return vop__futex_sleep(FUTEX_WAIT_PRIVATE, word, value, timeout_ns);
}

/** Wakes all who sleep on it. */
static inline void vop__futex_wake(const uint32_t *word)
{
    syscall(VOP__FUTEX, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/** The same on a word of shared memory, which may be mapped read-only here. -EFAULT: it is not there. */
static inline int vop__futex_wait_shared(const void *word, uint32_t value, int64_t timeout_ns)
{
    return vop__futex_sleep(FUTEX_WAIT, word, value, timeout_ns);
}

static inline void vop__futex_wake_shared(const void *word)
{
    syscall(VOP__FUTEX, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

#endif
