/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bus_memory.h - memory that a device reaches, given out in pieces.
 *
 * Room: device. What is given out is remembered outside of that memory, where the device cannot change it.
 */
#ifndef VOP_DEVICE_BUS_MEMORY_H
#define VOP_DEVICE_BUS_MEMORY_H

#include <vopipc/driver.h>

#define VOP__BUS_ALIGN 64u /* of pieces, here and for the device */

/** A piece that is given out. */
struct vop__bus_piece {
    uintptr_t offset; /* in the memory */
    size_t size;
};

struct vop__bus_memory {
    struct vop_bus_memory all;    /* base NULL: all memory of the process, given out by the C library */
    struct vop__bus_piece *piece; /* in the order of their offsets */
    size_t count, room;
};

/** `align` is a power of two. The memory is zeroed. 0, or -ENOMEM with a text. */
int vop__bus_memory_get(struct vop__bus_memory *m, size_t size, size_t align, void **ret_memory);

/** Gives it back. NULL is allowed. */
void vop__bus_memory_put(struct vop__bus_memory *m, void *memory);

/** What the device calls a byte of it. */
uint64_t vop__bus_memory_address(const struct vop__bus_memory *m, const void *memory);

/** The region of it, for a virtqueue. */
struct vop_region vop__bus_memory_region(const struct vop__bus_memory *m);

/** Everything is given back. */
void vop__bus_memory_clear(struct vop__bus_memory *m);

#endif
