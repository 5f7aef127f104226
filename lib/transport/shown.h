/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shown.h - memory for queues and buffers that a driver's program makes, and shows to a device in another program.
 *
 * Room: transport.
 */
#ifndef VOP_TRANSPORT_SHOWN_H
#define VOP_TRANSPORT_SHOWN_H

#include <vopipc/driver.h>

/** Of such memory, as the device calls it: no pointer, and not 0. */
#define VOP__SHOWN_ADDRESS UINT64_C(0x100000000)

/** Makes memory of `size` bytes, rounded up to pages, and a descriptor of it that nobody can cut short, which is the
 * caller's. -ENOMEM with a text. */
int vop__shown_open(size_t size, struct vop_bus_memory *ret_memory, int *ret_fd);

/** Unmaps it, if it is there. */
void vop__shown_close(struct vop_bus_memory *memory);

#endif
