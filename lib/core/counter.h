/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counter.h - counts that one thread keeps and others may read.
 *
 * Room: core.
 */
#ifndef VOP_CORE_COUNTER_H
#define VOP_CORE_COUNTER_H

/** As wide as a processor's word, since wider is not atomic everywhere. */
typedef unsigned long vop__counter;

/** Adds `n`. Only the counter's own thread adds. */
static inline void vop__count(vop__counter *counter, unsigned long n)
{
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/** The value. Any thread. */
static inline unsigned long vop__counted(const vop__counter *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
