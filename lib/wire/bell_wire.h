/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bell_wire.h - a wire whose kicks, and news of a death, go through doorbells of this host.
 *
 * Room: wire. Such wires embed struct vop__bell_wire, and put these operations into their tables; they differ only in
 * where the memory comes from.
 */
#ifndef VOP_WIRE_BELL_WIRE_H
#define VOP_WIRE_BELL_WIRE_H

#include "wire/doorbell.h"

struct vop__bell_wire {
    struct vop__wire wire;
    struct vop__doorbells bells;
};

/* Operations of a wire (wire.h). */
int vop__bell_wire_kick(struct vop__wire *wire, unsigned queue, enum vop__bell bell);
int vop__bell_wire_wait(struct vop__wire *wire, unsigned queue, enum vop__bell bell, int64_t timeout_ns);
int vop__bell_wire_alive(struct vop__wire *wire);
int vop__bell_wire_watch(struct vop__wire *wire, unsigned queue, int epoll_fd);
int vop__bell_wire_process(struct vop__wire *wire, unsigned queue, int epoll_fd);
void vop__bell_wire_interrupt(struct vop__wire *wire);

#endif
