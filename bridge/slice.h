/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slice.h - how long the kernel lets a thread run at a time, and so how soon it runs when it wakes up.
 *
 * Room: bridge. The scheduler (EEVDF) prefers whose slice ends first: a thread that asks for short slices runs at once
 * where others compute, and gives way as soon. Its share of the processor stays as it is, and nobody needs a privilege.
 */
#ifndef VOP_BRIDGE_SLICE_H
#define VOP_BRIDGE_SLICE_H

#include <stdbool.h>

/**
 * Asks for short slices for the calling thread, or for those of the system. Before Linux 6.12, and for a thread whose
 * scheduling policy somebody has made another one, it does nothing.
 */
void slice_set(bool is_short);

#endif
