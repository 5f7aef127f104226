/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * container.h - from an embedded struct to the one that embeds it.
 *
 * Room: core.
 */
#ifndef VOP_CORE_CONTAINER_H
#define VOP_CORE_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

/** The struct of `type` whose `member` is at `pointer`. A const pointer loses that: the caller knows whose it is. */
#define vop__container_of(pointer, type, member) ((type *)(void *)((char *)(uintptr_t)(pointer)-offsetof(type, member)))

#endif
